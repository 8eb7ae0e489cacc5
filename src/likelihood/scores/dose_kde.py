"""Density of states estimation with a kernel density [1]: an image is normal where its statistics are frequent.

    -log q(t(x)),    t = all statistics of the model: the log-likelihood and its parts

Our deviation: q is a joint density of the whitened statistics (likelihood/densities.py); that of [1] is a product.

References:
    [1] Density of states estimation for out-of-distribution detection (Morningstar et al., 2021),
        https://arxiv.org/abs/2006.09273
"""

from typing import ClassVar

import numpy as np

from likelihood import densities
from likelihood.scores.base import Sample, Score


class DoseKde(Score):
    """Minus the log-density of the model's statistics."""

    title: ClassVar[str] = "DoSE, KDE"
    needs: ClassVar[tuple[str, ...]] = ("log_prob",)

    def fit(self, reference: Sample) -> None:
        """Fit the density."""
        self.detector = densities.kde(reference.statistics.to_numpy(np.float64))

    def score(self, sample: Sample) -> np.ndarray:
        """See Score."""
        return self.detector(sample.statistics.to_numpy(np.float64))
