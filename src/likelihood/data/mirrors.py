"""Data sets from torchvision's own loaders, which know the mirrors and check the archives they fetch."""

import socket
from collections.abc import Mapping
from pathlib import Path

import numpy as np

from likelihood.data.base import Source

TIMEOUT = 20.0  # seconds without an answer after which a mirror counts as unreachable; torchvision itself would wait for ever


def torchvision(loader: str) -> Source:
    """The source that is `torchvision.datasets.<loader>`, a class with the arguments root, train and download."""

    def fetch(scratch: Path) -> Mapping[str, np.ndarray]:
        from torchvision import datasets  # takes seconds to import and is not needed when nothing is fetched

        before = socket.getdefaulttimeout()
        socket.setdefaulttimeout(TIMEOUT)
        try:
            load = getattr(datasets, loader)
            return {split: np.asarray(load(scratch, train=split == "train", download=True).data) for split in ("train", "test")}
        finally:
            socket.setdefaulttimeout(before)

    return Source("torchvision's mirrors", fetch)
