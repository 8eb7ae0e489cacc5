"""Stage download: the canonical uint8 images of one benchmark's in-set and out-sets, pixels checked, in data/raw/<benchmark>/.

Writes in/train.npy, in/test.npy and out/<set>.npy. What had to be fetched stays in data/downloads/, outside DVC, so nothing is
fetched twice; a folder of <set>/<split>.npz named by the environment variable LIKELIHOOD_IMAGES is tried first. A user's own
images are in data/own/<set>/; in/prepared.json says how many of their pictures were resized or of lossy formats.
"""

import argparse
import json
import os
from pathlib import Path

import numpy as np

from likelihood.common import images, params, stage
from likelihood.data import base, fetching, own
from likelihood.data.own import Own

DOWNLOADS = Path("data/downloads")
OWN = Path("data/own")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--benchmark", required=True, help="a name under benchmarks: in params.yaml")
    benchmark = parser.parse_args().benchmark
    entry = params.resolved(benchmark, "sets")
    sets = {name: own.find(name, entry["own"], OWN) for name in (entry["in"], *entry["out"])}
    in_set = sets[entry["in"]]
    fetching.bring()
    for dataset in sets.values():
        if isinstance(dataset, Own):
            dataset.hashable()
    with images.replaced(Path("data/raw") / benchmark) as folder:
        if isinstance(in_set, Own):
            splits, prepared = in_set.in_set()
            (folder / "in").mkdir()
            (folder / "in/prepared.json").write_text(json.dumps(prepared) + "\n", encoding="utf-8")
        else:
            splits = {split: fetched(entry["in"], in_set, split) for split in ("train", "test")}
        for split, pixels in splits.items():
            images.save(folder / "in" / f"{split}.npy", pixels)
        for name in entry["out"]:
            images.save(folder / "out" / f"{name}.npy", out_pixels(name, sets[name], in_set.shape))


def out_pixels(name: str, dataset: own.DataSet, shape: tuple[int, ...]) -> np.ndarray:
    """The images of an out-set, beside an in-set with images of that shape."""
    if isinstance(dataset, base.Made):
        pixels = dataset.make(shape)
        print(f"{name}: {len(pixels)} images made")
        return pixels
    return dataset.out_set() if isinstance(dataset, Own) else fetched(name, dataset, dataset.out_split)


def fetched(name: str, dataset: base.Published | base.Part, split: str) -> np.ndarray:
    """One split's pixels, with a line that says where they came from."""
    folder = os.environ.get(fetching.FOLDER_VARIABLE)
    pixels, source = fetching.fetch(name, dataset, split, DOWNLOADS, fetching.root() / folder if folder else None)
    print(f"{name} {split}: {len(pixels)} images from {source}")
    return pixels


if __name__ == "__main__":
    stage.run(main)
