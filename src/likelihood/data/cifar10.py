"""CIFAR-10: photographs of ten kinds of things, 32×32 RGB; 50,000 training and 10,000 test images [1].

No SHA-256 of the test pixels is recorded here: what vouches for them is torchvision's checksum of the archive.

[1] Krizhevsky, Learning multiple layers of features from tiny images, technical report, University of Toronto, 2009.
"""

from likelihood.data.base import Published, Split
from likelihood.data.batches import cifar

DATASET = Published(
    shape=(32, 32, 3),
    splits={
        "train": Split(50_000, "47af8b02cfcfb6cdf3dbbd1969ad7f1b70f4413f6f80f437b020ee4e5bc8304a"),
        "test": Split(10_000, sha256=None),
    },
    sources=(cifar("CIFAR10"),),
)
