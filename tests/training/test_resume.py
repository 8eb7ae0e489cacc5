"""A training killed at any moment goes on where it stopped; byte for byte it leaves what an uninterrupted one leaves."""

import os
import shutil
import signal
import subprocess
import sys
import time

import numpy as np
import pytest

from likelihood.common import params
from likelihood.settings import resolve
from tests import warm
from tests.clone import Clone, environment, ran, replaced, workspace
from tests.helpers import ROOT, files

pytestmark = pytest.mark.slow

EPOCHS, STEPS = 4, 8  # steps an epoch
PLACES = ("data/models", "metrics", "data/trainings")
KILL = 128 + signal.SIGKILL  # the status, as shells count it

# A training that sends itself a signal at the n-th call of a function: just before the function does its work.
KILLED = """
import os, sys
sys.path.insert(0, os.path.abspath("src"))
import train
from likelihood.common import stage
from likelihood.models.shared import checkpoint
from likelihood.training import loop, progress, record
owner, name, number, signal = {owner}, {name!r}, {number}, {signal}
function, calls = getattr(owner, name), []
def counting(*arguments, **keywords):
    calls.append(1)
    if len(calls) == number:
        os.kill(os.getpid(), signal)
    return function(*arguments, **keywords)
setattr(owner, name, counting)
stage.run(train.main)
"""


def train(folder, model="vae", kill=None, benchmark="mnist_5k"):
    """Run the training in a folder that holds its own copy of src; `kill` is (owner, function, n-th call, signal)."""
    if not (folder / "src").exists():
        shutil.copytree(ROOT / "src", folder / "src", ignore=shutil.ignore_patterns("__pycache__"))
    resolve.write(params.load(folder / "params.yaml"), folder / "data/settings")  # as `check` does
    script = "src/train.py"
    if kill:
        owner, name, number, what = kill
        script = "killed.py"
        (folder / script).write_text(KILLED.format(owner=owner, name=name, number=number, signal=int(what)))
    command = [f"{warm.folder()}/python", script, model, "--benchmark", benchmark]
    return subprocess.run(command, cwd=folder, env=environment(), capture_output=True, text=True)


def longer(folder):
    """A workspace whose VAE takes four epochs and keeps three of them."""
    workspace(folder)
    text = (folder / "params.yaml").read_text()
    section = "vae:\n  lr:\n  muon_lr: 0.01\n  batch_size: 32\n  epochs: 2\n"
    changes = {section: section.replace("epochs: 2", "epochs: 4")}
    changes["  snapshots: 5\n"] = "  snapshots: 3\n"
    (folder / "params.yaml").write_text(replaced(text, changes))
    return folder


def contents(folder):
    """Every file of what a training leaves, by name."""
    return {f"{place}/{file}": (folder / place / file).read_bytes() for place in PLACES for file in files(folder / place)}


@pytest.fixture(scope="module")
def finished(tmp_path_factory):
    """The folder of an uninterrupted training. For copying."""
    folder = longer(tmp_path_factory.mktemp("uninterrupted"))
    assert train(folder).returncode == 0
    return folder


@pytest.fixture(scope="module")
def uninterrupted(finished):
    return contents(finished)


@pytest.fixture(scope="module")
def killed(tmp_path_factory):
    """The folder of a training that was killed in its second epoch. For copying."""
    folder = longer(tmp_path_factory.mktemp("killed"))
    assert train(folder, kill=("loop", "finite", STEPS + 4, signal.SIGKILL)).returncode == KILL
    return folder


# (what is about to be called when the signal comes, after which epoch that run went on)
CHAIN = [
    (("loop", "finite", 3, signal.SIGKILL), 0),  # in the first epoch
    (("loop", "finite", STEPS + 4, signal.SIGINT), 0),  # in the second
    (("checkpoint.os", "replace", 2, signal.SIGKILL), 1),  # the state of the second epoch is written, not yet in place
    (("progress.Progress", "save", 1, signal.SIGKILL), 1),  # snapshot and samples of the second epoch are there, its state is not
    (("record.Record", "log", 2, signal.SIGKILL), 1),  # the state of the second epoch is in place, its curves are not
    (("loop", "validate", 1, signal.SIGINT), 2),
    (("record.shutil", "copy", 2, signal.SIGKILL), 2),  # all epochs are done, the outputs half in place
    (None, EPOCHS),
]


def test_a_training_killed_again_and_again_leaves_what_an_uninterrupted_one_leaves(uninterrupted, tmp_path):
    folder = longer(tmp_path)
    for kill, done in CHAIN:
        result = train(folder, kill=kill)
        expected = {None: 0, signal.SIGKILL: KILL, signal.SIGINT: 130}[kill and kill[3]]
        assert result.returncode == expected, (kill, result.stdout + result.stderr)
        assert (f"going on after epoch {done} of {EPOCHS}" in result.stdout) == (0 < done < EPOCHS), (kill, result.stdout)
        assert ("the same training was done before" in result.stdout) == (done == EPOCHS), (kill, result.stdout)
        assert ("interrupted: run the same again" in result.stderr) == (expected == 130), result.stderr
        assert "Traceback" not in result.stderr
    assert contents(folder) == uninterrupted


def test_another_benchmark_with_the_same_in_set_takes_what_was_trained(finished, uninterrupted, tmp_path):
    folder = shutil.copytree(finished, tmp_path / "copy")
    shutil.copytree(folder / "data/processed/mnist_5k", folder / "data/processed/wide")
    text = (folder / "params.yaml").read_text()
    entry = text[text.index("  mnist_5k:\n    in:") : text.index("variants:\n")]
    wide = entry.replace("  mnist_5k:\n", "  wide:\n", 1).replace("    - constant\n", "")
    (folder / "params.yaml").write_text(
        text.replace(entry, entry + wide).replace("run:\n- mnist_5k\n", "run:\n- mnist_5k\n- wide\n")
    )
    result = train(folder, benchmark="wide")
    assert "the same training was done before" in result.stdout, result.stderr
    assert "epoch 1:" not in result.stdout
    named = {name: content for name, content in contents(folder).items() if "/wide/" in name}
    assert named
    assert named == {
        name.replace("mnist_5k", "wide"): content for name, content in uninterrupted.items() if "data/trainings" not in name
    }


def change_parameter(folder):
    text = (folder / "params.yaml").read_text()
    (folder / "params.yaml").write_text(text.replace("  lr: 0.005", "  lr: 0.004"))


def change_data(folder):
    file = folder / "data/processed/mnist_5k/in/train.npy"
    x = np.load(file)
    x[0, 0, 0, 0] += 1
    np.save(file, x)


def change_code(folder):
    with (folder / "src/likelihood/models/vae/model.py").open("a") as file:
        file.write("# another version\n")


def damage_state(folder):
    (state,) = (folder / "data/trainings").glob("*/state.safetensors")
    state.write_bytes(state.read_bytes()[:1000])


@pytest.mark.parametrize("change", [change_parameter, change_data, change_code, damage_state])
def test_a_training_of_anything_else_starts_afresh(change, killed, tmp_path):
    folder = shutil.copytree(killed, tmp_path / "copy")
    change(folder)
    result = train(folder)
    assert result.returncode == 0, result.stderr
    assert "going on" not in result.stdout
    assert all(f"epoch {number}:" in result.stdout for number in range(1, EPOCHS + 1))


def killed_after_an_epoch(clone, what):
    """Send a signal to a `dvc repro train_glow` and all it has started, once another epoch is complete; what it printed."""

    def states():
        return {path: path.stat().st_mtime_ns for path in clone.folder.glob("data/trainings/*/state.safetensors")}

    before, log = states(), clone.folder / "log"
    with log.open("w") as file:
        process = subprocess.Popen(
            [sys.executable, "-m", "dvc", "repro", "train_glow"],
            cwd=clone.folder,
            env=environment(warmed=False),
            stdout=file,
            stderr=file,
            start_new_session=True,
        )
    deadline = time.monotonic() + 120
    while states() == before:
        assert process.poll() is None, log.read_text()
        assert time.monotonic() < deadline, log.read_text()
        time.sleep(0.01)
    os.killpg(process.pid, what)
    assert process.wait(timeout=60) != 0
    assert "train_glow" not in clone.read("dvc.lock")
    return log.read_text()


def test_a_killed_repro_goes_on_and_locks_what_an_uninterrupted_one_locks(tmp_path):
    clone = Clone(tmp_path)
    text = clone.read("params.yaml")
    short = "glow:\n  lr:\n  muon_lr: 0.01\n  weight_decay: 0.1\n  batch_size:\n  epochs: 2\n"
    assert text.count(short) == 1
    clone.write("params.yaml", text.replace(short, short.replace("epochs: 2", "epochs: 6")))
    clone.dvc("repro", "preprocess")
    assert "going on" not in killed_after_an_epoch(clone, signal.SIGKILL)
    assert "going on after epoch" in killed_after_an_epoch(clone, signal.SIGINT)
    output = clone.dvc("repro", "train_glow")
    assert "going on after epoch" in output
    assert ran(output) == {"train_glow"}
    lock = clone.read("dvc.lock")
    shutil.rmtree(tmp_path / "data/trainings")
    clone.dvc("repro", "-f", "-s", "train_glow@mnist_5k")  # without interruption
    assert clone.read("dvc.lock") == lock
    assert ran(clone.dvc("repro", "train_glow")) == set()
