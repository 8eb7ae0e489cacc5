"""Kuzushiji-MNIST: cursive Japanese characters, 28×28 grey, white on black; 60,000 training and 10,000 test images [1].

No SHA-256 of its pixels is recorded here: what vouches for a download is torchvision's checksum of the archives.

[1] Clanuwat, Bober-Irizar, Kitamoto, Lamb, Yamamoto, Ha, Deep learning for classical Japanese literature, arXiv:1812.01718, 2018.
"""

from likelihood.data.base import Published, Split
from likelihood.data.mirrors import torchvision

DATASET = Published(
    shape=(28, 28),
    splits={"train": Split(60_000, sha256=None), "test": Split(10_000, sha256=None)},
    sources=(torchvision("KMNIST"),),
)
