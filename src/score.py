"""Stages `score_in` and `score_out`: per-image statistics of one model, the last stages that touch a network.

Reads a model's best weights and data/processed/<benchmark>/{in,out}. Writes one Parquet file a set to
data/scores/<benchmark>/{in,out}/<model>/: `index` (position of the image in its set) and the model's statistics in nats; and
model.json, what the numbers are. A fixed choice of `score.images` images stands for each set, the same for every model.

Images are dealt out to all processes, of which every CPU core has one of its own, and gathered in their order.
"""

import argparse
import functools
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import torch
from lightning_fabric import Fabric
from torch import Tensor
from tqdm import tqdm

from likelihood.common import images
from likelihood.common.errors import InputError
from likelihood.models.shared import checkpoint
from likelihood.models.shared.base import LikelihoodModel
from likelihood.runtime import processes, stage
from likelihood.settings import params
from likelihood.statistics import selection

GPU_BATCH = 500  # images at a time; no score depends on it


def measured(
    fabric: Fabric, measure: Callable[[Tensor], dict[str, Tensor]], batch: int, x: np.ndarray, name: str
) -> pd.DataFrame:
    """What `measure` says of uint8 images x (N, C, H, W), a row an image: each process asks of its share and gets the table."""
    share = np.arange(fabric.global_rank, max(len(x), fabric.world_size), fabric.world_size)
    mine = x[share % len(x)]  # where there are more processes than images, some only keep the others company
    batch = batch if fabric.device.type == "cpu" else GPU_BATCH
    hidden = None if fabric.is_global_zero else True
    starts = tqdm(range(0, len(mine), batch), desc=name, unit="batch", leave=False, disable=hidden)
    parts = [measure(torch.from_numpy(mine[start : start + batch])) for start in starts]
    columns = list(parts[0])
    table = torch.zeros(len(x), len(columns), dtype=torch.float64, device=fabric.device)
    for column, key in enumerate(columns):
        table[share[share < len(x)], column] = torch.cat([part[key] for part in parts])[share < len(x)].double()
    table = fabric.all_reduce(table, reduce_op="sum")  # a row is zero in all processes but one
    return pd.DataFrame(table.cpu().numpy(), columns=columns)


def statistics(fabric: Fabric, model: LikelihoodModel, x: np.ndarray, draws: int, name: str) -> pd.DataFrame:
    """Statistics of uint8 images x (N, C, H, W), a row an image, in every process."""
    return measured(fabric, functools.partial(model.to(fabric.device).statistics, draws=draws), model.core_batch, x, name)


def write(tables: dict[str, pd.DataFrame], folder: Path, facts: dict[str, Any] | None = None) -> None:
    """Write a Parquet file a set, and model.json with what the numbers are if they are a model's, all or nothing."""
    with images.replaced(folder) as partial:
        for stem, table in tables.items():
            table.to_parquet(partial / f"{stem}.parquet", index=False)
            print(f"{stem}: {len(table)} images", flush=True)
        if facts is not None:
            (partial / "model.json").write_text(json.dumps(facts, indent=1) + "\n", encoding="utf-8")


def sets_of(folder: Path, model: LikelihoodModel, count: int, seed: int) -> dict[str, tuple[np.ndarray, np.ndarray]]:
    """Positions and images of those that stand for each set of a folder; InputError where the model knows no such images."""
    sets = {}
    for path in sorted(folder.glob("*.npy")):
        x = images.load(path)
        if x.shape[1:] != model.shape:
            raise InputError(f"{path} holds images of {x.shape[1:]}, but the model was trained on {model.shape}")
        index = selection.scored(path.stem, len(x), count, seed)
        sets[path.stem] = (index, x[index])
    return sets


def score(
    fabric: Fabric, model: LikelihoodModel, sets: dict[str, tuple[np.ndarray, np.ndarray]], draws: int, folder: Path, name: str
) -> None:
    """Score sets of (positions, uint8 images) with a model of that name; the first process writes `folder`."""
    tables = {stem: statistics(fabric, model, x, draws, stem) for stem, (_, x) in sets.items()}
    if not fabric.is_global_zero:
        return
    facts = {
        "model": name,
        "dims": model.dims,
        "levels": model.levels,
        "lower_bound": model.lower_bound,
        "draws": draws,
        "unit": model.unit,
    }
    for stem, table in tables.items():
        table.insert(0, "index", sets[stem][0])
        print(f"{stem}: mean log_prob {table['log_prob'].mean():.1f} nats", flush=True)
    write(tables, folder, facts)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("side", choices=["in", "out"])
    parser.add_argument("model", help="file name of the model in src/likelihood/models")
    parser.add_argument("--benchmark", required=True)
    arguments = parser.parse_args()
    values = params.load()
    count, draws = values["score"]["images"], values["score"]["draws"][arguments.model]
    name, model = checkpoint.load(Path("data/models") / arguments.benchmark / arguments.model / "best.safetensors")
    source = Path("data/processed") / arguments.benchmark / arguments.side
    sets = sets_of(source, model, count, values["seed"])
    folder = Path("data/scores") / arguments.benchmark / arguments.side / arguments.model
    work = functools.partial(score, model=model, sets=sets, draws=draws, folder=folder, name=name)
    processes.run(work, every_core=True)


if __name__ == "__main__":
    stage.run(main)
