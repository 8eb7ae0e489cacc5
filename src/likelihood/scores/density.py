"""Scores of densities: an image is normal where its features t(x) are frequent in the in-set.

    DoseKde            -log q(t(x)),    t = all statistics of the model: the log-likelihood and its parts [1]
    DoseSvm            distance of t(x) beyond the boundary of a one-class SVM, t as for DoseKde [1]
    CodeKde            -log q(t(x)),    t = log of -log p(x) under the model or models, and of L(x) under each codec
    BareCodeKde        -log q(t(x)),    t = log of L(x) under each codec: baseline without a model
    ResidualKde        -log q(t(x)),    t = log of -log p(x), and what tests of the residuals find (analyses/residuals.py)
    CodeResidualKde    -log q(t(x)),    t of CodeKde and of ResidualKde together
    StatisticsKde      -log q(t(x)),    t of ResidualKde and the other statistics of the analysis `residuals`: STATISTICS
    GradientDensity    -log N(t(x); mean, covariance),    t_l = log ‖∇_θl log p(x)‖², one per layer [4]

with three densities, of whitened features y = Λ^(-1/2) Vᵀ (t - mean) / std, where V Λ Vᵀ are the correlations of the in-set:

    KDE         -log 1/N Σ_n N(y; y_n, h² I),    h = N^(-1/(d + 4)), Scott's rule [5]
    SVM         minus the distance to the boundary that leaves out ν = 10 % of the in-set [6]
    Gaussian    ½ (t - mean)ᵀ S⁻¹ (t - mean),    S the covariance, shrunk as its error asks for [7]; for many features

DoSE, density of states estimation, is that of [1]. Our deviation: q is a joint density of the whitened statistics; that of [1] is
a product.

CodeKde takes an image for normal where a model and the codecs need as many bits as they do for the in-set. It is DoSE with the
statistics of input complexity [2], whose single difference it replaces by their joint density. Nearest to it are [3], with a
flow's latents and one codec, and [10], with a mixture of Gaussians over a flow's log p(z) and a measure of complexity.
Logarithms, because all are lengths: what matters is how many times longer. BareCodeKde shows what CodeKde owes to the codecs
alone.

ResidualKde asks of a model not only how long an image's code is, but whether what it leaves is noise: residuals with the mean,
variance, distribution and correlations of noise, and as much of it as the model expects. Such tests are used one by one [8, 9]; a
joint density of them all is ours. Logarithms again, of what is positive.

GradientDensity takes an image for normal where its gradient is as large at each layer as those of the in-set are. The covariance
is a full one, shrunk.

Whitening makes what statistics share count once. A statistic is a sum in single precision, known to about RESOLUTION of its
size: its last digits differ with the size of the batch and the processor. A spread below FLOOR of these roundings is taken for
rounding: the in-set does not vary in that direction. Differences are then measured in units of COARSE roundings instead, so that
rounding has no effect and an image that really differs is far away. Such directions do not count as dimensions of the density.
Nothing here is tuned: bandwidth, ν and the SVM's kernel width are the libraries' and the field's defaults.

References:
    [1] Density of states estimation for out-of-distribution detection (Morningstar et al., 2021),
        https://arxiv.org/abs/2006.09273
    [2] Input complexity and out-of-distribution detection with likelihood-based generative models (Serrà et al., 2020),
        https://arxiv.org/abs/1909.11480
    [3] Likelihood-free out-of-distribution detection with invertible generative models (Ahmadian & Lindsten, 2021), IJCAI
    [4] Approximations to the Fisher information metric of deep generative models for out-of-distribution detection
        (Dauncey et al., 2024), https://arxiv.org/abs/2403.01485
    [5] Multivariate density estimation (Scott, 1992), section 6.3
    [6] Estimating the support of a high-dimensional distribution (Schölkopf et al., 2001)
    [7] A well-conditioned estimator for large-dimensional covariance matrices (Ledoit & Wolf, 2004)
    [8] Revisiting flow generative models for out-of-distribution detection (Jiang et al., 2022),
        https://openreview.net/forum?id=9sW_kx0Ngmg
    [9] Further analysis of outlier detection with deep generative models (Wang et al., 2020), https://arxiv.org/abs/2010.13064
    [10] Understanding likelihood of normalizing flow and image complexity through the lens of out-of-distribution detection
        (Osada et al., 2024), https://arxiv.org/abs/2402.10477
"""

from abc import abstractmethod
from collections.abc import Callable
from typing import Self

import numpy as np
import pandas as pd
from sklearn.covariance import ledoit_wolf
from sklearn.neighbors import KernelDensity
from sklearn.svm import OneClassSVM

from likelihood.scores.base import Sample, Score
from likelihood.scores.complexity import CODECS

RESOLUTION = 2.0**-20  # of its size, or of one nat: how exactly a statistic is known; the largest error seen is 0.7 of it
FLOOR, COARSE = 100.0, 10_000.0  # in roundings: 0.01 % and 1 % of a statistic
NU = 0.1
# Statistics by the beginning of their names, which may end in that of a model.
RESIDUALS = r"^(?:residual_|surprise)"
STATISTICS = r"^(?:input_gradient|expected|spread|error|mean_norm|std_norm|log_pz_\d|ladj_\d)"
ADDED = f"{RESIDUALS}|{STATISTICS}|^(?:last_level|perfect)"  # what analyses add to a model's own
POOLED = rf"^log_prob$|{ADDED}"  # what a score of several models at once may read
POSITIVE = r"^(?:residual_ks|residual_variance|residual_white|expected|spread|error|mean_norm|std_norm)"

Map = Callable[[np.ndarray], np.ndarray]  # from statistics (N, d)
Density = Callable[[np.ndarray], np.ndarray]  # from statistics (N, d) to how outlying they are, (N,): minus a log-density


def scale(reference: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Mean and spread of statistics (M, d), and their rounding in units of that spread; (d,) each."""
    rounding = RESOLUTION * np.maximum(np.sqrt((reference**2).mean(axis=0)), 1.0)
    std = units(reference.std(axis=0), rounding)
    return reference.mean(axis=0), std, rounding / std


def units(spread: np.ndarray, rounding: np.ndarray) -> np.ndarray:
    """The unit of differences, (d,): the spread of a reference, or COARSE roundings where that spread is only rounding."""
    return np.where(spread > FLOOR * rounding, spread, COARSE * rounding)


def empirical(z: np.ndarray) -> np.ndarray:
    """The covariance of centred statistics (M, d)."""
    return z.T @ z / max(len(z) - 1, 1)


def shrunk(z: np.ndarray) -> np.ndarray:
    """The covariance of centred statistics (M, d), shrunk by Ledoit and Wolf."""
    return ledoit_wolf(z, assume_centered=True)[0]


def whitening(reference: np.ndarray, covariance: Map = empirical) -> tuple[Map, int]:
    """The map from statistics (N, d) to whitened ones (N, d), from a reference (M, d), and in how many directions that varies."""
    mean, std, rounding = scale(reference)
    values, vectors = np.linalg.eigh(covariance((reference - mean) / std))
    spread, rounding = np.sqrt(np.maximum(values, 0.0)), np.sqrt(rounding**2 @ vectors**2)
    matrix = vectors / units(spread, rounding)
    return lambda statistics: (statistics - mean) / std @ matrix, int((spread > FLOOR * rounding).sum())


def kde(reference: np.ndarray) -> Density:
    """Minus the log-density of statistics (N, d) under a kernel density fitted to a reference (M, d)."""
    whiten, directions = whitening(reference)
    bandwidth = len(reference) ** (-1.0 / (directions + 4))
    # A tree with a single leaf: with several, scikit-learn 1.9 gets the density of images far from all wrong, by tens of nats.
    density = KernelDensity(bandwidth=bandwidth, leaf_size=len(reference)).fit(whiten(reference))
    return lambda statistics: -density.score_samples(whiten(statistics))


def one_class_svm(reference: np.ndarray) -> Density:
    """Minus the decision function of a one-class SVM fitted to a reference (M, d)."""
    whiten, directions = whitening(reference)
    # As gamma="scale", with the variance of one that each direction has.
    machine = OneClassSVM(nu=NU, gamma=1.0 / max(directions, 1)).fit(whiten(reference))
    return lambda statistics: -machine.decision_function(whiten(statistics))


def gaussian(reference: np.ndarray) -> Density:
    """Minus the log-density, up to a constant, of statistics (N, d) under a Gaussian fitted to a reference (M, d)."""
    whiten, _ = whitening(reference, shrunk)
    return lambda statistics: 0.5 * (whiten(statistics) ** 2).sum(axis=1)


def logs(lengths: pd.DataFrame) -> np.ndarray:
    """Logarithms of lengths in nats, (N, columns); of less than one nat, which only a bound's noise can give, zero."""
    return np.log(np.maximum(lengths.to_numpy(np.float64), 1.0))


def positive(statistics: pd.DataFrame) -> np.ndarray:
    """Statistics (N, columns), of those that can only be positive the logarithm."""
    values = statistics.to_numpy(np.float64, copy=True)
    taken = statistics.columns.str.contains(POSITIVE)
    values[:, taken] = np.log(np.maximum(values[:, taken], RESOLUTION))
    return values


class DensityScore(Score):
    """Minus the log-density of an image's features; a class below says of which, and by which `density`."""

    density = staticmethod(kde)

    @abstractmethod
    def features(self, sample: Sample) -> np.ndarray:
        """t(x), (N, features) float64."""

    def fit(self, reference: Sample) -> Self:
        self.density_ = self.density(self.features(reference))
        return self

    def score(self, sample: Sample) -> np.ndarray:
        return self.density_(self.features(sample))


class DoseKde(DensityScore):
    """Minus the log-density of the model's statistics."""

    title = "DoSE, KDE"
    needs = ("log_prob",)

    def features(self, sample: Sample) -> np.ndarray:
        own = ~sample.statistics.columns.str.contains(ADDED)
        return sample.statistics.loc[:, own].to_numpy(np.float64)


class DoseSvm(DoseKde):
    """Distance of the model's statistics beyond their boundary."""

    title = "DoSE, one-class SVM"
    density = staticmethod(one_class_svm)


class CodeKde(DensityScore):
    """Minus the log-density of the log code lengths, those of models among them."""

    title = "KDE of log p and code lengths"
    needs = ("log_prob",)
    pools = True
    coded = tuple(CODECS)

    def features(self, sample: Sample) -> np.ndarray:
        return np.hstack([logs(-sample.statistics.filter(like="log_prob")), logs(sample.codes)])


class BareCodeKde(DensityScore):
    """Minus the log-density of the log code lengths of every codec."""

    title = "KDE of code lengths"
    coded = tuple(CODECS)

    def features(self, sample: Sample) -> np.ndarray:
        return logs(sample.codes)


class ResidualKde(DensityScore):
    """Minus the log-density of the log-likelihood and of the residuals' tests."""

    title = "KDE of log p and residuals"
    needs = ("log_prob", "residual_ks")
    pools = True

    def features(self, sample: Sample) -> np.ndarray:
        return np.hstack([logs(-sample.statistics.filter(like="log_prob")), positive(sample.statistics.filter(regex=RESIDUALS))])


class CodeResidualKde(ResidualKde):
    """Minus the log-density of the log code lengths, those of models among them, and of the residuals' tests."""

    title = "KDE of log p, residuals, code lengths"
    coded = tuple(CODECS)

    def features(self, sample: Sample) -> np.ndarray:
        return np.hstack([super().features(sample), logs(sample.codes)])


class StatisticsKde(ResidualKde):
    """Minus the log-density of the log-likelihood and of all statistics of the analysis `residuals`."""

    title = "KDE of log p and all statistics"

    def features(self, sample: Sample) -> np.ndarray:
        others = sample.statistics.filter(regex=STATISTICS)
        return np.hstack([super().features(sample), positive(others)])


class GradientDensity(DensityScore):
    """Minus the log-density of the log gradient norms, up to a constant."""

    title = "density of gradient norms"
    needs = ("gradient_norm",)
    density = staticmethod(gaussian)

    def features(self, sample: Sample) -> np.ndarray:
        return sample.statistics.filter(like="gradient_norm.").to_numpy(np.float64)
