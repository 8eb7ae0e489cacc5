"""Likelihood regret of a VAE [1]: how badly its encoder serves an image.

    max_q L(x; q) - L(x; q_φ(z | x)),     L the ELBO (likelihood/regret.py)

References:
    [1] Likelihood regret: an out-of-distribution detection score for variational auto-encoder (Xiao et al., 2020),
        https://arxiv.org/abs/2003.02977
"""

from typing import ClassVar

import numpy as np

from likelihood.scores.base import Sample, Score


class LikelihoodRegret(Score):
    """What fitting the posterior to the image gains, in nats."""

    title: ClassVar[str] = "likelihood regret"
    needs: ClassVar[tuple[str, ...]] = ("regret",)

    def score(self, sample: Sample) -> np.ndarray:
        """See Score."""
        return sample.statistics["regret"].to_numpy(np.float64)
