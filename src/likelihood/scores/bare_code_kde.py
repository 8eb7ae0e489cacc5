"""Baseline without a model: a density of the log code lengths of every codec; what code_kde.py owes to the codecs alone."""

from typing import ClassVar

import numpy as np

from likelihood import densities
from likelihood.codecs import CODECS
from likelihood.scores.base import Sample, Score, logs


class BareCodeKde(Score):
    """Minus the log-density of the log code lengths."""

    title: ClassVar[str] = "KDE of code lengths"
    coded: ClassVar[tuple[str, ...]] = tuple(CODECS)

    def fit(self, reference: Sample) -> None:
        """Fit the density."""
        self.detector = densities.kde(logs(reference.codes))

    def score(self, sample: Sample) -> np.ndarray:
        """See Score."""
        return self.detector(logs(sample.codes))
