"""Two processes give what one gives: trainings the same weights, scores the same numbers in the order of the images."""

import socket
import subprocess
import sys

import numpy as np
import pandas as pd
import pytest
from safetensors.numpy import load_file

from tests.clone import environment, workspace
from tests.helpers import ROOT, files

ONE = {"LT_ACCELERATOR": "cpu", "LT_DEVICES": "1"}
TWO = {"LT_ACCELERATOR": "cpu", "LT_DEVICES": "2", "LT_STRATEGY": "ddp"}
MODELS = ("vae", "pixelcnn", "glow")

# A stage's script in double precision, where rounding cannot hide a difference; a file, for Fabric starts it again.
DOUBLE = """
import sys, torch
torch.set_default_dtype(torch.float64)
sys.path.insert(0, {source!r})
import {module}
{module}.main()
"""


def free_port():
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def run(folder, script, *arguments, settings, launcher=()):
    """Run a stage's script in a folder, in double precision."""
    double = folder / "double.py"
    double.write_text(DOUBLE.format(source=str(ROOT / "src"), module=script.removesuffix(".py")))
    result = subprocess.run(
        [sys.executable, *launcher, str(double), *arguments],
        cwd=folder,
        env={**environment(), **settings},
        capture_output=True,
        text=True,
        timeout=300,
    )
    assert result.returncode == 0, result.stdout + result.stderr
    return result.stdout


@pytest.fixture(scope="module")
def alone(tmp_path_factory):
    """Each model trained by one process."""
    folder = workspace(tmp_path_factory.mktemp("alone"))
    for model in MODELS:
        run(folder, "train.py", model, "--benchmark", "mnist_5k", settings=ONE)
    return folder


def same_training(folder, alone, model):
    """Assert that two folders hold the same files of a training, equal but for rounding."""
    for place in (f"data/models/mnist_5k/{model}", f"metrics/mnist_5k/train/{model}"):
        assert files(folder / place) == files(alone / place)
    for file in files(alone / f"data/models/mnist_5k/{model}"):
        ours, theirs = [load_file(place / f"data/models/mnist_5k/{model}" / file) for place in (folder, alone)]
        assert ours.keys() == theirs.keys()
        for key, value in theirs.items():
            np.testing.assert_allclose(ours[key], value, rtol=1e-7, atol=1e-9, err_msg=f"{file}: {key}")
    for split in ("train", "validation"):
        file = f"metrics/mnist_5k/train/{model}/plots/metrics/{split}/bits_per_dim.tsv"
        ours, theirs = [pd.read_csv(place / file, sep="\t") for place in (folder, alone)]
        pd.testing.assert_frame_equal(ours, theirs, rtol=1e-9)


@pytest.mark.parametrize("model", MODELS)
def test_two_processes_train_what_one_trains(model, alone, tmp_path):
    folder = workspace(tmp_path)
    printed = run(folder, "train.py", model, "--benchmark", "mnist_5k", settings=TWO)
    assert printed.count("epoch 1:") == 1, "both processes write"
    same_training(folder, alone, model)


def test_processes_that_a_launcher_started_train_what_one_trains(alone, tmp_path):
    folder = workspace(tmp_path)
    launcher = ["-m", "torch.distributed.run", "--nproc_per_node=2", "--master_addr=127.0.0.1", f"--master_port={free_port()}"]
    settings = {**TWO, "LT_CLI_USED": "1"}
    run(folder, "train.py", "vae", "--benchmark", "mnist_5k", settings=settings, launcher=launcher)
    same_training(folder, alone, "vae")


@pytest.mark.parametrize("settings", [TWO, {}], ids=["ddp", "a process a core"])
@pytest.mark.parametrize("model", MODELS)
def test_two_processes_score_what_one_scores(model, settings, alone):
    tables = {}
    for name, chosen in (("one", ONE), ("two", settings)):
        run(alone, "score.py", "in", model, "--benchmark", "mnist_5k", settings=chosen)
        folder = alone / "data/scores/mnist_5k/in" / model
        tables[name] = {file: pd.read_parquet(folder / file) for file in files(folder) if file.endswith(".parquet")}
    assert tables["one"].keys() == tables["two"].keys() == {"train.parquet", "val.parquet", "test.parquet"}
    for file, table in tables["one"].items():
        assert table["log_prob"].nunique() == len(table), "images in another order would not be noticed"
        pd.testing.assert_frame_equal(tables["two"][file], table, rtol=1e-10)
