"""Baseline without a model: how far the size of the image's PNG file is from the median size of the in-set."""

from typing import ClassVar

import numpy as np

from likelihood.scores.base import Sample, Score


class PngDistance(Score):
    """Distance of the length of the PNG file from the median; two-sided."""

    title: ClassVar[str] = "PNG size, distance from the median"
    coded: ClassVar[tuple[str, ...]] = ("png",)

    def fit(self, reference: Sample) -> None:
        """Find the median."""
        self.median = float(reference.codes["png"].median())

    def score(self, sample: Sample) -> np.ndarray:
        """See Score."""
        return np.abs(sample.codes["png"].to_numpy(np.float64) - self.median)
