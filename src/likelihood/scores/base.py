"""The contract of an out-of-distribution score, and the registry by name.

A score is fitted on held-out in-distribution images and gives each image a number: **higher = more outlying**. One file of this
folder, `<name>.py`, holds one class that derives from Score; it is imported when its name is asked for.
"""

import importlib
import pkgutil
from abc import ABC, abstractmethod
from pathlib import Path
from typing import ClassVar, NamedTuple

import numpy as np
import pandas as pd


class Sample(NamedTuple):
    """Images of one set, and what a model said of them; row i of both is the same image."""

    images: np.ndarray  # uint8 (N, C, H, W)
    statistics: pd.DataFrame | None  # per-image statistics in nats, `log_prob` among them; None without a model


class Score(ABC):
    """An out-of-distribution score; higher = more outlying."""

    needs_model: ClassVar[bool]

    def fit(self, reference: Sample) -> None:  # noqa: B027
        """Learn what is normal from held-out in-distribution images; a score that needs nothing learns nothing."""

    @abstractmethod
    def score(self, sample: Sample) -> np.ndarray:
        """Scores of a sample's images: (N,) float64, finite, higher = more outlying, each image by itself."""


def names() -> list[str]:
    """The names of all scores of this folder, sorted."""
    return sorted(module.name for module in pkgutil.iter_modules([str(Path(__file__).parent)]) if module.name != "base")


def get(name: str) -> Score:
    """A new score of the given name."""
    module = importlib.import_module(f"likelihood.scores.{name}")
    (found,) = [
        value
        for value in vars(module).values()
        if isinstance(value, type) and issubclass(value, Score) and value.__module__ == module.__name__
    ]
    return found()
