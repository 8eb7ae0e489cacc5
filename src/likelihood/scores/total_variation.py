"""Baseline without a model: the total variation of an image; a smooth image is outlying.

-Σ |x(i + 1, j) - x(i, j)| + |x(i, j + 1) - x(i, j)|
"""

from typing import ClassVar

import numpy as np

from likelihood.scores.base import Sample, Score


class TotalVariation(Score):
    """Minus the sum of the differences between neighbours, in grey levels."""

    title: ClassVar[str] = "total variation, small = outlying"

    def score(self, sample: Sample) -> np.ndarray:
        """See Score."""
        x = sample.images.astype(np.int64)
        down, right = np.abs(np.diff(x, axis=2)).sum(axis=(1, 2, 3)), np.abs(np.diff(x, axis=3)).sum(axis=(1, 2, 3))
        return -(down + right).astype(np.float64)
