"""Whether a model's samples look like its in-set or like an out-set, by a random forest [1] that tells the two sets apart.

    share = part of the samples that the forest, trained on pixels of both sets, calls in-distribution

References:
    [1] Random forests (Breiman, 2001), Machine Learning 45
"""

from collections.abc import Mapping

import numpy as np
from sklearn.ensemble import RandomForestClassifier

TREES = 200
PADDING, BLANK = 2, 255  # between the pictures of a grid, and in cells without one


def pictures(grid: np.ndarray, shape: tuple[int, int, int]) -> np.ndarray:
    """The samples in a grid (height, width, 3): uint8 (N, C, H, W), N at least 1. A single one has no padding."""
    channels, height, width = shape
    if grid.shape[:2] == (height, width):
        return grid.transpose(2, 0, 1)[None, :channels]
    rows, columns = ((size - PADDING) // (step + PADDING) for size, step in zip(grid.shape, (height, width), strict=False))
    cells = [
        grid[PADDING + r * (height + PADDING) :, PADDING + c * (width + PADDING) :][:height, :width]
        for r in range(rows)
        for c in range(columns)
    ]
    kept = [cell for cell in cells if not (cell == BLANK).all()] or cells[:1]
    return np.stack(kept).transpose(0, 3, 1, 2)[:, :channels]


def in_distribution(inside: np.ndarray, outside: np.ndarray, judged: Mapping[str, np.ndarray], seed: int) -> dict[str, float]:
    """The share of images that look in-distribution, by name.

    Arguments:
        inside, outside: what the forest learns from, uint8 (N, C, H, W) and (M, C, H, W).
        judged: images by name, each (K, C, H, W).
        seed: of the forest.
    """
    pixels = np.concatenate([inside, outside]).reshape(len(inside) + len(outside), -1)
    forest = RandomForestClassifier(TREES, random_state=seed).fit(pixels, np.repeat([0, 1], [len(inside), len(outside)]))
    return {name: float((forest.predict(x.reshape(len(x), -1)) == 0).mean()) for name, x in judged.items()}
