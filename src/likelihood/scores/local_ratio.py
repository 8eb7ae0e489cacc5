"""Likelihood ratio against a local model, one that sees a few pixels around [1].

    -(log p(x) - log p_local(x))

Near pixels tell much the same in all images, and make up most of a likelihood; what is left is what only the in-set's larger
shapes explain. Our local model is a PixelCNN of one layer.

References:
    [1] On the out-of-distribution generalization of probabilistic image modelling (Zhang et al., 2021),
        https://arxiv.org/abs/2109.02639
"""

from typing import ClassVar

import numpy as np

from likelihood.scores.base import Sample, Score


class LocalRatio(Score):
    """Log of the local model's likelihood over the model's, in nats."""

    title: ClassVar[str] = "likelihood ratio to a local model"
    needs: ClassVar[tuple[str, ...]] = ("log_prob", "log_prob@local")

    def score(self, sample: Sample) -> np.ndarray:
        """See Score."""
        return (sample.statistics["log_prob@local"] - sample.statistics["log_prob"]).to_numpy(np.float64)
