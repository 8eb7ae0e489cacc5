"""Baseline without a model: the mean of an image's values; a dark image is outlying."""

from typing import ClassVar

import numpy as np

from likelihood.scores.base import Sample, Score


class Mean(Score):
    """Minus the mean over all values of the image."""

    title: ClassVar[str] = "mean of the pixels, small = outlying"

    def score(self, sample: Sample) -> np.ndarray:
        """See Score."""
        return -sample.images.reshape(len(sample.images), -1).mean(axis=1, dtype=np.float64)
