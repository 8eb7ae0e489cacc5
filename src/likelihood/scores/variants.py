"""Scores that need more than a model's own statistics: those of variants of it, which are trained too, or gradients.

    BackgroundRatio     -(log p(x) - log p_background(x)): against a model of images of which a part of the values is random [1]
    LocalRatio          -(log p(x) - log p_local(x)): against a local model, one that sees a few pixels around [2]
    Ensemble            -log 1/n Σ_θ p_θ(x): the mean likelihood of models of n seeds. It is known to fix nothing [3]
    Waic                -(mean_θ log p_θ(x) - var_θ log p_θ(x)): likely on average, and the models agree [4]
    Disagreement        -1 / Σ_θ w_θ²,  w_θ = p_θ(x) / Σ p_θ(x): few of the models count, as for an image none has met [7]
    gradient_norm       log ‖∇_θ log p(x)‖²: a model has more to learn from a foreign image [5]
    CombinedTest        -2 (log p_t + log p_s): Fisher's method over the p-values of typicality and of Rao's score statistic [8]
    LidLogProb          -min(F_p(log p(x)), F_d(LID(x))): likely, and in a region that can be drawn in many directions [9]
    likelihood_regret   max_q L(x; q) - L(x; q_φ(z | x)), L the ELBO: how badly a VAE's encoder serves an image [6]

BackgroundRatio: both models share what any image has, so that the ratio is about what is particular to the in-set. Our deviation:
[1] chooses the share of random values, and how much the background's weights decay, by a third data set; here the share is a
parameter that was not tuned (`mutation` of the variant), and there is no decay.

LocalRatio: near pixels tell much the same in all images, and make up most of a likelihood; what is left is what only the in-set's
larger shapes explain. Our local model is a PixelCNN of one layer.

Waic: the variance (n - 1 in the denominator) is over the networks' seeds. Its published figures are known not to replicate [1].

Disagreement: our deviation is that seeds stand for the samples of the weights' posterior that [7] draws.

CombinedTest has its p-values from the reference: the share of it whose log-likelihood is at least as far from the mean, or whose
score statistic is at least as large.

LidLogProb is a test with two thresholds: an image is in-distribution if its log-likelihood and its local intrinsic dimension
(analyses/lid.py) are both high enough [9]. F_p and F_d are distribution functions of the reference, so that s is one number an
image: both thresholds are the same quantile of the reference. Our deviation: [9] draws its ROC curve through the best pair of
thresholds for every rate of false alarms, which takes the images that are to be detected; so its AUROC is higher.

gradient_norm and likelihood_regret are statistics themselves: the one of all weights, the other fits q to the image
(analyses/probes.py).

References:
    [1] Likelihood ratios for out-of-distribution detection (Ren et al., 2019), https://arxiv.org/abs/1906.02845
    [2] On the out-of-distribution generalization of probabilistic image modelling (Zhang et al., 2021),
        https://arxiv.org/abs/2109.02639
    [3] Do deep generative models know what they don't know? (Nalisnick et al., 2019), https://arxiv.org/abs/1810.09136
    [4] WAIC, but why? Generative ensembles for robust anomaly detection (Choi et al., 2018), https://arxiv.org/abs/1810.01392
    [5] Approximations to the Fisher information metric of deep generative models for out-of-distribution detection
        (Dauncey et al., 2024), https://arxiv.org/abs/2403.01485
    [6] Likelihood regret: an out-of-distribution detection score for variational auto-encoder (Xiao et al., 2020),
        https://arxiv.org/abs/2003.02977
    [7] Bayesian variational autoencoders for unsupervised out-of-distribution detection (Daxberger & Hernández-Lobato, 2019),
        https://arxiv.org/abs/1912.05651
    [8] Model-agnostic out-of-distribution detection using combined statistical tests (Bergamin et al., 2022),
        https://arxiv.org/abs/2203.01097
    [9] A geometric explanation of the likelihood OOD detection paradox (Kamkari et al., 2024), https://arxiv.org/abs/2403.18910
"""

from typing import Self

import numpy as np
from scipy.special import logsumexp, softmax

from likelihood.scores.base import Sample, Score, p_values


def seeds(sample: Sample) -> np.ndarray:
    """Log-likelihoods of a model and of its variant of other seeds: (N, seeds) in nats."""
    return sample.statistics.filter(regex=r"^log_prob(@\d+)?$").to_numpy(np.float64)


class BackgroundRatio(Score):
    """Log of the background's likelihood over the model's, in nats."""

    title = "likelihood ratio to a background"
    needs = ("log_prob", "log_prob@background")

    def score(self, sample: Sample) -> np.ndarray:
        return (sample.statistics["log_prob@background"] - sample.statistics["log_prob"]).to_numpy(np.float64)


class LocalRatio(Score):
    """Log of the local model's likelihood over the model's, in nats."""

    title = "likelihood ratio to a local model"
    needs = ("log_prob", "log_prob@local")

    def score(self, sample: Sample) -> np.ndarray:
        return (sample.statistics["log_prob@local"] - sample.statistics["log_prob"]).to_numpy(np.float64)


class Ensemble(Score):
    """Minus the log of the mean likelihood, in nats."""

    title = "−log mean p of seeds"
    needs = ("log_prob", "log_prob@1")

    def score(self, sample: Sample) -> np.ndarray:
        log_prob = seeds(sample)
        return np.log(log_prob.shape[1]) - logsumexp(log_prob, axis=1)


class Waic(Score):
    """Minus WAIC, in nats, nats² for the variance."""

    title = "WAIC"
    needs = ("log_prob", "log_prob@1")

    def score(self, sample: Sample) -> np.ndarray:
        log_prob = seeds(sample)
        return log_prob.var(axis=1, ddof=1) - log_prob.mean(axis=1)


class Disagreement(Score):
    """Minus the effective number of the models, in [-seeds, -1]."""

    title = "disagreement of seeds"
    needs = ("log_prob", "log_prob@1")

    def score(self, sample: Sample) -> np.ndarray:
        return -1.0 / np.square(softmax(seeds(sample), axis=1)).sum(axis=1)


class CombinedTest(Score):
    """Fisher's statistic of two tests."""

    title = "typicality and score test"
    needs = ("log_prob", "score_statistic")

    def fit(self, reference: Sample) -> Self:
        self.mean_ = float(reference.column("log_prob").mean())
        self.known_ = self._statistics(reference)
        return self

    def _statistics(self, sample: Sample) -> np.ndarray:
        return np.stack([np.abs(sample.column("log_prob") - self.mean_), sample.column("score_statistic")])

    def score(self, sample: Sample) -> np.ndarray:
        p = [p_values(known, x) for known, x in zip(self.known_, self._statistics(sample), strict=True)]
        return -2.0 * np.log(p).sum(axis=0)


class LidLogProb(Score):
    """Minus the share of the reference that is no likelier or of no higher local dimension, the smaller share, in [-1, 0)."""

    title = "local dimension and −log p"
    needs = ("lid", "log_prob")

    def fit(self, reference: Sample) -> Self:
        self.known_ = -self._pair(reference)
        return self

    def _pair(self, sample: Sample) -> np.ndarray:
        return np.stack([sample.column(name) for name in self.needs])

    def score(self, sample: Sample) -> np.ndarray:
        return -np.min([p_values(known, -x) for known, x in zip(self.known_, self._pair(sample), strict=True)], axis=0)
