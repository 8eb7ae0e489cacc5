"""Constant images: 256 of them, image k having the level k in every pixel and channel; of all images the simplest."""

import numpy as np

from likelihood.data.base import Made


def _make(shape: tuple[int, ...]) -> np.ndarray:
    levels = np.arange(256, dtype=np.uint8).reshape(256, *(1 for _ in shape))
    return np.broadcast_to(levels, (256, *shape)).copy()


DATASET = Made(_make)
