"""The first 30,000 training images and the first 1,000 test images of CIFAR-10 (cifar10.py)."""

import numpy as np

from likelihood.data.base import Part, Split

DATASET = Part(
    of="cifar10",
    shape=(32, 32, 3),
    splits={
        "train": Split(30_000, "c634eeb2fb3852a7375875909cb8b6a3e88f0c9c9d1a1ec911edb8899f15abb1"),
        "test": Split(1_000, "da362006b99671213d1a5d856cab2bedf64d40bad4501630ee60f4ceb2d3ec7f"),
    },
    positions={"train": ("train", np.arange(30_000)), "test": ("test", np.arange(1_000))},
)
