"""-log p(z): a flow's likelihood without its volume term [1].

References:
    [1] Do deep generative models know what they don't know? (Nalisnick et al., 2019), https://arxiv.org/abs/1810.09136, section 4
"""

from typing import ClassVar

import numpy as np

from likelihood.scores.base import Sample, Score


class LogPz(Score):
    """Negative log-density of the latents in nats."""

    title: ClassVar[str] = "−log p(z)"
    needs: ClassVar[tuple[str, ...]] = ("log_pz",)

    def score(self, sample: Sample) -> np.ndarray:
        """See Score."""
        return -sample.statistics["log_pz"].to_numpy(np.float64)
