"""Baselines of the pixels alone, without a model.

    Mean              minus the mean of an image's values: a dark image is outlying
    PixelVariance     minus the variance of an image's values: a flat image is outlying
    TotalVariation    -Σ |x(i + 1, j) - x(i, j)| + |x(i, j + 1) - x(i, j)|: a smooth image is outlying

Low variance is what the second-order analysis of [1] makes responsible for high likelihoods.

References:
    [1] Do deep generative models know what they don't know? (Nalisnick et al., 2019), https://arxiv.org/abs/1810.09136
"""

import numpy as np

from likelihood.scores.base import Sample, Score


class Mean(Score):
    """Minus the mean over all values of the image."""

    title = "mean of the pixels, small = outlying"

    def score(self, sample: Sample) -> np.ndarray:
        return -sample.images.reshape(len(sample.images), -1).mean(axis=1, dtype=np.float64)


class PixelVariance(Score):
    """Minus the variance over all values of the image."""

    title = "variance of the pixels, small = outlying"

    def score(self, sample: Sample) -> np.ndarray:
        return -sample.images.reshape(len(sample.images), -1).var(axis=1, dtype=np.float64)


class TotalVariation(Score):
    """Minus the sum of the differences between neighbours, in grey levels."""

    title = "total variation, small = outlying"

    def score(self, sample: Sample) -> np.ndarray:
        x = sample.images.astype(np.int64)
        down, right = np.abs(np.diff(x, axis=2)).sum(axis=(1, 2, 3)), np.abs(np.diff(x, axis=3)).sum(axis=(1, 2, 3))
        return -(down + right).astype(np.float64)
