"""Stage `dissect`: how likely a model finds images of less contrast, and how likely it found them while it was trained.

Reads data/processed/<benchmark>, a model's best weights and its snapshots. Writes metrics/claims/<benchmark>/<model>.csv:

    experiment    `contrast`, `at` is λ (statistics/contrast.py), about the in-set's mean colour; or `epoch`, `at` is a snapshot's
    set, n        `test` or a natural out-set, and how many of its images
    mean          of bits/dim, or of nats of binarised images
    auroc         of -log p, the out-set against `test` at the same λ or epoch

A training never sees an out-set: its snapshots are scored here, afterwards.
"""

import argparse
import functools
import json
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pandas as pd
from lightning_fabric import Fabric

from likelihood.common.units import in_unit
from likelihood.data import base as data
from likelihood.evaluation import metrics
from likelihood.models.shared import checkpoint
from likelihood.models.shared.base import LikelihoodModel
from likelihood.runtime import processes, stage
from likelihood.settings import params
from likelihood.statistics.contrast import shrunk
from score import sets_of, statistics

CONTRASTS = (1.0, 0.8, 0.6, 0.4, 0.2, 0.0)
DIGITS = 4


def experiments(
    folder: Path, sets: dict[str, np.ndarray], mean: list[float]
) -> Iterator[tuple[str, float, LikelihoodModel, dict[str, np.ndarray]]]:
    """Experiment, `at`, model and images by set of everything that is to be scored."""
    _, model = checkpoint.load(folder / "best.safetensors")
    for factor in CONTRASTS:
        yield "contrast", factor, model, {name: shrunk(x, factor, mean) for name, x in sets.items()}
    for file in sorted((folder / "snapshots").glob("*.safetensors")):
        yield "epoch", int(file.stem.removeprefix("epoch_")), checkpoint.load(file)[1], sets


def dissect(fabric: Fabric, folder: Path, sets: dict[str, np.ndarray], mean: list[float], draws: int, out: Path) -> None:
    """Score every experiment; the first process writes `out`."""
    rows = []
    for experiment, at, model, images in experiments(folder, sets, mean):
        values = {
            name: in_unit(statistics(fabric, model, x, draws, f"{experiment} {at}, {name}")["log_prob"], model.dims, model.unit)
            for name, x in images.items()
        }
        for name, found in values.items():
            auroc = metrics.auroc(values["test"], found) if name != "test" else None
            rows.append([experiment, at, name, len(found), round(found.mean(), DIGITS), auroc and round(auroc, DIGITS)])
    if fabric.is_global_zero:
        out.parent.mkdir(parents=True, exist_ok=True)
        pd.DataFrame(rows, columns=["experiment", "at", "set", "n", "mean", "auroc"]).to_csv(out, index=False)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("model", help="file name of the model in src/likelihood/models")
    parser.add_argument("--benchmark", required=True)
    arguments = parser.parse_args()
    values = params.load()
    count, seed = values["claims"]["images"], values["seed"]
    folder = Path("data/models") / arguments.benchmark / arguments.model
    source = Path("data/processed") / arguments.benchmark
    _, model = checkpoint.load(folder / "best.safetensors")
    inside, outside = (sets_of(source / side, model, count, seed) for side in ("in", "out"))
    sets = {"test": inside["test"][1], **{name: x for name, (_, x) in outside.items() if data.natural(name)}}
    work = functools.partial(
        dissect,
        folder=folder,
        sets=sets,
        mean=json.loads((source / "in" / "statistics.json").read_text(encoding="utf-8"))["mean"],
        draws=values["score"]["draws"][arguments.model],
        out=Path("metrics/claims") / arguments.benchmark / f"{arguments.model}.csv",
    )
    processes.run(work, every_core=True)


if __name__ == "__main__":
    stage.run(main)
