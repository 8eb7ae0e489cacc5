"""A comparison for the processes of a test: a module of its own, for each of them imports it."""

import os
from pathlib import Path

from bench.comparison import Comparison
from likelihood.common import memory

WHERE = "WHERE_WORKS_WRITE"  # names a folder


def two_works():
    """Two comparisons whose works say which process does them."""
    return [Comparison(name, "other", written(f"{name} ours"), written(f"{name} theirs")) for name in ("one", "two")]


def written(name):
    """A work that leaves the number of its process in a file of a name."""

    def work():
        note(name)
        return 1.0

    return work


def note(name):
    """Write the number of this process into a file."""
    Path(os.environ[WHERE], name).write_text(str(os.getpid()), encoding="utf-8")


if WHERE in os.environ:  # so in these processes alone
    memory.keep = lambda: note("keeps")
