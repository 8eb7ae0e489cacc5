"""The two sides of a comparison, each in a process of its own: how one has set up its memory does not reach the other."""

import multiprocessing
from collections.abc import Callable
from multiprocessing.connection import Connection

import torch

from bench.comparison import Comparison, rate
from likelihood.common import memory

Group = Callable[[], list[Comparison]]


def serve(group: Group, ours: bool, pipe: Connection) -> None:
    """Time the works that the pipe names until it names none; ours keep freed memory, as the pipeline's stages do."""
    torch.manual_seed(0)
    if ours:
        memory.keep()
    works = [comparison.ours if ours else comparison.theirs for comparison in group()]
    while (number := pipe.recv()) is not None:
        pipe.send(rate(works[number]))


class Side:
    """A process that does one side's works of a group of comparisons, for as long as the `with` lasts."""

    def __init__(self, group: Group, ours: bool) -> None:
        context = multiprocessing.get_context("spawn")
        self.pipe, theirs = context.Pipe()
        self.process = context.Process(target=serve, args=(group, ours, theirs))

    def __enter__(self) -> "Side":
        self.process.start()
        return self

    def __exit__(self, *error: object) -> None:
        if self.process.is_alive():  # else its own error is what is to be seen
            self.pipe.send(None)
        self.process.join()

    def rate(self, number: int) -> float:
        """Images per second of the work of that number; the other side waits."""
        self.pipe.send(number)
        return self.pipe.recv()
