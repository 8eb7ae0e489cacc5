"""Numerics are tested in float64, where a law holds or does not; the same seed starts every test.

One small pipeline is run once for all tests that need one.
"""

import os
import signal
import sys

import pytest
import torch
from filelock import FileLock

from likelihood.commands import export
from likelihood.detection import archive
from likelihood.detection.detector import Detector
from tests.clone import Clone, Workspace, shipped
from tests.helpers import ROOT, git

# A shell that starts the tests in the background, or nohup, lets them ignore signals, and so all that they start and interrupt.
signal.signal(signal.SIGINT, signal.default_int_handler)
signal.signal(signal.SIGHUP, signal.SIG_DFL)
# What is compiled is kept, whatever the surroundings say: the tests start Python hundreds of times.
sys.dont_write_bytecode = False
os.environ.pop("PYTHONDONTWRITEBYTECODE", None)
PROCESSES = "PYTEST_XDIST_WORKER" in os.environ  # pytest-xdist's, each of which has a core, with all that it starts
if PROCESSES:
    os.environ["OMP_NUM_THREADS"] = "1"
    torch.set_num_threads(1)


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
    """The small pipeline, run once from an empty folder and committed. For copying: no test may change it."""
    parent = tmp_path_factory.getbasetemp()
    if PROCESSES:
        parent = parent.parent  # which they share
    folder = parent / "small"
    with FileLock(parent / "small.lock"):
        if not folder.exists():
            clone = Clone(tmp_path_factory.mktemp("making"))
            clone.dvc("repro")
            clone.commit()
            git("gc", "-q", cwd=clone.folder)  # it is copied a hundred times
            clone.folder.rename(folder)
    return Workspace(folder)


@pytest.fixture(scope="session")
def committed(tmp_path_factory):
    """A folder with the committed detector of Fashion-MNIST. For reading."""
    return shipped(tmp_path_factory.mktemp("committed"), "fashion_mnist")


@pytest.fixture(scope="session")
def exported(committed):
    """The committed detector of Fashion-MNIST in one file. For reading."""
    path = committed / "fashion_mnist.detector"
    loaded = Detector.load(committed, "fashion_mnist").members
    path.write_bytes(archive.packed(export.members(committed, "fashion_mnist", loaded)))
    return path


# Files that take minutes, so that no process is left with one at the end, and the first makes the small pipeline while the second
# does what needs none.
FIRST = [
    "pipeline/test_pipeline.py", "pipeline/test_own_pipeline.py", "wrong/test_wrong.py", "training/test_resume.py",
    "pipeline/test_lock.py", "training/test_processes.py", "commands/test_sweep.py", "pipeline/test_remotes.py",
    "pipeline/test_extend.py", "commands/test_add.py", "pipeline/test_checkout.py", "models/test_models.py",
    "pipeline/test_page.py", "bench/test_bench.py", "commands/test_detect.py", "detection/test_fit.py",
]  # fmt: skip


def pytest_collection_modifyitems(items):
    """What needs the small pipeline is slow, too: `make quick` leaves it out. Sort by FIRST."""
    for item in items:
        if "small" in item.fixturenames:
            item.add_marker(pytest.mark.slow)
    places = {name: number for number, name in enumerate(FIRST)}
    items.sort(key=lambda item: places.get(str(item.path.relative_to(ROOT / "tests")), len(FIRST)))
