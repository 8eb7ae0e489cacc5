"""The contract of a data set, and the registry by name.

A data set is a `Published` one, fetched and checked against the SHA-256 of its pixels, a named `Part` of one, or a `Made` one,
computed in the image shape of the in-set. sets.py has them all; to add one, add it there and name it in params.yaml. Pixels are
uint8 in C order, N×H×W (grey) or N×H×W×3 (RGB). A user's own images are declared in params.yaml and need no code (own.py).
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from likelihood.common.errors import InputError


@dataclass(frozen=True)
class Source:
    """A place the pixels come from: its name as a message says it, and a function that gets every split.

    `fetch(scratch)` may write into the empty folder `scratch`, which is deleted afterwards; any exception says that it failed.
    Beside a split it may give `<split>_labels`, the class of each image, which only parts by class need.
    """

    name: str
    fetch: Callable[[Path], Mapping[str, np.ndarray]]


@dataclass(frozen=True)
class Split:
    """What is known of a split: the number of images, and the SHA-256 of the pixels (None: only count and shape are checked)."""

    count: int
    sha256: str | None


@dataclass(frozen=True)
class Published:
    """A set that exists elsewhere; the user's folder of images comes first, then its sources in order.

    An in-set is trained on the split `train` and tested on `test`; an out-set is the split named `out_split`. A set without
    `train` can only be an out-set.
    """

    shape: tuple[int, ...]  # of one image: (H, W) or (H, W, 3)
    splits: Mapping[str, Split]
    sources: tuple[Source, ...]  # none: only the user's folder of images has it
    licence: str  # of its images
    out_split: str = "test"
    alias: str | None = None  # another name that it may have in the user's folder of images


@dataclass(frozen=True)
class Part:
    """Some images of a published set, under a name of their own: what is known of each split, and where its images stand.

    The positions are those in a split of the whole set, of which the first so many images are enough. A part by class has only
    the images there whose labels are among its classes.
    """

    of: str  # name of the whole set
    shape: tuple[int, ...]
    splits: Mapping[str, Split]
    positions: Mapping[str, tuple[str, np.ndarray]]  # split of the part -> split of the whole, positions in it
    classes: tuple[int, ...] = ()  # none: it has images of all
    out_split: str = "test"

    @property
    def licence(self) -> str:
        """That of the whole set."""
        return get(self.of).licence


@dataclass(frozen=True)
class Made:
    """A set computed from the shape of one image, (H, W) or (H, W, 3), and a seed of its own: an out-set for every in-set."""

    make: Callable[[tuple[int, ...]], np.ndarray]


def get(name: str) -> Published | Part | Made:
    """The data set called `name`; InputError listing the known names when there is none."""
    if name not in names():
        raise InputError(f"there is no data set {name!r}: the known ones are {', '.join(names())}")
    return _datasets()[name]


def names() -> list[str]:
    """The names of all data sets, sorted."""
    return sorted(_datasets())


def by_class(whole: str) -> dict[str, Part]:
    """The parts by class of a set."""
    return {name: part for name, part in _datasets().items() if isinstance(part, Part) and part.of == whole and part.classes}


def natural(name: str) -> bool:
    """Whether a data set is of pictures, and not made up; those of the user are."""
    return name not in names() or not isinstance(get(name), Made)


def _datasets() -> dict[str, Published | Part | Made]:
    from likelihood.data.sets import DATASETS  # here, as that file takes its types from this one

    return DATASETS
