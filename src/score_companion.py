"""Stage `score_companion`: what a model's companions say of the images that the model has scored.

Reads the weights in data/companions/<benchmark>/<companion>/ and data/processed/<benchmark>/{in,out}. Writes one Parquet file a
set to data/extra/<benchmark>/<companion>/: `index`, and every statistic of every member in nats as `<statistic>@<member>`, where
a member is a seed's number in `companions.seeds`, from 1 on, or the companion's kind, as in `log_prob@background`.
"""

import argparse
import functools
from pathlib import Path

import pandas as pd
from lightning_fabric import Fabric

from likelihood.models.shared import checkpoint
from likelihood.models.shared.base import LikelihoodModel
from likelihood.runtime import processes, stage
from likelihood.settings import params
from score import sets_of, statistics, write
from train_companion import members


def score(
    fabric: Fabric, models: dict[str, LikelihoodModel], source: Path, draws: int, count: int, seed: int, folder: Path
) -> None:
    """Score the sets of `source` with every member; the first process writes `folder`."""
    tables = {}
    for side in ("in", "out"):
        for stem, (index, x) in sets_of(source / side, next(iter(models.values())), count, seed).items():
            found = [
                statistics(fabric, model, x, draws, f"{stem}, {name}").add_suffix(f"@{name}") for name, model in models.items()
            ]
            tables[stem] = pd.concat([pd.Series(index, name="index"), *found], axis=1)
    if fabric.is_global_zero:
        write(tables, folder)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("companion", help="<model>_seeds, <model>_background or pixelcnn_local")
    parser.add_argument("--benchmark", required=True)
    arguments = parser.parse_args()
    benchmark, companion = arguments.benchmark, arguments.companion
    values = params.load()
    model, trainings = members(values, companion, benchmark)
    weights = Path("data/companions") / benchmark / companion
    names = [str(k) for k in range(1, len(trainings) + 1)] if companion.endswith("_seeds") else [trainings[0].name]
    models = {
        name: checkpoint.load(weights / member.name / "best.safetensors")[1]
        for name, member in zip(names, trainings, strict=True)
    }
    work = functools.partial(
        score,
        models=models,
        source=Path("data/processed") / benchmark,
        draws=values["score"]["draws"][model],
        count=values["score"]["images"],
        seed=values["seed"],
        folder=Path("data/extra") / benchmark / companion,
    )
    processes.run(work, every_core=True)


if __name__ == "__main__":
    stage.run(main)
