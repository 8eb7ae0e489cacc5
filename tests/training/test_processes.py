"""Two processes give what one gives: trainings the same weights, scores the same numbers in the order of the images."""

import socket
import subprocess
import sys

import numpy as np
import pandas as pd
import pytest
import yaml
from safetensors.numpy import load_file

from tests import warm
from tests.clone import environment, workspace
from tests.helpers import ROOT, files

pytestmark = pytest.mark.slow

ONE = {"LT_ACCELERATOR": "cpu", "LT_DEVICES": "1"}
TWO = {"LT_ACCELERATOR": "cpu", "LT_DEVICES": "2", "LT_STRATEGY": "ddp"}
MODELS = ("vae", "pixelcnn", "glow")

# A stage's script in double precision, where rounding cannot hide a difference; a file, for Fabric starts it again. So few images
# are several batches that processes share; it says how many processes score.
DOUBLE = """
import sys, torch
torch.set_default_dtype(torch.float64)
sys.path.insert(0, {source!r})
from likelihood.models.shared.base import LikelihoodModel
from likelihood.statistics import measure
LikelihoodModel.core_batch = 7
class Pool(measure.ProcessPoolExecutor):
    def __init__(self, cores, *arguments, **options):
        print("processes that score:", cores, flush=True)
        super().__init__(cores, *arguments, **options)
measure.ProcessPoolExecutor = Pool
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
        [*launcher, f"{warm.folder()}/python", str(double), *arguments],
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


def torchrun(port, *options):
    """The words before those of a process that torchrun starts."""
    command = [sys.executable, "-m", "torch.distributed.run", "--no-python", *options]
    return [*command, "--master_addr=127.0.0.1", f"--master_port={port}"]


def test_processes_that_a_launcher_started_train_what_one_trains(alone, tmp_path):
    folder = workspace(tmp_path)
    settings = {**TWO, "LT_CLI_USED": "1"}
    run(
        folder,
        "train.py",
        "vae",
        "--benchmark",
        "mnist_5k",
        settings=settings,
        launcher=torchrun(free_port(), "--nproc_per_node=2"),
    )
    same_training(folder, alone, "vae")


def together(folder, commands):
    """Run commands at once to their end, each with variables of its own."""
    started = [
        subprocess.Popen(command, cwd=folder, env={**environment(), **settings}, stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
        for command, settings in commands
    ]
    printed = [process.communicate(timeout=300)[0].decode() for process in started]
    assert [process.returncode for process in started] == [0] * len(started), "\n".join(printed)
    return printed


def host(number, port):
    """torchrun on one of two hosts, with a process each."""
    settings = {"LT_CLI_USED": "1", "LT_ACCELERATOR": "cpu", "LT_DEVICES": "1", "LT_NUM_NODES": "2", "LT_STRATEGY": "ddp"}
    return torchrun(port, "--nnodes=2", f"--node_rank={number}", "--nproc_per_node=1"), settings


def task(number, port):
    """One of two processes that srun starts, by the variables it gives them."""
    settings = {
        "SLURM_NTASKS": "2",
        "SLURM_NTASKS_PER_NODE": "2",
        "SLURM_JOB_NAME": "vae",
        "SLURM_JOB_ID": "1",
        "SLURM_STEP_ID": "0",
    }
    settings |= {"SLURM_NODELIST": "127.0.0.1", "SLURM_NODEID": "0", "SLURM_PROCID": str(number), "SLURM_LOCALID": str(number)}
    return [], {**TWO, **settings, "MASTER_ADDR": "127.0.0.1", "MASTER_PORT": str(port)}


@pytest.mark.parametrize("start", [host, task], ids=["two hosts", "SLURM"])
def test_what_several_hosts_trained_is_taken_by_the_stage_without_training(start, small, tmp_path):
    clone = small.copied(tmp_path / "clone")
    text = clone.read("params.yaml")
    clone.write("params.yaml", text.replace("vae:\n  lr:", "vae:\n  lr: 0.001"))
    clone.dvc("repro", "-s", "check")
    port = free_port()
    commands = [start(number, port) for number in (0, 1)]
    script = [f"{warm.folder()}/python", "src/train.py", "vae", "--benchmark", "mnist_5k"]
    printed = together(clone.folder, [([*command, *script], settings) for command, settings in commands])
    assert "".join(printed).count("epoch 2: train") == 1, "one process writes"
    output = clone.dvc("repro", "train_vae")
    assert "the same training was done before: taking its results" in output
    assert "epoch 2: train" not in output


SCRIPT = """
import atexit
from pathlib import Path
import torch
from likelihood.training import processes

def threads():
    print("threads:", *(file.read_text().strip() for file in Path("/proc/self/task").glob("*/comm")), flush=True)

def work(fabric):
    fabric.all_reduce(torch.ones(3))
    threads()

if __name__ == "__main__":
    atexit.register(threads)
    processes.launch(work)
"""


@pytest.mark.skipif(sys.platform != "linux", reason="threads are read from /proc")
def test_a_process_that_has_joined_others_ends_without_threads_that_speak_to_them(tmp_path):
    (tmp_path / "script.py").write_text(SCRIPT)
    port = free_port()
    commands = [task(number, port) for number in (0, 1)]
    script, path = [f"{warm.folder()}/python", "script.py"], {"PYTHONPATH": str(ROOT / "src")}
    joined = [([*command, *script], {**more, **path}) for command, more in commands]
    for printed in together(tmp_path, joined):
        during, after = [line for line in printed.splitlines() if line.startswith("threads:")]
        assert "gloo" in during
        assert "gloo" not in after


def test_several_processes_change_neither_what_the_lock_says_is_run_nor_its_results(small, tmp_path):
    clone = small.copied(tmp_path / "clone")
    printed = clone.dvc("repro", "-f", "-s", "train_vae", LIKELIHOOD_TRAININGS=str(tmp_path / "trainings"), **TWO)
    assert printed.count("epoch 2: train") == 1, "trained anew"
    before, after = [yaml.safe_load(each.read("dvc.lock"))["stages"]["train_vae@mnist_5k"] for each in (small, clone)]
    for part in ("cmd", "deps"):
        assert after[part] == before[part]
    assert [out["path"] for out in after["outs"]] == [out["path"] for out in before["outs"]]
    # In single precision, and weights are kept in half: the last digits differ.
    weights = [load_file(each.folder / "data/models/mnist_5k/vae/best.safetensors") for each in (small, clone)]
    assert weights[0].keys() == weights[1].keys()
    one, two = [np.concatenate([each[key].astype(np.float64).ravel() for key in sorted(each)]) for each in weights]
    assert np.linalg.norm(two - one) <= 1e-3 * np.linalg.norm(one)
    for split in ("train", "validation"):
        file = f"metrics/mnist_5k/train/vae/plots/metrics/{split}/bits_per_dim.tsv"
        ours, theirs = [pd.read_csv(each.folder / file, sep="\t") for each in (clone, small)]
        pd.testing.assert_frame_equal(ours, theirs, rtol=1e-5)


@pytest.mark.parametrize("model", MODELS)
def test_two_processes_score_what_one_scores(model, alone):
    tables = {}
    for threads in ("1", "2"):
        printed = run(alone, "score.py", "in", model, "--benchmark", "mnist_5k", settings={"OMP_NUM_THREADS": threads})
        assert printed.count("processes that score: 2") == (3 if threads == "2" else 0), "of three sets"
        folder = alone / "data/scores/mnist_5k/in" / model
        tables[threads] = {file: pd.read_parquet(folder / file) for file in files(folder) if file.endswith(".parquet")}
    assert tables["1"].keys() == tables["2"].keys() == {"train.parquet", "val.parquet", "test.parquet"}
    for file, table in tables["1"].items():
        assert table["log_prob"].nunique() == len(table), "images in another order would not be noticed"
        pd.testing.assert_frame_equal(tables["2"][file], table, rtol=1e-10)


BATCH = {"SLURM_JOB_ID": "7", "SLURM_JOB_NAME": "run", "SLURM_NODELIST": "node1", "SLURM_JOB_NUM_NODES": "1"}
JOBS = [
    {},
    {"SLURM_NTASKS": "1"},
    {"SLURM_NTASKS": "2"},
    {"SLURM_NTASKS": "2", "SLURM_NTASKS_PER_NODE": "2", "SLURM_CPUS_PER_TASK": "1"},
]
LONELY = """
from likelihood.training import processes
def work(fabric):
    print("processes:", fabric.world_size)
if __name__ == "__main__":
    processes.launch(work)
"""


def test_in_a_batch_job_a_training_is_the_one_process_that_runs(tmp_path):
    (tmp_path / "script.py").write_text(LONELY)
    for job in JOBS:  # what sbatch sets, where srun has started nothing
        variables = {**environment(), **BATCH, **job, "PYTHONPATH": str(ROOT / "src")}
        command = [f"{warm.folder()}/python", "script.py"]
        done = subprocess.run(command, cwd=tmp_path, env=variables, capture_output=True, text=True, timeout=120)
        assert (done.returncode, done.stdout) == (0, "processes: 1\n"), done.stderr
