"""Two ways of doing the same thing, and how fast one of them is."""

import time
from collections.abc import Callable
from typing import NamedTuple

Work = Callable[[], float]  # does some work, returns how many images it did (may be a fraction)


class Comparison(NamedTuple):
    """Two ways of doing the same thing."""

    name: str
    peer: str
    ours: Work
    theirs: Work
    parameters: tuple[int, int] | None = None
    note: str = ""


def rate(work: Work) -> float:
    """Images per second of one call."""
    start = time.perf_counter()
    done = work()
    return done / (time.perf_counter() - start)
