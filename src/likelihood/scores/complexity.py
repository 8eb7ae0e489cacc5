"""Scores of lossless codes: how long an image's code is, by itself and against its likelihood.

    Complexity     S(x) = -log p(x) - L(x),    L = the smallest of PNG, WebP, JPEG 2000 and JPEG XL [1]
    PngSize        -L_png(x): baseline without a model; a simple image, a small file, is outlying
    PngDistance    | L_png(x) - median of L_png |: baseline without a model; distance from the median of the in-set

Input complexity S is a log-likelihood ratio in which a codec stands for a universal model: what is simple for anyone is forgiven.
Our deviation: the codecs, where [1] has FLIF, which is no longer maintained. Compressed size stands for the entropy of an image
[1]; likelihoods of images follow it closely.

References:
    [1] Input complexity and out-of-distribution detection with likelihood-based generative models (Serrà et al., 2020),
        https://arxiv.org/abs/1909.11480
"""

from typing import Self

import numpy as np

from likelihood.scores.base import Sample, Score
from likelihood.scores.codecs import CODECS


class Complexity(Score):
    """S in nats."""

    title = "input complexity S"
    needs = ("log_prob",)
    coded = tuple(CODECS)

    def score(self, sample: Sample) -> np.ndarray:
        return -sample.column("log_prob") - sample.codes.min(axis=1).to_numpy(np.float64)


class PngSize(Score):
    """Minus the length of the PNG file, in nats."""

    title = "PNG size, small = outlying"
    coded = ("png",)

    def score(self, sample: Sample) -> np.ndarray:
        return -sample.codes["png"].to_numpy(np.float64)


class PngDistance(Score):
    """Distance of the length of the PNG file from the median, in nats; two-sided."""

    title = "PNG size, distance from the median"
    coded = ("png",)

    def fit(self, reference: Sample) -> Self:
        self.median_ = float(reference.codes["png"].median())
        return self

    def score(self, sample: Sample) -> np.ndarray:
        return np.abs(sample.codes["png"].to_numpy(np.float64) - self.median_)
