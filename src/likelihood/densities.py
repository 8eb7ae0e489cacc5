"""Outlier detectors of a few statistics an image: a kernel density and a one-class SVM, both on whitened statistics, a Gaussian.

    y = Λ^(-1/2) Vᵀ (t - mean) / std,     V Λ Vᵀ the correlations of the reference

    KDE    -log 1/N Σ_n N(y; y_n, h² I),    h = N^(-1/(d + 4)), Scott's rule [1]
    SVM    minus the distance to the boundary that leaves out ν = 10 % of the reference [2]
    Gaussian    ½ (t - mean)ᵀ S⁻¹ (t - mean),    S the covariance shrunk by as much as its error asks for [3]; for many statistics

Whitening lets a statistic speak for itself, not for what it shares with the others; directions in which the reference does not
vary are left out. Nothing here is tuned: bandwidth, ν and the SVM's kernel width are the libraries' and the field's defaults.

References:
    [1] Multivariate density estimation (Scott, 1992), section 6.3
    [2] Estimating the support of a high-dimensional distribution (Schölkopf et al., 2001)
    [3] A well-conditioned estimator for large-dimensional covariance matrices (Ledoit & Wolf, 2004)
"""

from collections.abc import Callable

import numpy as np
from sklearn.covariance import LedoitWolf
from sklearn.neighbors import KernelDensity
from sklearn.svm import OneClassSVM

SMALLEST = 1e-9  # eigenvalue of the correlations below which a direction is numerical noise
NU = 0.1

Detector = Callable[[np.ndarray], np.ndarray]  # statistics (N, d) to outlyingness (N,)


def whitening(reference: np.ndarray) -> Detector:
    """Map from statistics (N, d) to whitened ones (N, at most d, at least 1) of a reference (M, d)."""
    mean, std = reference.mean(axis=0), reference.std(axis=0)
    std = np.where(std > 0.0, std, 1.0)
    values, vectors = np.linalg.eigh(np.cov((reference - mean) / std, rowvar=False).reshape(len(mean), len(mean)))
    keep = values > SMALLEST
    if not keep.any():  # a reference all alike
        return lambda statistics: (statistics - mean) / std
    matrix = vectors[:, keep] / np.sqrt(values[keep])
    return lambda statistics: (statistics - mean) / std @ matrix


def kde(reference: np.ndarray) -> Detector:
    """Minus the log-density of statistics (N, d) under a kernel density fitted to a reference (M, d)."""
    whiten = whitening(reference)
    y = whiten(reference)
    density = KernelDensity(bandwidth=len(y) ** (-1.0 / (y.shape[1] + 4))).fit(y)
    return lambda statistics: -density.score_samples(whiten(statistics))


def one_class_svm(reference: np.ndarray) -> Detector:
    """Minus the decision function of a one-class SVM fitted to a reference (M, d)."""
    whiten = whitening(reference)
    machine = OneClassSVM(nu=NU, gamma="scale").fit(whiten(reference))
    return lambda statistics: -machine.decision_function(whiten(statistics))


def gaussian(reference: np.ndarray) -> Detector:
    """Minus the log-density, up to a constant, of statistics (N, d) under a Gaussian fitted to a reference (M, d)."""
    mean, std = reference.mean(axis=0), reference.std(axis=0)
    std = np.where(std > 0.0, std, 1.0)
    normal = LedoitWolf().fit((reference - mean) / std)
    return lambda statistics: 0.5 * normal.mahalanobis((statistics - mean) / std)
