"""Stages `score_in` and `score_out`: per-image statistics of one model, the last stages that touch a network.

Reads a model's best weights and data/processed/<benchmark>/{in,out}. Writes one Parquet file a set to
data/scores/<benchmark>/{in,out}/<model>/: `index` (position of the image in its set) and the model's statistics in nats; and
model.json, what the numbers are. A fixed choice of `score.images` images stands for each set, the same for every model.

On a CPU every core scores batches of its own instead of sharing one. Threads wait for the interpreter between operations, so this
gains where operations are large (the default Glow and Gated PixelCNN) and loses where they are small (the VAE, a small Glow).
"""

import argparse
import json
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from zlib import crc32

import numpy as np
import pandas as pd
import torch
from lightning_fabric import Fabric
from tqdm import tqdm

import params
import stage
from likelihood.data import images
from likelihood.errors import InputError
from likelihood.models import checkpoint
from likelihood.models.base import LikelihoodModel

BATCH = 50  # an image's score does not depend on it but for rounding


def chosen(name: str, available: int, count: int, seed: int) -> np.ndarray:
    """Sorted positions of `count` of the `available` images of a set, or of all: seeded by `seed` and the set's name."""
    order = np.random.RandomState([seed, crc32(name.encode())]).permutation(available)
    return np.sort(order[:count])


def statistics(model: LikelihoodModel, x: np.ndarray, draws: int, name: str) -> pd.DataFrame:
    """Statistics of uint8 images x (N, C, H, W), a row an image."""
    batches = [torch.from_numpy(x[start : start + BATCH]) for start in range(0, len(x), BATCH)]
    workers = torch.get_num_threads() if next(model.parameters()).device.type == "cpu" else 1
    with ThreadPoolExecutor(workers, initializer=one_thread) as pool:
        scored = pool.map(lambda batch: model.statistics(batch, draws), batches)  # in the order of the batches
        parts = list(tqdm(scored, total=len(batches), desc=name, unit="batch", leave=False, disable=None))
    return pd.DataFrame({key: torch.cat([part[key] for part in parts]).cpu().numpy() for key in parts[0]})


def one_thread() -> None:
    """Let the calling thread compute alone: the setting is that thread's own."""
    torch.set_num_threads(1)


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
    model = model.to(Fabric().device)
    source = Path("data/processed") / arguments.benchmark / arguments.side
    folder = Path("data/scores") / arguments.benchmark / arguments.side / arguments.model
    with images.replaced(folder) as partial:
        for path in sorted(source.glob("*.npy")):
            x = images.load(path)
            if x.shape[1:] != model.shape:
                raise InputError(f"{path} holds images of {x.shape[1:]}, but {weights} was trained on {model.shape}")
            index = chosen(path.stem, len(x), count, values["seed"])
            table = statistics(model, x[index], draws, path.stem)
            table.insert(0, "index", index)
            table.to_parquet(partial / f"{path.stem}.parquet", index=False)
            print(f"{path.stem}: {len(index)} images, mean log_prob {table['log_prob'].mean():.1f} nats", flush=True)
        facts = {
            "model": name,
            "dims": model.dims,
            "levels": model.levels,
            "lower_bound": model.lower_bound,
            "draws": draws,
            "unit": model.unit,
        }
        (partial / "model.json").write_text(json.dumps(facts, indent=1) + "\n", encoding="utf-8")


if __name__ == "__main__":
    stage.run(main)
