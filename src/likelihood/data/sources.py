"""Where published sets come from: torchvision's own loaders, CIFAR's binary archives, and packages of Debian or Ubuntu.

torchvision's loaders know the mirrors and check what they fetch.

CIFAR's usual archives are pickles, and a pickle is a program that runs when it is loaded. The binary archives [1] hold the same
images: a record is one label byte (CIFAR-100: two, the class is the second), then 3,072 bytes, one colour after the other.

A package is taken as an ordinary user: nothing is installed, no root is needed. apt gets a state and a cache of its own in a
temporary folder, reads the machine's list of archives and keys, and checks the archive's signatures as ever; dpkg-deb unpacks the
package without running any of it.

References:
    [1] The CIFAR-10 dataset (Krizhevsky), https://www.cs.toronto.edu/~kriz/cifar.html
"""

import contextlib
import errno
import os
import shutil
import socket
import subprocess
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import NamedTuple

import numpy as np

from likelihood.data.base import Source

TIMEOUT = 20.0  # seconds without an answer after which a mirror counts as unreachable; torchvision itself would wait forever
COMMAND = 600  # seconds for one command: a slow line needs minutes for the archive's lists
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
    """The source that is `torchvision.datasets.<loader>`, a class told its split by `train=True`, or by the split's name.

    The former kind calls the labels `targets`, the latter `labels`.
    """

    def fetch(scratch: Path) -> Mapping[str, np.ndarray]:
        from torchvision import datasets  # takes seconds to import and is not needed when nothing is fetched

        load = getattr(datasets, loader)
        which = {split: {"split": split} if by_name else {"train": split == "train"} for split in ("train", "test")}
        with patience():
            loaded = {split: load(scratch, download=True, **choice) for split, choice in which.items()}
        pixels = {split: np.asarray(each.data) for split, each in loaded.items()}
        labels = {f"{split}_labels": np.asarray(each.labels if by_name else each.targets) for split, each in loaded.items()}
        # Some loaders give colours first.
        return {split: x.transpose(0, 2, 3, 1) if x.ndim == 4 and x.shape[1] == 3 else x for split, x in pixels.items()} | labels

    return Source(NAME, fetch)


class Archive(NamedTuple):
    """One of CIFAR's binary archives."""

    file: str
    md5: str
    folder: str
    labels: int  # bytes before the pixels of an image
    splits: dict[str, list[str]]


ADDRESS = "https://www.cs.toronto.edu/~kriz/"
VALUES = 3 * 32 * 32  # of an image
CIFAR = {
    "cifar10": Archive(
        "cifar-10-binary.tar.gz",
        "c32a1d4ab5d03f1284b67883e8d87530",
        "cifar-10-batches-bin",
        1,
        {"train": [f"data_batch_{k}.bin" for k in range(1, 6)], "test": ["test_batch.bin"]},
    ),
    "cifar100": Archive(
        "cifar-100-binary.tar.gz",
        "03b5dce01913d631647c71ecec9e9cb8",
        "cifar-100-binary",
        2,
        {"train": ["train.bin"], "test": ["test.bin"]},
    ),
}


def cifar(name: str) -> Source:
    """The source that is a binary archive of CIFAR: `cifar10` or `cifar100`."""

    def fetch(scratch: Path) -> Mapping[str, np.ndarray]:
        archive = CIFAR[name]
        from torchvision.datasets import utils  # takes seconds to import and is not needed when nothing is fetched

        with patience():
            utils.download_and_extract_archive(ADDRESS + archive.file, scratch, filename=archive.file, md5=archive.md5)
        folder = scratch / archive.folder
        fetched = {}
        for split, files in archive.splits.items():
            read = [records((folder / file).read_bytes(), archive.labels) for file in files]
            fetched[split], fetched[f"{split}_labels"] = map(np.concatenate, zip(*read, strict=True))
        return fetched

    return Source("the University of Toronto", fetch)


def records(content: bytes, labels: int) -> tuple[np.ndarray, np.ndarray]:
    """The images of a file of records, uint8 N×32×32×3, and their classes; RuntimeError where it ends within a record."""
    size = labels + VALUES
    if not content or len(content) % size:
        raise RuntimeError(f"a file of the archive does not hold whole records of {size} bytes")
    table = np.frombuffer(content, np.uint8).reshape(-1, size)
    return np.ascontiguousarray(table[:, labels:].reshape(-1, 3, 32, 32).transpose(0, 2, 3, 1)), table[:, labels - 1]


def unpack(package: str, scratch: Path) -> Path:
    """Download the package and unpack it below `scratch`; returns the folder that stands for `/`.

    RuntimeError with apt's own words when the archive cannot be reached or lacks the package, OSError (ENOSPC) on a full disk.
    """
    for tool in ("apt-get", "dpkg-deb"):
        if shutil.which(tool) is None:
            raise RuntimeError(f"this machine has no {tool}")
    state, cache, root = scratch / "state", scratch / "cache", scratch / "root"
    (state / "lists" / "partial").mkdir(parents=True)
    (cache / "archives" / "partial").mkdir(parents=True)
    options = {
        "Dir::State": state.resolve(),
        "Dir::State::status": "/var/lib/dpkg/status",  # apt wants to know what is installed, and would look in its new state
        "Dir::Cache": cache.resolve(),
        "Acquire::http::Timeout": 20,
        "Acquire::https::Timeout": 20,
        "Acquire::Retries": 1,
        "APT::Sandbox::User": "root",  # root's apt would else become a user who may not write into a private folder
    }
    apt = ["apt-get", "-qq", *(f"-o{key}={value}" for key, value in options.items())]
    warnings = _run([*apt, "update"], scratch)
    try:
        _run([*apt, "download", package], scratch)
    except RuntimeError as error:
        # An update that reaches no archive only warns, and the download then merely does not know the package.
        raise RuntimeError("; ".join([str(error), *warnings.splitlines()[:1]])) from error
    _run(["dpkg-deb", "-x", next(scratch.glob("*.deb")).name, str(root.resolve())], scratch)
    return root


def _run(command: list[str], folder: Path) -> str:
    """Run one command to its end and return what it said on standard error."""
    english = {**os.environ, "LC_ALL": "C"}
    done = subprocess.run(command, cwd=folder, env=english, capture_output=True, text=True, timeout=COMMAND)
    said = done.stderr.strip()
    if "No space left on device" in said or "enough free space" in said:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), str(folder))
    if done.returncode != 0:
        raise RuntimeError(said or f"{command[0]} ended with status {done.returncode}")
    return said
