"""The density of the gradient's norms by layer [1]: an image is normal where it pulls at each layer as those of the in-set do.

    -log N(g(x); mean, covariance),     g_l = log || ∇_θl log p(x) ||², a number a layer

The covariance is a full one, shrunk (likelihood/densities.py).

References:
    [1] Approximations to the Fisher information metric of deep generative models for out-of-distribution detection
        (Dauncey et al., 2024), https://arxiv.org/abs/2403.01485
"""

from typing import ClassVar

import numpy as np

from likelihood import densities
from likelihood.scores.base import Sample, Score


class GradientDensity(Score):
    """Minus the log-density of the log gradient norms, up to a constant."""

    title: ClassVar[str] = "density of gradient norms"
    needs: ClassVar[tuple[str, ...]] = ("gradient_norm",)

    def features(self, sample: Sample) -> np.ndarray:
        """g(x), (N, layers)."""
        return sample.statistics.filter(like="gradient_norm.").to_numpy(np.float64)

    def fit(self, reference: Sample) -> None:
        """Fit the density."""
        self.detector = densities.gaussian(self.features(reference))

    def score(self, sample: Sample) -> np.ndarray:
        """See Score."""
        return self.detector(self.features(sample))
