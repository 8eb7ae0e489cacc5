"""Data sets from torchvision's own loaders, which know the mirrors and check the archives they fetch."""

import contextlib
import socket
from collections.abc import Iterator, Mapping
from pathlib import Path

import numpy as np

from likelihood.data.base import Source

TIMEOUT = 20.0  # seconds without an answer after which a mirror counts as unreachable; torchvision itself would wait for ever
NAME = "torchvision's mirrors"


@contextlib.contextmanager
def patience() -> Iterator[None]:
    """A limit on how long torchvision waits for an answer, taken back afterwards."""
    before = socket.getdefaulttimeout()
    socket.setdefaulttimeout(TIMEOUT)
    try:
        yield
    finally:
        socket.setdefaulttimeout(before)


def torchvision(loader: str, by_name: bool = False) -> Source:
    """The source that is `torchvision.datasets.<loader>`, a class told its split by `train=True`, or by the split's name."""

    def fetch(scratch: Path) -> Mapping[str, np.ndarray]:
        from torchvision import datasets  # takes seconds to import and is not needed when nothing is fetched

        load = getattr(datasets, loader)
        which = {split: {"split": split} if by_name else {"train": split == "train"} for split in ("train", "test")}
        with patience():
            pixels = {split: np.asarray(load(scratch, download=True, **choice).data) for split, choice in which.items()}
        # Some loaders give colours first.
        return {split: x.transpose(0, 2, 3, 1) if x.ndim == 4 and x.shape[1] == 3 else x for split, x in pixels.items()}

    return Source(NAME, fetch)
