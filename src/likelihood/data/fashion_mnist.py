"""Fashion-MNIST: photographs of clothes, 28×28 grey, light on black; 60,000 training and 10,000 test images [1].

[1] Xiao, Rasul, Vollgraf, Fashion-MNIST: a novel image dataset for benchmarking machine learning algorithms,
    arXiv:1708.07747, 2017.
"""

import gzip
from collections.abc import Mapping
from pathlib import Path

import numpy as np

from likelihood.data import debian
from likelihood.data.base import Published, Source, Split
from likelihood.data.mirrors import torchvision

PACKAGE = "dataset-fashion-mnist"


def _from_package(scratch: Path) -> Mapping[str, np.ndarray]:
    folder = debian.unpack(PACKAGE, scratch) / "usr/share/datasets/fashion-mnist"
    return {"train": _read_idx(folder / "train-images-idx3-ubyte.gz"), "test": _read_idx(folder / "t10k-images-idx3-ubyte.gz")}


def _read_idx(path: Path) -> np.ndarray:
    """N×28×28 from a compressed IDX file: a header of 16 bytes, then the pixels."""
    return np.frombuffer(gzip.decompress(path.read_bytes()), dtype=np.uint8, offset=16).reshape(-1, 28, 28)


DATASET = Published(
    shape=(28, 28),
    splits={
        "train": Split(60_000, "2e487a6c89124f78f2d7521542223cafe96f7123c3ca13d447772ac6ecbb3012"),
        "test": Split(10_000, "c867c93ff95360594e8ec3287995350b824dd110b11595c0e13d5423f621867a"),
    },
    sources=(torchvision("FashionMNIST"), Source(f"the Debian archive's package {PACKAGE}", _from_package)),
)
