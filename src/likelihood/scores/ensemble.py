"""An ensemble of models of several seeds: minus the log of their mean likelihood. It is known to mend nothing [1].

    -log 1/n Σ_θ p_θ(x)

References:
    [1] Do deep generative models know what they don't know? (Nalisnick et al., 2019), https://arxiv.org/abs/1810.09136
"""

from typing import ClassVar

import numpy as np
from scipy.special import logsumexp

from likelihood.scores.base import Sample, Score, seeds


class Ensemble(Score):
    """Minus the log of the mean likelihood, in nats."""

    title: ClassVar[str] = "−log mean p of seeds"
    needs: ClassVar[tuple[str, ...]] = ("log_prob", "log_prob@1")

    def score(self, sample: Sample) -> np.ndarray:
        """See Score."""
        log_prob = seeds(sample)
        return np.log(log_prob.shape[1]) - logsumexp(log_prob, axis=1)
