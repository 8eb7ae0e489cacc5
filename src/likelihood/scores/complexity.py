"""Input complexity [1]: the likelihood against the length of the shortest lossless code.

    S(x) = -log p(x) - L(x),    L = the least of PNG, WebP, JPEG 2000 and JPEG XL

A log-likelihood ratio in which a codec stands for a universal model: what is simple for anyone is forgiven. Our deviation: the
codecs, where [1] has FLIF, which is no longer maintained.

References:
    [1] Input complexity and out-of-distribution detection with likelihood-based generative models (Serrà et al., 2020),
        https://arxiv.org/abs/1909.11480
"""

from typing import ClassVar

import numpy as np

from likelihood.codecs import CODECS
from likelihood.scores.base import Sample, Score


class Complexity(Score):
    """S in nats."""

    title: ClassVar[str] = "input complexity S"
    needs: ClassVar[tuple[str, ...]] = ("log_prob",)
    coded: ClassVar[tuple[str, ...]] = tuple(CODECS)

    def score(self, sample: Sample) -> np.ndarray:
        """See Score."""
        nats = -sample.statistics["log_prob"].to_numpy(np.float64)
        return nats - sample.codes.min(axis=1).to_numpy(np.float64)
