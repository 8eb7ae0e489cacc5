"""Density of states estimation with a one-class SVM [1]: an image is normal within the support of the statistics.

    t(x) = all statistics of the model, whitened (likelihood/densities.py)

References:
    [1] Density of states estimation for out-of-distribution detection (Morningstar et al., 2021),
        https://arxiv.org/abs/2006.09273
"""

from typing import ClassVar

import numpy as np

from likelihood import densities
from likelihood.scores.base import Sample, Score


class DoseSvm(Score):
    """Distance beyond the boundary of the model's statistics."""

    title: ClassVar[str] = "DoSE, one-class SVM"
    needs: ClassVar[tuple[str, ...]] = ("log_prob",)

    def fit(self, reference: Sample) -> None:
        """Fit the boundary."""
        self.detector = densities.one_class_svm(reference.statistics.to_numpy(np.float64))

    def score(self, sample: Sample) -> np.ndarray:
        """See Score."""
        return self.detector(sample.statistics.to_numpy(np.float64))
