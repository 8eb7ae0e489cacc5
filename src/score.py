"""Stages `score_in`, `score_out`, `score_variant`: per-image statistics of one model, or variant, on one side of a benchmark.

Reads data/settings/<benchmark>/<model>/scoring.json, a model's best weights and data/processed/<benchmark>/{in,out}. Writes one
Parquet file per set to data/scores/<benchmark>/{in,out}/<model>/: `index` (position of the image in its set) and the model's
statistics in nats; and model.json, what the numbers are. A fixed choice of `score.images` images stands for each set, the same
for every model. A variant of several seeds has its statistics as `<statistic>@<k>`, k = 1, 2 ….

A single flow of constant volume also has out/<model>/curvature.json, its second-order analysis (statistics/curvature.py).
"""

import argparse
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from likelihood.common import images, params, stage
from likelihood.models.shared import checkpoint
from likelihood.models.shared.base import LikelihoodModel
from likelihood.statistics import curvature
from likelihood.statistics.measure import sets_of, statistics, write


def members(folder: Path) -> dict[str, LikelihoodModel]:
    """The models in a folder, by the suffix of their statistics: none for a single one, @1, @2 … for several seeds."""
    seeds = sorted((path.parent for path in folder.glob("seed_*/best.safetensors")), key=lambda path: int(path.name[5:]))
    if not seeds:
        return {"": checkpoint.load(folder / "best.safetensors")[1]}
    return {f"@{k}": checkpoint.load(path / "best.safetensors")[1] for k, path in enumerate(seeds, 1)}


def facts(name: str, model: LikelihoodModel, draws: int) -> dict[str, Any]:
    """What the numbers of a model are."""
    return {
        "model": name,
        "dims": model.dims,
        "levels": model.levels,
        "lower_bound": model.lower_bound,
        "draws": draws,
        "unit": model.unit,
    }


def second_order(model: LikelihoodModel, benchmark: str, name: str, outside: dict[str, pd.DataFrame]) -> dict[str, Any]:
    """The second-order analysis of a flow of constant volume, from its statistics of out-sets and those of the test images."""
    source = Path("data/processed") / benchmark
    inside = pd.read_parquet(Path("data/scores") / benchmark / "in" / name / "test.parquet")
    pixels = {out: np.array(images.load(source / "out" / f"{out}.npy")) for out in outside}
    return curvature.analysis(model, np.array(images.load(source / "in" / "test.npy")), inside, pixels, outside)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("side", choices=["in", "out"])
    parser.add_argument("model", help="vae, pixelcnn, glow, or the name of a variant")
    parser.add_argument("--benchmark", required=True)
    arguments = parser.parse_args()
    side, name, benchmark = arguments.side, arguments.model, arguments.benchmark
    settings = params.resolved(benchmark, f"{name}/scoring")
    models = members(Path("data/models") / benchmark / name)
    first = next(iter(models.values()))
    tables = {}
    for stem, (index, x) in sets_of(
        Path("data/processed") / benchmark / side, first, settings["images"], settings["seed"]
    ).items():
        found = [statistics(model, x, settings["draws"], f"{stem}{at}").add_suffix(at) for at, model in models.items()]
        tables[stem] = pd.concat([pd.Series(index, name="index"), *found], axis=1)
    described = facts(name, first, settings["draws"])
    more = {}
    if side == "out" and list(models) == [""] and first.constant_volume:
        more["curvature"] = second_order(first, benchmark, name, tables)
    write(tables, Path("data/scores") / benchmark / side / name, {"model": described, **more})


if __name__ == "__main__":
    stage.run(main)
