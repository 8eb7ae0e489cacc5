"""Freed memory is kept where the C library can keep it."""

import subprocess
import sys

import pytest

from tests.helpers import ROOT

FAULTS = """
import resource, sys
import torch
from likelihood.common import memory

def faults():
    return resource.getrusage(resource.RUSAGE_SELF).ru_minflt

if sys.argv[1] == "keep":
    memory.keep()
for _ in range(6):  # pieces too large for glibc to keep by itself, taken and given back
    torch.zeros(2**24).add_(1.0)
before = faults()
for _ in range(24):  # the heap may grow by one piece more, depending on where it lies
    torch.zeros(2**24).add_(1.0)
print(faults() - before)
"""


def faults(word):
    run = subprocess.run([sys.executable, "-c", FAULTS, word], cwd=ROOT / "src", capture_output=True, text=True, check=True)
    return int(run.stdout)


@pytest.mark.slow
@pytest.mark.skipif(sys.platform != "linux", reason="the setting is of Linux's C library")
def test_memory_that_is_kept_is_not_mapped_anew():
    assert faults("keep") < 0.1 * faults("give back")
