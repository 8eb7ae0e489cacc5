"""Scores of a model's own likelihood and its parts.

    log_prob      -log p(x): the score that ought to work, and that images of a foreign data set pass [1]
    log_pz        -log p(z): a flow's likelihood without its volume term [1, section 4]
    LatentNorm    | ‖z‖ - √D |: distance of a flow's latents from the shell where a standard normal has its mass [2]
    Typicality    | -1/M Σ_m log p(x_m) - H |,    H = the mean of -log p over the reference, M images per batch
    KolmogorovSmirnov    sup_t | F_M(t) - F(t) |,    F_M and F the distributions of log p in the batch and over the reference [4]

log_prob and log_pz are minus the statistics of these names.

Typicality is the distance of the likelihood from that of the in-set: a typical image is neither unlikely nor too likely [3]. Our
deviations: H is over held-out images, and in [3] over those trained on; [3] flags a batch where the distance passes a threshold
from bootstrapped batches, while the distance itself gives the same ranking, which is all that AUROC, AUPRC and FPR95 ask for.

KolmogorovSmirnov: our deviation is that [4] tests a batch by random projections of its latents; log p is one number an image that
every model has.

References:
    [1] Do deep generative models know what they don't know? (Nalisnick et al., 2019), https://arxiv.org/abs/1810.09136
    [2] WAIC, but why? Generative ensembles for robust anomaly detection (Choi et al., 2018), https://arxiv.org/abs/1810.01392
    [3] Detecting out-of-distribution inputs to deep generative models using typicality (Nalisnick et al., 2019),
        https://arxiv.org/abs/1906.02994
    [4] Revisiting flow generative models for out-of-distribution detection (Jiang et al., 2022),
        https://openreview.net/forum?id=9sW_kx0Ngmg
"""

import math
from typing import Self

import numpy as np
from scipy.stats import ks_2samp

from likelihood.scores.base import Sample, Score


class LatentNorm(Score):
    """Distance of the latents' norm from √D."""

    title = "latent norm"
    needs = ("latent_norm",)

    def score(self, sample: Sample) -> np.ndarray:
        return np.abs(sample.column("latent_norm") - math.sqrt(sample.images[0].size))


class Typicality(Score):
    """Distance of the mean of -log p of a batch from its mean over the reference, in nats; two-sided.

    Arguments:
        batch: M, how many consecutive images make a batch.
    """

    needs = ("log_prob",)

    def __init__(self, batch: int = 1) -> None:
        self.batch = batch
        self.title = "typicality" if batch == 1 else f"typicality of {batch} images"

    def fit(self, reference: Sample) -> Self:
        self.entropy_ = -reference.column("log_prob").mean()
        return self

    def score(self, sample: Sample) -> np.ndarray:
        nats = -sample.column("log_prob")
        return np.abs(self.batches(nats).mean(axis=1) - self.entropy_)


class KolmogorovSmirnov(Score):
    """Distance of the distribution of log p in a batch from that over the reference, in [0, 1].

    Arguments:
        batch: M, how many consecutive images make a batch.
    """

    needs = ("log_prob",)

    def __init__(self, batch: int) -> None:
        self.batch = batch
        self.title = f"Kolmogorov–Smirnov of {batch} images"

    def fit(self, reference: Sample) -> Self:
        self.reference_ = reference.column("log_prob")
        return self

    def score(self, sample: Sample) -> np.ndarray:
        batches = self.batches(sample.column("log_prob"))
        return np.array([ks_2samp(batch, self.reference_, method="asymp").statistic for batch in batches], np.float64)
