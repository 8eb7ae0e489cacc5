"""CIFAR-100: photographs of a hundred kinds of things, none of CIFAR-10's, 32×32 RGB; 50,000 training and 10,000 test images [1].

No SHA-256 of its pixels is recorded here: what vouches for a download is torchvision's checksum of the archive.

[1] Krizhevsky, Learning multiple layers of features from tiny images, technical report, University of Toronto, 2009.
"""

from likelihood.data.base import Published, Split
from likelihood.data.batches import cifar

DATASET = Published(
    shape=(32, 32, 3),
    splits={"train": Split(50_000, sha256=None), "test": Split(10_000, sha256=None)},
    sources=(cifar("CIFAR100"),),
)
