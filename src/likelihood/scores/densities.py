"""Densities of a few statistics per image: a kernel density and a one-class SVM, both of whitened statistics, and a Gaussian.

    y = Λ^(-1/2) Vᵀ (t - mean) / std,     V Λ Vᵀ the correlations of the reference

    KDE    -log 1/N Σ_n N(y; y_n, h² I),    h = N^(-1/(d + 4)), Scott's rule [1]
    SVM    minus the distance to the boundary that leaves out ν = 10 % of the reference [2]
    Gaussian    ½ (t - mean)ᵀ S⁻¹ (t - mean),    S the covariance, shrunk as its error asks for [3]; for many statistics

Whitening makes what statistics share count once. A statistic is a sum in single precision, known to about RESOLUTION of its
size: its last digits differ with the size of the batch and the processor. A spread below FLOOR of these roundings is taken for
rounding: the reference does not vary in that direction. Differences are then measured in units of COARSE roundings instead, so
that rounding has no effect and an image that really differs is far away. Such directions do not count as dimensions of the
density. Nothing here is tuned: bandwidth, ν and the SVM's kernel width are the libraries' and the field's defaults.

References:
    [1] Multivariate density estimation (Scott, 1992), section 6.3
    [2] Estimating the support of a high-dimensional distribution (Schölkopf et al., 2001)
    [3] A well-conditioned estimator for large-dimensional covariance matrices (Ledoit & Wolf, 2004)
"""

from collections.abc import Callable

import numpy as np
from sklearn.covariance import ledoit_wolf
from sklearn.neighbors import KernelDensity
from sklearn.svm import OneClassSVM

RESOLUTION = 2.0**-20  # of its size, or of one nat: how exactly a statistic is known; the largest error seen is 0.7 of it
FLOOR, COARSE = 100.0, 10_000.0  # in roundings: 0.01 % and 1 % of a statistic
NU = 0.1

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
