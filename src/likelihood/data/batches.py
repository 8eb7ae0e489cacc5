"""CIFAR's published archives, read without unpickling: a pickle is a program, and loading one runs it.

Each file of an archive is the pickle of a dictionary with an array `data` of uint8, (images, 3072): a row is an image, its
colours one after the other [1]. Pickle's own disassembler lists the program's steps without taking any. The pixels are the one
string that is as long as whole images, by far the longest; the step before it says whether the array was stored by columns.
torchvision knows the address and the checksum of an archive and of the files in it.

[1] Krizhevsky, The CIFAR-10 dataset, https://www.cs.toronto.edu/~kriz/cifar.html
"""

import pickletools
from collections.abc import Mapping
from pathlib import Path

import numpy as np

from likelihood.data.base import Source
from likelihood.data.mirrors import NAME, patience

VALUES = 3 * 32 * 32  # of an image


def cifar(loader: str) -> Source:
    """The source that is the archive of `torchvision.datasets.<loader>`, CIFAR10 or CIFAR100."""

    def fetch(scratch: Path) -> Mapping[str, np.ndarray]:
        from torchvision import datasets  # takes seconds to import and is not needed when nothing is fetched
        from torchvision.datasets import utils

        kind = getattr(datasets, loader)
        with patience():
            utils.download_and_extract_archive(kind.url, scratch, filename=kind.filename, md5=kind.tgz_md5)
        pixels = {}
        for split, files in {"train": kind.train_list, "test": kind.test_list}.items():
            parts = []
            for name, md5 in files:
                path = scratch / kind.base_folder / name
                if not utils.check_integrity(path, md5):
                    raise RuntimeError(f"{name} of the archive is missing or damaged")
                parts.append(rows(path.read_bytes()))
            pixels[split] = np.concatenate(parts).reshape(-1, 3, 32, 32).transpose(0, 2, 3, 1)  # (N, H, W, C)
        return pixels

    return Source(NAME, fetch)


def rows(pickled: bytes) -> np.ndarray:
    """The array `data` of a batch, uint8 (images, 3072), from its pickle, which is not run; RuntimeError where there is none."""
    found, before = b"", None
    by_columns = False
    for opcode, argument, _ in pickletools.genops(pickled):
        # Python 2's strings are shown as text of one character a byte.
        content = argument.encode("latin-1", "ignore") if opcode.name in ("BINSTRING", "SHORT_BINSTRING") else argument
        if isinstance(content, bytes) and len(content) > len(found):
            found, by_columns = content, before is not None and (before[0].name == "NEWTRUE" or before[1] is True)
        before = (opcode, argument)
    if not found or len(found) % VALUES:
        raise RuntimeError(f"a batch of the archive holds no images of {VALUES} values")
    return np.frombuffer(found, np.uint8).reshape(-1, VALUES, order="F" if by_columns else "C")
