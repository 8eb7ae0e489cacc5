"""Which images stand for a set: a fixed choice, seeded by `seed` and the set's name, the same for every model and score."""

from zlib import crc32

import numpy as np


def scored(name: str, available: int, count: int, seed: int) -> np.ndarray:
    """Sorted positions of `count` of the `available` images of a set, or of all: those that models score."""
    order = np.random.RandomState([seed, crc32(name.encode())]).permutation(available)
    return np.sort(order[:count])


def compared(name: str, available: int, count: int, seed: int) -> np.ndarray:
    """Positions among the `available` scored images of a set, in a random order: those that the table of scores compares.

    All validation images, `val`, are there to fit on; of the others `count`, so many as every cell of the table can have.
    """
    order = np.random.RandomState([seed, crc32(name.encode()), 1]).permutation(available)
    return order if name == "val" else order[:count]
