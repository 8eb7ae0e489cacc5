"""Scores of what a model leaves of an image, and of how it explains one (analyses/residuals.py says what the statistics are).

    residual_ks         sup_t | F(t) - t |, F the distribution of an image's residuals: goodness of fit [1]
    white_noise         Σ n c², c the correlation of neighbouring residuals: what is left should be noise [2]
    Surprise            | s - mean of s |, s how many standard deviations -log p is above what the model expects
    last_level          -(log p(z_L) + ladj_L): the likelihood of a flow's last level alone [3]
    mass                log ‖∂ log p(x) / ∂x‖²: in a region of mass the density is flat [4]
    CorrectedLogProb    -(log p(x) - Σ_i max log P(x_i)): above the best that any parameters could give these pixel values [5]
    LikelihoodPath      COPOD [7] of ‖x - x'‖ and of the norms of a VAE's mean and standard deviation [6]

Those in small letters are statistics themselves.

COPOD adds the logarithms of tail probabilities, of each statistic among the in-set's, and takes the largest of three sums: of the
lower tails, of the upper tails, and of the tail on each statistic's skewed side.

Our deviations: Surprise is two-sided, and of a model of pixels, whose expectation is exact (of a VAE -log P(x | z) at the mean of
q(z | x) stands for -log p(x), there and in the expectation); [1] tests random projections of a flow's latents, and we its
latents, or the residuals of pixels; [7] counts among the images that it judges, COPOD here among the in-set's, so that an image's
score does not depend on the others; mass is of one draw where log p(x) is a bound, and its gradient goes through the noise that
the image is given too; under a softmax over grey levels, which has no gradient by the level itself, it is that by the pixels
around. CorrectedLogProb is of proper distributions of 8-bit values, under which every value can have a probability near 1: the
correction, large for the distributions of [5], is at most 0.03 nats a value here.

References:
    [1] Revisiting flow generative models for out-of-distribution detection (Jiang et al., 2022),
        https://openreview.net/forum?id=9sW_kx0Ngmg
    [2] Further analysis of outlier detection with deep generative models (Wang et al., 2020), https://arxiv.org/abs/2010.13064
    [3] Understanding anomaly detection with deep invertible networks through hierarchies of distributions and features
        (Schirrmeister et al., 2020), https://arxiv.org/abs/2006.10848
    [4] Your classifier is secretly an energy based model and you should treat it like one (Grathwohl et al., 2020),
        https://arxiv.org/abs/1912.03263, section 5.3.2: approximate mass
    [5] Robust outlier detection by de-biasing VAE likelihoods (Chauhan et al., 2022), https://arxiv.org/abs/2108.08760
    [6] Rethinking test-time likelihood: the likelihood path principle and its application to OOD detection (Huang et al., 2024),
        https://arxiv.org/abs/2401.04933
    [7] COPOD: copula-based outlier detection (Li et al., 2020), https://arxiv.org/abs/2009.09463
"""

from typing import Self

import numpy as np

from likelihood.scores.base import Sample, Score, p_values


class Surprise(Score):
    """Distance of the surprise from its mean over the reference, in standard deviations under the model; two-sided."""

    title = "surprise against the expected"
    needs = ("surprise",)

    def fit(self, reference: Sample) -> Self:
        self.mean_ = float(reference.column("surprise").mean())
        return self

    def score(self, sample: Sample) -> np.ndarray:
        return np.abs(sample.column("surprise") - self.mean_)


class CorrectedLogProb(Score):
    """Negative log-likelihood above that of a perfect reconstruction, in nats."""

    title = "bias-corrected −log p"
    needs = ("log_prob", "perfect")

    def score(self, sample: Sample) -> np.ndarray:
        return sample.column("perfect") - sample.column("log_prob")


class LikelihoodPath(Score):
    """COPOD of the statistics along a VAE's path from an image to its likelihood."""

    title = "likelihood path (COPOD)"
    needs = ("error", "mean_norm", "std_norm")

    def fit(self, reference: Sample) -> Self:
        path = reference.statistics[list(self.needs)].to_numpy(np.float64)
        self.path_ = path
        self.third_moment_ = ((path - path.mean(axis=0)) ** 3).mean(axis=0)
        return self

    def score(self, sample: Sample) -> np.ndarray:
        path = sample.statistics[list(self.needs)].to_numpy(np.float64)
        pairs = list(zip(self.path_.T, path.T, strict=True))
        lower = -np.log([p_values(-known, -values) for known, values in pairs])
        upper = -np.log([p_values(known, values) for known, values in pairs])
        skewed = np.where(self.third_moment_[:, None] < 0.0, lower, upper)
        return np.max([lower.sum(axis=0), upper.sum(axis=0), skewed.sum(axis=0)], axis=0)
