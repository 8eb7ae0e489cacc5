"""How likely a model finds images of less contrast, and how likely it found them while it was trained.

    experiment    `contrast`, `at` is λ; or `epoch`, `at` is that of a snapshot
    set           `test` or a natural out-set
    value         bits/dim of an image, or nats of binarised images

A training never sees an out-set: its snapshots are scored here, afterwards. Images of less contrast [1] are shrunk towards m, the
in-set's mean grey or colour,

    x' = round(m + λ (x - m)),    λ from 1, the image itself, to 0, an image of m alone

References:
    [1] Do deep generative models know what they don't know? (Nalisnick et al., 2019), https://arxiv.org/abs/1810.09136, section 5
"""

from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np
import pandas as pd

from likelihood.common.units import bits_per_dim
from likelihood.models.shared import checkpoint
from likelihood.models.shared.base import LikelihoodModel
from likelihood.statistics.measure import statistics

CONTRASTS = (1.0, 0.8, 0.6, 0.4, 0.2, 0.0)


def shrunk(images: np.ndarray, factor: float, mean: Sequence[float]) -> np.ndarray:
    """Images uint8 (N, C, H, W) with their contrast times `factor`, 0 to 1, about `mean` (C,) in grey levels: uint8."""
    center = np.asarray(mean, np.float64)[:, None, None]
    return np.rint(center + factor * (images - center)).astype(np.uint8)


def experiments(
    folder: Path, sets: dict[str, np.ndarray], mean: list[float]
) -> Iterator[tuple[str, float, LikelihoodModel, dict[str, np.ndarray]]]:
    """Experiment, `at`, model and images by set of everything that is to be scored."""
    _, model = checkpoint.load(folder / "best.safetensors")
    for factor in CONTRASTS:
        yield "contrast", factor, model, {name: shrunk(x, factor, mean) for name, x in sets.items()}
    for file in sorted((folder / "snapshots").glob("*.safetensors")):
        yield "epoch", int(file.stem.removeprefix("epoch_")), checkpoint.load(file)[1], sets


def dissect(folder: Path, sets: dict[str, np.ndarray], mean: list[float], draws: int) -> pd.DataFrame:
    """The table of a model whose weights and snapshots are in `folder`, one row per image.

    Arguments:
        folder: of the model.
        sets: uint8 images (N, C, H, W), `test` and the natural out-sets.
        mean: of the in-set's colours, in grey levels.
        draws: of noise per image.
    """
    parts = []
    for experiment, at, model, images in experiments(folder, sets, mean):
        for name, x in images.items():
            log_prob = statistics(model, x, draws, f"{experiment} {at}, {name}")["log_prob"]
            value = bits_per_dim(log_prob, model.dims)
            parts.append(pd.DataFrame({"experiment": experiment, "at": float(at), "set": name, "value": value}))
    return pd.concat(parts, ignore_index=True)
