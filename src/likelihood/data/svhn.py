"""SVHN: house numbers cropped from street photographs, 32×32 RGB; 73,257 training and 26,032 test images [1].

For non-commercial use only. No SHA-256 of its pixels is recorded here: what vouches for a download is torchvision's checksum of
the archives.

[1] Netzer, Wang, Coates, Bissacco, Wu, Ng, Reading digits in natural images with unsupervised feature learning, NIPS workshop
    on deep learning and unsupervised feature learning, 2011.
"""

from likelihood.data.base import Published, Split
from likelihood.data.mirrors import torchvision

DATASET = Published(
    shape=(32, 32, 3),
    splits={"train": Split(73_257, sha256=None), "test": Split(26_032, sha256=None)},
    sources=(torchvision("SVHN", by_name=True),),
)
