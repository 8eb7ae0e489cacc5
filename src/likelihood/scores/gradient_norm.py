"""The norm of the gradient by all weights: a model has more to learn from a foreign image [1].

    log || ∇_θ log p(x) ||²

References:
    [1] Approximations to the Fisher information metric of deep generative models for out-of-distribution detection
        (Dauncey et al., 2024), https://arxiv.org/abs/2403.01485
"""

from typing import ClassVar

import numpy as np

from likelihood.scores.base import Sample, Score


class GradientNorm(Score):
    """Log squared norm of the gradient (likelihood/gradients.py)."""

    title: ClassVar[str] = "gradient norm"
    needs: ClassVar[tuple[str, ...]] = ("gradient_norm",)

    def score(self, sample: Sample) -> np.ndarray:
        """See Score."""
        return sample.statistics["gradient_norm"].to_numpy(np.float64)
