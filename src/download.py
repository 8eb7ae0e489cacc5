"""Stage download: the canonical uint8 images of one benchmark's in-set and out-sets, pixels checked, in data/raw/<benchmark>/.

Writes in/train.npy, in/test.npy and out/<set>.npy. What had to be fetched stays in data/downloads/, outside DVC, so nothing is
fetched twice; a folder of <set>/<split>.npz named by the environment variable LIKELIHOOD_IMAGES is tried first.
"""

import argparse
import os
from pathlib import Path

import numpy as np

import params
import stage
from likelihood.data import base, fetching, images
from likelihood.errors import InputError

DOWNLOADS = Path("data/downloads")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--benchmark", required=True, help="a name under benchmarks: in params.yaml")
    benchmark = parser.parse_args().benchmark
    entry = params.of_benchmark(params.load(), benchmark)
    in_name, out_names = entry["in"], entry["out"]
    check(benchmark, in_name, out_names)
    in_set = base.get(in_name)
    with images.replaced(Path("data/raw") / benchmark) as folder:
        for split in ("train", "test"):
            images.save(folder / "in" / f"{split}.npy", fetched(in_name, in_set, split))
        for name in out_names:
            out_set = base.get(name)
            if isinstance(out_set, base.Made):
                pixels = out_set.make(in_set.shape)
                print(f"{name}: {len(pixels)} images made")
            else:
                pixels = fetched(name, out_set, out_set.out_split)
            images.save(folder / "out" / f"{name}.npy", pixels)


def check(benchmark: str, in_name: str, out_names: list[str]) -> None:
    """Refuse, before anything is fetched, a benchmark that makes no sense."""
    in_set = base.get(in_name)
    if isinstance(in_set, base.Made):
        raise InputError(f"benchmark {benchmark} has the made set {in_name} as its in-set: only published sets can be trained on")
    if not out_names:
        raise InputError(f"benchmark {benchmark} has no out-set: name at least one under out")
    if in_name in out_names:
        raise InputError(f"benchmark {benchmark} has {in_name} both as its in-set and as an out-set: remove it from out")
    for name in out_names:
        if out_names.count(name) > 1:
            raise InputError(f"benchmark {benchmark} has the out-set {name} more than once: name it once")
        out_set = base.get(name)
        if isinstance(out_set, base.Published) and out_set.shape != in_set.shape:
            raise InputError(
                f"benchmark {benchmark} mixes image shapes: {in_name} has {in_set.shape}, {name} has {out_set.shape}; "
                "all sets of one benchmark must have the same"
            )


def fetched(name: str, dataset: base.Published, split: str) -> np.ndarray:
    """One split's pixels, with a line that says where they came from."""
    folder = os.environ.get(fetching.FOLDER_VARIABLE)
    pixels, origin = fetching.fetch(name, dataset, split, DOWNLOADS, Path(folder) if folder else None)
    print(f"{name} {split}: {len(pixels)} images from {origin}")
    return pixels


if __name__ == "__main__":
    stage.run(main)
