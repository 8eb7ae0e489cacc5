"""Distance of an image's likelihood from that of the in-set: a typical image is neither unlikely nor too likely [1].

    | -1/M Σ_m log p(x_m) - H |,    H = the mean of -log p over the reference, M = 1 here, more in typicality_<M>.py

Our deviation: [1] flags a batch where the distance passes a threshold from bootstrapped batches; the distance itself gives the
same ranking, which is all that AUROC, AUPRC and FPR95 ask for.

References:
    [1] Detecting out-of-distribution inputs to deep generative models using typicality (Nalisnick et al., 2019),
        https://arxiv.org/abs/1906.02994
"""

from typing import ClassVar

import numpy as np

from likelihood.scores.base import Sample, Score


class Typicality(Score):
    """Distance of the mean of -log p from its mean over the reference, in nats; two-sided."""

    title: ClassVar[str] = "typicality"
    needs: ClassVar[tuple[str, ...]] = ("log_prob",)

    def fit(self, reference: Sample) -> None:
        """Estimate H."""
        self.entropy = -reference.statistics["log_prob"].to_numpy(np.float64).mean()

    def score(self, sample: Sample) -> np.ndarray:
        """See Score."""
        nats = -sample.statistics["log_prob"].to_numpy(np.float64)
        batches = nats[: len(nats) // self.batch * self.batch].reshape(-1, self.batch)
        return np.abs(batches.mean(axis=1) - self.entropy)
