"""Baseline without a model: the variance of an image's values; a flat image is outlying.

Low variance is what the second-order analysis of [1] makes responsible for high likelihoods.

References:
    [1] Do deep generative models know what they don't know? (Nalisnick et al., 2019), https://arxiv.org/abs/1810.09136
"""

from typing import ClassVar

import numpy as np

from likelihood.scores.base import Sample, Score


class PixelVariance(Score):
    """Minus the variance over all values of the image."""

    title: ClassVar[str] = "variance of the pixels, small = outlying"

    def score(self, sample: Sample) -> np.ndarray:
        """See Score."""
        return -sample.images.reshape(len(sample.images), -1).var(axis=1, dtype=np.float64)
