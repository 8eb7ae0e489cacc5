"""What an out-of-distribution score is, and what it is given.

A score is fitted on held-out in-distribution images, and then gives each image, or each batch of a few, one number: **higher =
more outlying**. As in scikit-learn, hyper-parameters are arguments of the constructor, `fit` returns the score itself, and the
name of what it has learned ends in an underscore.
"""

from abc import ABC, abstractmethod
from typing import NamedTuple, Self

import numpy as np
import pandas as pd


def p_values(known: np.ndarray, values: np.ndarray) -> np.ndarray:
    """Of each of N values, the share of the n known ones, and itself, that is at least as large: (N,) in (0, 1]."""
    below = np.searchsorted(np.sort(known), values, side="left")
    return (1 + len(known) - below) / (1 + len(known))


class Sample(NamedTuple):
    """Images of one set and what is known of them; row i of all is the same image."""

    images: np.ndarray  # uint8 (N, C, H, W)
    codes: pd.DataFrame  # code lengths in nats, one column per codec (likelihood/scores/complexity.py)
    # Of one model, in nats: `log_prob` and its parts; where there are any, those of a variant as `<statistic>@<kind>`,
    # and those of analyses: `gradient_norm`, `gradient_norm.<layer>`, `regret`, `lid`, `residual_ks` … Or `<statistic>_<model>`
    # of all models. Or no column at all.
    statistics: pd.DataFrame

    def column(self, statistic: str) -> np.ndarray:
        """One statistic of every image, (N,) float64."""
        return self.statistics[statistic].to_numpy(np.float64)


class Score(ABC):
    """An out-of-distribution score; higher = more outlying.

    Attributes:
        title: what tables and figures call it.
        needs: the statistics it reads. It is applied to every model that has them all; a score that needs none uses no model.
        pools: whether it can also read `<statistic>_<model>` of several models at once.
        coded: the codecs whose code lengths it reads.
        batch: how many images share one number.
    """

    title: str
    needs: tuple[str, ...] = ()
    pools: bool = False
    coded: tuple[str, ...] = ()
    batch: int = 1

    def fit(self, reference: Sample) -> Self:
        """Learn what is normal from held-out in-distribution images, and return the score.

        It reads `codes` and `statistics` only, never `images`: a detector keeps these numbers, not the images they come from, and
        fits scores on them again. A score that has nothing to learn need not define it.
        """
        return self

    def batches(self, values: np.ndarray) -> np.ndarray:
        """Values of consecutive images (N,), cut into batches: (N // batch, batch)."""
        return values[: len(values) // self.batch * self.batch].reshape(-1, self.batch)

    @abstractmethod
    def score(self, sample: Sample) -> np.ndarray:
        """Scores (N // batch,) float64, finite, higher = more outlying; number k is of rows k · batch … (k + 1) · batch - 1."""


class Statistic(Score):
    """A statistic itself.

    Arguments:
        statistic: its name.
        title: what tables and figures call the score.
        sign: 1 where more of it is more outlying, -1 where less is.
    """

    def __init__(self, statistic: str, title: str, sign: float = 1.0) -> None:
        self.needs = (statistic,)
        self.title = title
        self.sign = sign

    def score(self, sample: Sample) -> np.ndarray:
        return self.sign * sample.column(*self.needs)
