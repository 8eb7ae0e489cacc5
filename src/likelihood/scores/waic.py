"""WAIC over models of several seeds [1]: likely on the average, and the models agree.

    -(mean_θ log p_θ(x) - var_θ log p_θ(x))

The variance (n - 1 in the denominator) is over the networks' seeds. Its published figures are known not to replicate [2].

References:
    [1] WAIC, but why? Generative ensembles for robust anomaly detection (Choi et al., 2018), https://arxiv.org/abs/1810.01392
    [2] Likelihood ratios for out-of-distribution detection (Ren et al., 2019), https://arxiv.org/abs/1906.02845
"""

from typing import ClassVar

import numpy as np

from likelihood.scores.base import Sample, Score, seeds


class Waic(Score):
    """WAIC in nats, nats² for the variance."""

    title: ClassVar[str] = "WAIC"
    needs: ClassVar[tuple[str, ...]] = ("log_prob", "log_prob@1")

    def score(self, sample: Sample) -> np.ndarray:
        """See Score."""
        log_prob = seeds(sample)
        return log_prob.var(axis=1, ddof=1) - log_prob.mean(axis=1)
