"""Numerics are tested in float64, where a law holds or does not; the same seed starts every test.

One small pipeline is run once for all tests that need one.
"""

import signal

import pytest
import torch

from tests.clone import Clone

# A shell that starts the tests in the background, or nohup, lets them ignore signals, and so all that they start and interrupt.
signal.signal(signal.SIGINT, signal.default_int_handler)
signal.signal(signal.SIGHUP, signal.SIG_DFL)


@pytest.fixture(autouse=True)
def double_precision():
    """Make float64 the default and seed torch, for this test only."""
    before = torch.get_default_dtype()
    torch.set_default_dtype(torch.float64)
    torch.manual_seed(0)
    yield
    torch.set_default_dtype(before)


@pytest.fixture(scope="session")
def small(tmp_path_factory):
    """The small pipeline, run from an empty folder and committed. For copying: no test may change it."""
    clone = Clone(tmp_path_factory.mktemp("small"))
    clone.dvc("repro")
    clone.commit()
    return clone
