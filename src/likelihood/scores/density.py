"""Scores of densities: an image is normal where its features t(x) are frequent in the in-set (likelihood/scores/densities.py).

    DoseKde            -log q(t(x)),    t = all statistics of the model: the log-likelihood and its parts [1]
    DoseSvm            distance of t(x) beyond the boundary of a one-class SVM, t as for DoseKde [1]
    CodeKde            -log q(t(x)),    t = log of -log p(x) under the model or models, and of L(x) under each codec
    BareCodeKde        -log q(t(x)),    t = log of L(x) under each codec: baseline without a model
    GradientDensity    -log N(t(x); mean, covariance),    t_l = log ‖∇_θl log p(x)‖², one per layer [4]

with q a kernel density.

DoSE, density of states estimation, is that of [1]. Our deviation: q is a joint density of the whitened statistics; that of [1] is
a product.

CodeKde takes an image for normal where a model and the codecs need as many bits as they do for the in-set. It is DoSE with the
statistics of input complexity [2], whose single difference it replaces by their joint density, as [3] does with a flow's latents
and one codec. Logarithms, because all are lengths: what matters is how many times longer. BareCodeKde shows what CodeKde owes to
the codecs alone.

GradientDensity takes an image for normal where its gradient is as large at each layer as those of the in-set are. The covariance
is a full one, shrunk.

References:
    [1] Density of states estimation for out-of-distribution detection (Morningstar et al., 2021),
        https://arxiv.org/abs/2006.09273
    [2] Input complexity and out-of-distribution detection with likelihood-based generative models (Serrà et al., 2020),
        https://arxiv.org/abs/1909.11480
    [3] Likelihood-free out-of-distribution detection with invertible generative models (Ahmadian & Lindsten, 2021)
    [4] Approximations to the Fisher information metric of deep generative models for out-of-distribution detection
        (Dauncey et al., 2024), https://arxiv.org/abs/2403.01485
"""

from abc import abstractmethod
from typing import Self

import numpy as np
import pandas as pd

from likelihood.scores import densities
from likelihood.scores.base import Sample, Score
from likelihood.scores.codecs import CODECS


def logs(lengths: pd.DataFrame) -> np.ndarray:
    """Logarithms of lengths in nats, (N, columns); of less than one nat, which only a bound's noise can give, zero."""
    return np.log(np.maximum(lengths.to_numpy(np.float64), 1.0))


class DensityScore(Score):
    """Minus the log-density of an image's features; a class below says of which, and by which `density`."""

    density = staticmethod(densities.kde)

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
        return sample.statistics.to_numpy(np.float64)


class DoseSvm(DoseKde):
    """Distance of the model's statistics beyond their boundary."""

    title = "DoSE, one-class SVM"
    density = staticmethod(densities.one_class_svm)


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


class GradientDensity(DensityScore):
    """Minus the log-density of the log gradient norms, up to a constant."""

    title = "density of gradient norms"
    needs = ("gradient_norm",)
    density = staticmethod(densities.gaussian)

    def features(self, sample: Sample) -> np.ndarray:
        return sample.statistics.filter(like="gradient_norm.").to_numpy(np.float64)
