"""Stage preprocess: one benchmark's raw images as (N, C, H, W) uint8 arrays to memory-map, in data/processed/<benchmark>/.

Writes in/{train,val,test}.npy, out/<set>.npy, and a statistics.json in each folder. The validation split is drawn from the
in-set's training images; test and out-sets keep their order. What in/ holds depends on the in-set alone, so a changed out-set
retrains nothing.
"""

import argparse
import json
from pathlib import Path

import numpy as np

import params
import stage
from likelihood.data import images
from likelihood.errors import InputError


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--benchmark", required=True, help="a name under benchmarks: in params.yaml")
    benchmark = parser.parse_args().benchmark
    values = params.load()
    raw = Path("data/raw") / benchmark
    with images.replaced(Path("data/processed") / benchmark) as folder:
        preprocess_in(raw / "in", folder / "in", values["seed"], values["preprocess"]["validation_fraction"])
        preprocess_out(raw / "out", folder / "out")


def preprocess_in(raw: Path, folder: Path, seed: int, validation_fraction: float) -> None:
    """Split train into train and val, by a permutation drawn with `seed`; the statistics are those of the new train."""
    published = images.load_canonical(raw / "train.npy")
    val, train = split(len(published), seed, validation_fraction)
    images.save(folder / "val.npy", images.to_network(published[val]))
    images.save(folder / "test.npy", images.to_network(images.load_canonical(raw / "test.npy")))
    pixels = images.to_network(published[train])  # (N, C, H, W)
    images.save(folder / "train.npy", pixels)
    write_json(folder / "statistics.json", images.statistics(pixels))


def preprocess_out(raw: Path, folder: Path) -> None:
    """Convert every out-set; the statistics are by name."""
    statistics = {}
    for path in sorted(raw.glob("*.npy")):
        pixels = images.to_network(images.load_canonical(path))  # (N, C, H, W)
        images.save(folder / path.name, pixels)
        statistics[path.stem] = images.statistics(pixels)
    write_json(folder / "statistics.json", statistics)


def split(count: int, seed: int, validation_fraction: float) -> tuple[np.ndarray, np.ndarray]:
    """Indices of the validation images and of the training images: disjoint, together all of 0..count-1, neither empty."""
    if count < 2:
        raise InputError(f"the in-set has {count} training image: two are needed, one to train on and one to validate with")
    # RandomState's stream is frozen, default_rng's may change with NumPy's version.
    order = np.random.RandomState(seed).permutation(count)
    val_count = min(max(round(validation_fraction * count), 1), count - 1)
    return order[:val_count], order[val_count:]


def write_json(path: Path, values: dict) -> None:
    path.write_text(json.dumps(values, indent=1, sort_keys=True) + "\n", encoding="utf-8")


if __name__ == "__main__":
    stage.run(main)
