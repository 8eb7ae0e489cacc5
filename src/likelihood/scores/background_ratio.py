"""Likelihood ratio against a background model, trained on images of which a share of the values is random [1].

    -(log p(x) - log p_background(x))

Both models share what any image has, so that the ratio is about what is particular to the in-set. Our deviation: [1] chooses the
share of random values, and how much the background's weights decay, by a third data set; here the share is a parameter that was
not tuned (`companions.mutation`), and there is no decay.

References:
    [1] Likelihood ratios for out-of-distribution detection (Ren et al., 2019), https://arxiv.org/abs/1906.02845
"""

from typing import ClassVar

import numpy as np

from likelihood.scores.base import Sample, Score


class BackgroundRatio(Score):
    """Log of the background's likelihood over the model's, in nats."""

    title: ClassVar[str] = "likelihood ratio to a background"
    needs: ClassVar[tuple[str, ...]] = ("log_prob", "log_prob@background")

    def score(self, sample: Sample) -> np.ndarray:
        """See Score."""
        return (sample.statistics["log_prob@background"] - sample.statistics["log_prob"]).to_numpy(np.float64)
