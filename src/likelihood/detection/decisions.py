"""Which images are flagged, given their p: at a rate of false alarms, at a false discovery rate, or in groups.

    Rate     p ≤ α                        α of the images like those trained on are flagged
    Fdr      p ≤ p_(k), the largest k with p_(k) ≤ k q / m, of the m images' p in order [1]
             on average, at most a share q of the flagged images is like those trained on
    Group    P = #{S : G(S) ≥ G(S_0)} / C(N, k) ≤ α,    G(S) = -Σ_{i in S} log r_i / N,    r_i = #{j : s_j ≥ s_i}
             α of the groups of images like those trained on are flagged

The p of images share their calibration images, so they are dependent: positively, so that Benjamini and Hochberg's procedure
still keeps q, on average over calibration sets [2].

G is Fisher's combination [3] of what the p of the k images of a group are among the N images that the group S_0 and the
calibration set have together. Its distribution is not Fisher's χ², as the p are dependent: it is that of all C(N, k) sets S of k
of these. Where all N are exchangeable, as they are if all images of a group come from where the calibration images come from and
independently of each other, each S is as likely to be the group, so P ≤ α has a probability of at most α; levels that are raised
for ties (evaluation/calibration.py) make it smaller. Images of one source that resemble each other, as frames of a film do, are
not independent, and more groups are flagged.

Of more than B sets, B are drawn at random, S_b, and P = (1 + #{b : G(S_b) ≥ G(S_0)}) / (1 + B), of which the same holds [4]. Our
deviation: the S_b are drawn once for each size, from a fixed seed, so that a group has the same P in every run; α is kept on
average over seeds, and by each to about sqrt(α (1 - α) / B).

References:
    [1] Controlling the false discovery rate (Benjamini & Hochberg, 1995), Journal of the Royal Statistical Society B 57(1)
    [2] Testing for outliers with conformal p-values (Bates et al., 2023), https://arxiv.org/abs/2104.08279
    [3] Statistical methods for research workers (Fisher, 1932), 4th edition, section 21.1
    [4] Permutation p-values should never be zero (Phipson & Smyth, 2010), Statistical Applications in Genetics and Molecular
        Biology 9(1)
"""

import collections
import functools
import itertools
import math
from collections.abc import Iterable, Iterator
from typing import Protocol

import numpy as np

from likelihood.detection.verdicts import Batch

DRAWS, SEED = 9_999, 0  # B, of sets
ROUNDING = 1e-9  # of sums of logarithms, and of products of p
AT_ONCE = 1_000_000  # images of sets that are made at a time
KEPT = 10_000_000  # images of sets, in all, that are made once for all groups of a size


class Decision(Protocol):
    """How images are flagged."""

    subject: str  # of a sentence that ends in "is flagged"
    said: str  # at the end of a sentence on how many are flagged
    meaning: str  # a sentence
    limit: float | None  # the p up to which images are flagged, once all are; None where that is not decided by p alone

    def __call__(self, batches: Iterator[Batch]) -> Iterator[Batch]:
        """The batches, whose tables have got a column `flagged` after `image`."""


class Rate:
    """Flag images whose p is at most a rate of false alarms."""

    subject = "An image"

    def __init__(self, rate: float) -> None:
        self.limit: float | None = rate
        self.rate = rate
        self.said = f"at a rate of false alarms of {rate:g}"
        self.meaning = f"The rate of false alarms is {rate:g}: this share of images like those trained on is flagged too."

    def __call__(self, batches: Iterator[Batch]) -> Iterator[Batch]:
        for batch in batches:
            batch.table.insert(1, "flagged", batch.p() <= self.rate)
            yield batch


class Fdr:
    """Flag images by Benjamini and Hochberg; all are held in memory until the last is judged."""

    subject = "An image"

    def __init__(self, fdr: float) -> None:
        self.limit: float | None = None
        self.fdr = fdr
        self.said = f"at a false discovery rate of {fdr:g}"
        share = "on average, at most this share of the flagged images is like those trained on"
        self.meaning = f"The false discovery rate is {fdr:g}: {share}."

    def __call__(self, batches: Iterator[Batch]) -> Iterator[Batch]:
        held = collections.deque(batches)
        if held:
            p = np.concatenate([batch.p() for batch in held])
            self.limit = float(p[discoveries(p, self.fdr)].max(initial=0.0))
        while held:
            batch = held.popleft()  # it goes with the maps that are made of it from now on
            batch.table.insert(1, "flagged", batch.p() <= self.limit)
            yield batch


class Group:
    """Flag groups of consecutive images, of which the last may be smaller. A batch must hold whole groups."""

    subject = "A group of images"

    def __init__(self, size: int, rate: float, levels: np.ndarray) -> None:
        self.limit: float | None = None
        self.size, self.rate, self.levels, self.count = size, rate, levels, 0
        self.said = f"in groups of {size}, at a rate of false alarms of {rate:g}"
        share = f"this share of groups of {size} images like those trained on is flagged too"
        self.meaning = f"The rate of false alarms is {rate:g}: {share}."

    def __call__(self, batches: Iterator[Batch]) -> Iterator[Batch]:
        for batch in batches:
            number = np.arange(len(batch.table)) // self.size
            scores = batch.table[batch.score].to_numpy()
            p = np.array([group_p(scores[number == each], self.levels) for each in range(number[-1] + 1)])[number]
            batch.table.insert(1, "flagged", p <= self.rate)
            batch.table.insert(2, "group", self.count + number)
            batch.table.insert(3, "group_p", p)
            self.count += int(number[-1]) + 1
            yield batch


def discoveries(p: np.ndarray, fdr: float) -> np.ndarray:
    """Which of m images are flagged at a false discovery rate, by their p (m,): bool (m,)."""
    from scipy.stats import false_discovery_control

    return false_discovery_control(p, method="bh") <= fdr * (1 + ROUNDING)  # p are multiples of 1 / (n + 1), so often equal


def fewest(count: int, least: float, fdr: float) -> int:
    """How many of so many images must have the least p possible before any is flagged at a false discovery rate."""
    return math.ceil(count * least / fdr - ROUNDING)


def group_p(scores: np.ndarray, levels: np.ndarray) -> float:
    """P of a group of images, from their scores (k,), higher is more outlying, and the levels (n,) of the calibration images."""
    pool = np.concatenate([scores, levels])
    ranks = len(pool) - np.searchsorted(np.sort(pool), pool, side="left")
    weights = -np.log(ranks / len(pool))
    own = weights[: len(scores)].sum() - ROUNDING
    count = sum(int((weights[sets].sum(axis=1) >= own).sum()) for sets in _sets(len(pool), len(scores)))
    every = math.comb(len(pool), len(scores))
    return count / every if every <= DRAWS else (1 + count) / (1 + DRAWS)


def least_group_rate(size: int, calibrating: int) -> float:
    """The smallest rate of false alarms that groups of a size can be flagged at: P of one above all calibration images."""
    return group_p(np.ones(size), np.zeros(calibrating))


def _sets(pool: int, size: int) -> Iterable[np.ndarray]:
    """Positions of all sets of a size among the images of a pool, or of DRAWS random ones, some at a time: int32 (B, size)."""
    return _kept(pool, size) if DRAWS * size <= KEPT else _made(pool, size)


@functools.lru_cache(maxsize=2)  # of the size asked for, and of the last group
def _kept(pool: int, size: int) -> list[np.ndarray]:
    return list(_made(pool, size))


def _made(pool: int, size: int) -> Iterator[np.ndarray]:
    step = max(1, AT_ONCE // size)
    if math.comb(pool, size) <= DRAWS:
        every = itertools.combinations(range(pool), size)
        while some := list(itertools.islice(every, step)):
            yield np.array(some, dtype=np.int32)
        return
    rng = np.random.RandomState(SEED)
    for start in range(0, DRAWS, step):
        count = min(step, DRAWS - start)
        yield np.stack([rng.choice(pool, size, replace=False).astype(np.int32) for _ in range(count)])
