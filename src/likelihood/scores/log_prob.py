"""-log p(x): the score that ought to work, and that images of a foreign data set pass [1].

References:
    [1] Do deep generative models know what they don't know? (Nalisnick et al., 2019), https://arxiv.org/abs/1810.09136
"""

from typing import ClassVar

import numpy as np

from likelihood.scores.base import Sample, Score


class LogProb(Score):
    """Negative log-likelihood in nats: an unlikely image is outlying."""

    title: ClassVar[str] = "−log p"
    needs: ClassVar[tuple[str, ...]] = ("log_prob",)

    def score(self, sample: Sample) -> np.ndarray:
        """See Score."""
        return -sample.statistics["log_prob"].to_numpy(np.float64)
