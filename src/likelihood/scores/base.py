"""The contract of an out-of-distribution score, and the registry by name.

A score is fitted on held-out in-distribution images and gives each image, or each batch of a few, a number: **higher = more
outlying**. One file of this folder, `<name>.py`, holds one class that derives from Score; it is imported when its name is asked
for. A score says by `needs` which statistics it reads, and is applied to every model that has them.
"""

import importlib
import pkgutil
from abc import ABC, abstractmethod
from pathlib import Path
from typing import ClassVar, NamedTuple

import numpy as np
import pandas as pd


class Sample(NamedTuple):
    """Images of one set and what is known of them; row i of all is the same image."""

    images: np.ndarray  # uint8 (N, C, H, W)
    codes: pd.DataFrame  # code lengths in nats, a column a codec (likelihood/codecs.py)
    # Of one model, in nats: `log_prob` and its parts, and where there are any, those of its companions as `<statistic>@<member>`
    # and what takes gradients, `gradient_norm`, `gradient_norm.<layer>`, `regret`; `log_prob_<model>` of all; or no column.
    statistics: pd.DataFrame


class Score(ABC):
    """An out-of-distribution score; higher = more outlying."""

    title: ClassVar[str]  # what tables call it
    needs: ClassVar[tuple[str, ...]] = ()  # the statistics it reads; a score without needs no model
    pools: ClassVar[bool] = False  # it also reads `log_prob_<model>` of several models at once
    coded: ClassVar[tuple[str, ...]] = ()  # the codecs whose lengths it reads
    batch: ClassVar[int] = 1  # images that share one number

    def fit(self, reference: Sample) -> None:  # noqa: B027
        """Learn what is normal from held-out in-distribution images; a score that needs nothing learns nothing."""

    @abstractmethod
    def score(self, sample: Sample) -> np.ndarray:
        """Scores (N // batch,) float64, finite, higher = more outlying; number k is of rows k · batch … (k + 1) · batch - 1."""


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


def applicable(columns: list[str]) -> list[str]:
    """The names of the scores of one model whose statistics have these columns; of no columns, those without a model."""
    found = {name: get(name).needs for name in names()}
    return [name for name, needs in found.items() if bool(needs) == bool(columns) and set(needs) <= set(columns)]


def needing(added: list[str], columns: list[str]) -> list[str]:
    """The names of the scores of one model that these columns are enough for, and that need at least one of the added."""
    return [name for name in applicable(columns) if set(get(name).needs) & set(added)]


def pooling() -> list[str]:
    """The names of the scores that read several models at once."""
    return [name for name in names() if get(name).pools]


def logs(table: pd.DataFrame) -> np.ndarray:
    """Logarithms of lengths in nats, (N, columns); of less than one nat, which only a bound's noise can give, zero."""
    return np.log(np.maximum(table.to_numpy(np.float64), 1.0))


def seeds(sample: Sample) -> np.ndarray:
    """Log-likelihoods of a model and of its companions of other seeds: (N, seeds) in nats."""
    return sample.statistics.filter(regex=r"^log_prob(@\d+)?$").to_numpy(np.float64)
