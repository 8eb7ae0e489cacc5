"""Uniform noise: every pixel of every channel independent and uniform on 0..255; no model spends fewer than 8 bits/dim on it."""

import numpy as np

from likelihood.data.base import Made

SEED = 20_190
COUNT = 10_000


def _make(shape: tuple[int, ...]) -> np.ndarray:
    # RandomState's stream is frozen, default_rng's may change with NumPy's version.
    return np.random.RandomState(SEED).randint(0, 256, size=(COUNT, *shape), dtype=np.uint8)


DATASET = Made(_make)
