"""A density of code lengths: an image is normal where a model and the codecs need as many bits as they do for the in-set.

    -log q(t(x)),    t = log of -log p(x) under the model or models, and of L(x) under each codec

DoSE [1] with the statistics of input complexity [2], whose single difference it replaces by their joint density, as [3] does
with a flow's latents and one codec. Logarithms, because all are lengths: what matters is how many times longer.

References:
    [1] Density of states estimation for out-of-distribution detection (Morningstar et al., 2021),
        https://arxiv.org/abs/2006.09273
    [2] Input complexity and out-of-distribution detection with likelihood-based generative models (Serrà et al., 2020),
        https://arxiv.org/abs/1909.11480
    [3] Likelihood-free out-of-distribution detection with invertible generative models (Ahmadian & Lindsten, 2021)
"""

from typing import ClassVar

import numpy as np

from likelihood import densities
from likelihood.codecs import CODECS
from likelihood.scores.base import Sample, Score, logs


class CodeKde(Score):
    """Minus the log-density of the log code lengths, those of models among them."""

    title: ClassVar[str] = "KDE of log p and code lengths"
    needs: ClassVar[tuple[str, ...]] = ("log_prob",)
    pools: ClassVar[bool] = True
    coded: ClassVar[tuple[str, ...]] = tuple(CODECS)

    def features(self, sample: Sample) -> np.ndarray:
        """t(x), (N, models + codecs)."""
        return np.hstack([logs(-sample.statistics.filter(like="log_prob")), logs(sample.codes)])

    def fit(self, reference: Sample) -> None:
        """Fit the density."""
        self.detector = densities.kde(self.features(reference))

    def score(self, sample: Sample) -> np.ndarray:
        """See Score."""
        return self.detector(self.features(sample))
