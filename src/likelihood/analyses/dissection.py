"""How likely a model finds images of less contrast, and how likely it found them while it was trained.

    experiment    `contrast`, `at` is λ (contrast.py), about the in-set's mean colour; or `epoch`, `at` is that of a snapshot
    set           `test` or a natural out-set
    value         bits/dim of an image, or nats of binarised images

A training never sees an out-set: its snapshots are scored here, afterwards.
"""

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pandas as pd
from likelihood.statistics.measure import statistics

from likelihood.analyses.contrast import shrunk
from likelihood.common.units import in_unit
from likelihood.models.shared import checkpoint
from likelihood.models.shared.base import LikelihoodModel

CONTRASTS = (1.0, 0.8, 0.6, 0.4, 0.2, 0.0)


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
            value = in_unit(log_prob, model.dims, model.unit)
            parts.append(pd.DataFrame({"experiment": experiment, "at": float(at), "set": name, "value": value}))
    return pd.concat(parts, ignore_index=True)
