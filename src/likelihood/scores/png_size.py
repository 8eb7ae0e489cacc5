"""Baseline without a model: the size of the image as a PNG file; a simple image, a small file, is outlying.

Compressed size stands for the entropy of an image [1]; likelihoods of images follow it closely.

References:
    [1] Input complexity and out-of-distribution detection with likelihood-based generative models (Serrà et al., 2020),
        https://arxiv.org/abs/1909.11480
"""

from typing import ClassVar

import numpy as np

from likelihood.scores.base import Sample, Score


class PngSize(Score):
    """Minus the length of the PNG file."""

    title: ClassVar[str] = "PNG size, small = outlying"
    coded: ClassVar[tuple[str, ...]] = ("png",)

    def score(self, sample: Sample) -> np.ndarray:
        """See Score."""
        return -sample.codes["png"].to_numpy(np.float64)
