"""Graying [1]: the contrast of an image shrunk towards a grey or colour m.

    x' = round(m + λ (x - m)),    λ from 1, the image itself, to 0, an image of m alone

References:
    [1] Do deep generative models know what they don't know? (Nalisnick et al., 2019), https://arxiv.org/abs/1810.09136, section 5
"""

from collections.abc import Sequence

import numpy as np


def shrunk(images: np.ndarray, factor: float, mean: Sequence[float]) -> np.ndarray:
    """Images uint8 (N, C, H, W) with their contrast times `factor`, 0 to 1, about `mean` (C,) in grey levels: uint8."""
    center = np.asarray(mean, np.float64)[:, None, None]
    return np.rint(center + factor * (images - center)).astype(np.uint8)
