"""Stages `score_in` and `score_out`: per-image statistics of one model, the last stages that touch a network.

Reads a model's best weights and data/processed/<benchmark>/{in,out}. Writes one Parquet file a set to
data/scores/<benchmark>/{in,out}/<model>/: `index` (position of the image in its set) and the model's statistics in nats; and
model.json, what the numbers are. A fixed choice of `score.images` images stands for each set, the same for every model.

Images are dealt out to all processes, of which every CPU core has one of its own, and gathered in their order.
"""

import argparse
import functools
import json
from pathlib import Path
from zlib import crc32

import numpy as np
import pandas as pd
import torch
from lightning_fabric import Fabric
from tqdm import tqdm

import params
import processes
import stage
from likelihood.data import images
from likelihood.errors import InputError
from likelihood.models import checkpoint
from likelihood.models.base import LikelihoodModel

GPU_BATCH = 500  # images at a time; no score depends on it


def chosen(name: str, available: int, count: int, seed: int) -> np.ndarray:
    """Sorted positions of `count` of the `available` images of a set, or of all: seeded by `seed` and the set's name."""
    order = np.random.RandomState([seed, crc32(name.encode())]).permutation(available)
    return np.sort(order[:count])


def statistics(fabric: Fabric, model: LikelihoodModel, x: np.ndarray, draws: int, name: str) -> pd.DataFrame:
    """Statistics of uint8 images x (N, C, H, W), a row an image; each process scores its share, every one gets the table."""
    model = model.to(fabric.device)
    share = np.arange(fabric.global_rank, max(len(x), fabric.world_size), fabric.world_size)
    mine = x[share % len(x)]  # where there are more processes than images, some only keep the others company
    batch = model.core_batch if fabric.device.type == "cpu" else GPU_BATCH
    hidden = None if fabric.is_global_zero else True
    starts = tqdm(range(0, len(mine), batch), desc=name, unit="batch", leave=False, disable=hidden)
    parts = [model.statistics(torch.from_numpy(mine[start : start + batch]), draws) for start in starts]
    columns = list(parts[0])
    table = torch.zeros(len(x), len(columns), dtype=torch.float64, device=fabric.device)
    for column, key in enumerate(columns):
        table[share[share < len(x)], column] = torch.cat([part[key] for part in parts])[share < len(x)]
    table = fabric.all_reduce(table, reduce_op="sum")  # a row is zero in all processes but one
    return pd.DataFrame(table.cpu().numpy(), columns=columns)


def score(
    fabric: Fabric, model: LikelihoodModel, sets: dict[str, tuple[np.ndarray, np.ndarray]], draws: int, folder: Path, name: str
) -> None:
    """Score sets of (positions, uint8 images) with a model of that name; the first process writes `folder`."""
    tables = {stem: statistics(fabric, model, x, draws, stem) for stem, (_, x) in sets.items()}
    if not fabric.is_global_zero:
        return
    with images.replaced(folder) as partial:
        for stem, table in tables.items():
            table.insert(0, "index", sets[stem][0])
            table.to_parquet(partial / f"{stem}.parquet", index=False)
            print(f"{stem}: {len(table)} images, mean log_prob {table['log_prob'].mean():.1f} nats", flush=True)
        facts = {
            "model": name,
            "dims": model.dims,
            "levels": model.levels,
            "lower_bound": model.lower_bound,
            "draws": draws,
            "unit": model.unit,
        }
        (partial / "model.json").write_text(json.dumps(facts, indent=1) + "\n", encoding="utf-8")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("side", choices=["in", "out"])
    parser.add_argument("model", help="file name of the model in src/likelihood/models")
    parser.add_argument("--benchmark", required=True)
    arguments = parser.parse_args()
    values = params.load()
    count, draws = values["score"]["images"], values["score"]["draws"][arguments.model]
    weights = Path("data/models") / arguments.benchmark / arguments.model / "best.safetensors"
    name, model = checkpoint.load(weights)
    source = Path("data/processed") / arguments.benchmark / arguments.side
    sets = {}
    for path in sorted(source.glob("*.npy")):
        x = images.load(path)
        if x.shape[1:] != model.shape:
            raise InputError(f"{path} holds images of {x.shape[1:]}, but {weights} was trained on {model.shape}")
        index = chosen(path.stem, len(x), count, values["seed"])
        sets[path.stem] = (index, x[index])
    folder = Path("data/scores") / arguments.benchmark / arguments.side / arguments.model
    work = functools.partial(score, model=model, sets=sets, draws=draws, folder=folder, name=name)
    processes.run(work, every_core=True)


if __name__ == "__main__":
    stage.run(main)
