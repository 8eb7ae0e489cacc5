"""A small copy of the project in an empty folder, and a small workspace for single stage scripts; no network."""

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np

from likelihood.commands.audit import load_lock
from likelihood.common import params
from likelihood.settings import resolve
from tests import warm
from tests.helpers import ROOT, git

SMALL = {
    # of colour
    "epochs: 80": "epochs: 2",
    "epochs: 24": "epochs: 2",
    "epochs: 40": "epochs: 2",
    "draws: 16": "draws: 2",
    "hidden: 48": "hidden: 4",
    "layers: 8": "layers: 2",
    "channels: 48": "channels: 6",
    "steps: 8": "steps: 2",
    "hidden: 128": "hidden: 8",
    # of all, and of grey images
    "epoch_images: 5000": "epoch_images: 256",
    "validation_images: 500": "validation_images: 64",
    "epochs: 6": "epochs: 2",
    "epochs: 5": "epochs: 2",
    "batch_size: 128": "batch_size: 32",
    "layers: 6": "layers: 2",
    "channels: 32": "channels: 8",
    "steps: 16": "steps: 2",
    "hidden: 64": "hidden: 8",
    "hidden: 400": "hidden: 100",
    "images: 2000": "images: 60",
    "draws: 64": "draws: 4",
    "sample_images: 64": "sample_images: 4",
    "images: 500": "images: 20",
    "bootstrap: 1000": "bootstrap: 100",
    "seeds: [1, 2]": "seeds: [7]",
}
SMALLER = [  # what nobody chooses, and so is no parameter
    ("src/likelihood/figures/benchmark.py", "DPI = 150", "DPI = 30"),  # most of a figure's time is for its pixels
    ("src/evaluate_analysis.py", "DPI = 130", "DPI = 30"),
    ("src/rank.py", "DPI = 130", "DPI = 30"),
    ("src/likelihood/data/sets.py", "NOISE_COUNT = 20_190, 10_000", "NOISE_COUNT = 20_190, 300"),  # it is copied a hundred times
]


def small_parameters():
    """The text of params.yaml, everything small, on the digits that ship with a package."""
    before, _, rest = (ROOT / "params.yaml").read_text().partition("run:\n")
    _, _, rest = rest.partition("run_variants")
    lists, _, rest = rest.partition("benchmarks:\n")
    _, _, models = rest.partition("variants:\n")
    benchmark = "benchmarks:\n  mnist_5k:\n    in: mnist_5k\n    out:\n    - noise\n    - constant\n"
    return replaced(f"{before}run:\n- mnist_5k\nrun_variants{lists}{benchmark}variants:\n{models}", SMALL)


def replaced(text, changes):
    """A text with parts of it replaced, all of which must be there."""
    for old, new in changes.items():
        assert old in text, old
        text = text.replace(old, new)
    return text


def environment(warmed=True):
    """That of a stage: this Python first, which starts scripts warm; two threads, or one beside the tests of another process.

    What is killed with all that it has started must not be warm: the script is a child of another process.
    """
    path = os.pathsep.join([*([warm.folder()] if warmed else []), str(Path(sys.executable).parent), os.environ["PATH"]])
    return {**os.environ, "PATH": path, "OMP_NUM_THREADS": "1" if "PYTEST_XDIST_WORKER" in os.environ else "2"}


class Workspace:
    """A folder of the project with a repository of its own."""

    def __init__(self, folder):
        self.folder = folder

    def named(self):
        """git has to know who commits."""
        git("config", "user.name", "test", cwd=self.folder)
        git("config", "user.email", "test@example.org", cwd=self.folder)
        return self

    def copied(self, folder):
        """The same with its data and its cache in another, new folder."""
        shutil.copytree(self.folder, folder, symlinks=True)
        return Workspace(folder)

    def cloned(self, folder):
        """What git has of it, in another folder."""
        git("clone", "-q", str(self.folder), str(folder))
        return Workspace(folder).named()

    def commit(self):
        git("add", "-A", cwd=self.folder)
        git("commit", "-qm", "as it is", cwd=self.folder)

    def read(self, file):
        return (self.folder / file).read_text()

    def write(self, file, text):
        (self.folder / file).write_text(text)

    def change(self, file, old, new):
        """Replace the first of a text in a file, which must be there."""
        text = self.read(file)
        assert old in text, old
        self.write(file, text.replace(old, new, 1))

    def dvc(self, *arguments, check=True, **variables):
        python = sys.executable if arguments[0] == "queue" else f"{warm.folder()}/python"  # its workers go on without it
        run = subprocess.run(
            [python, "-m", "dvc", *arguments],
            cwd=self.folder,
            env={**environment(), **variables},
            capture_output=True,
            text=True,
        )
        if check:
            assert run.returncode == 0, run.stdout + run.stderr
        return run.stdout + run.stderr

    def likelihood(self, *arguments, **variables):
        """The end of the console command, run with this folder's package."""
        return subprocess.run(
            [f"{warm.folder()}/python", "-m", "likelihood.cli", *map(str, arguments)],
            cwd=self.folder,
            env={**environment(), "PYTHONPATH": str(self.folder / "src"), **variables},
            capture_output=True,
            text=True,
        )

    def rerun(self, old, new):
        """The stages at the frontier that a change of params.yaml makes run, then the change taken back."""
        text = self.read("params.yaml")
        assert text.count(old) == 1, old
        self.write("params.yaml", text.replace(old, new))
        try:
            return ran(self.dvc("repro", "--dry"))
        finally:
            self.write("params.yaml", text)


class Clone(Workspace):
    """A clone of the committed and uncommitted tree, with its own parameters and an empty cache."""

    def __init__(self, folder):
        super().__init__(folder)
        files = git("ls-files", "-z", "--cached", "--others", "--exclude-standard").split("\0")
        for file in filter(None, files):
            if (ROOT / file).is_file() and not file.startswith(("metrics/", "plots/", "shipped/")) and file != "dvc.lock":
                (folder / file).parent.mkdir(parents=True, exist_ok=True)
                shutil.copy(ROOT / file, folder / file)
        self.write("params.yaml", small_parameters())
        for change in SMALLER:
            self.change(*change)
        git("init", "-q", "-b", "main", cwd=folder)
        self.named().commit()


def shipped(folder, benchmark, variant=None):
    """A folder with what the repository carries of a benchmark's detector, and of a variant's, at its place."""
    for name in ("params.yaml", "dvc.lock"):
        shutil.copy(ROOT / name, folder / name)
    shutil.copytree(ROOT / "metrics", folder / "metrics")
    outs = {out["path"]: out["md5"] for entry in load_lock(ROOT).values() for out in entry.get("outs", [])}
    wanted = [
        f"data/detectors/{benchmark}",
        *(f"data/models/{benchmark}/{model}/best.safetensors" for model in params.MODELS),
        *([f"data/detectors/{benchmark}.{variant}", f"data/models/{benchmark}/{variant}"] if variant else []),
    ]
    for path in wanted:
        stored = ROOT / "shipped/files/md5" / outs[path][:2] / outs[path][2:]
        files = {path: stored}
        if stored.suffix == ".dir":
            files = {f"{path}/{each['relpath']}": stored.parents[1] / each["md5"][:2] / each["md5"][2:]
                     for each in json.loads(stored.read_text())}  # fmt: skip
        for name, file in files.items():
            (folder / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy(file, folder / name)
    return folder


def ran(output):
    """Names of the stages that a dvc repro ran, without the benchmark."""
    lines = [line for line in output.splitlines() if line.startswith("Running stage")]
    return {line.split("'")[1].replace("@mnist_5k", "").replace("@", "") for line in lines}


def workspace(folder):
    """What a training and a scoring of the benchmark `mnist_5k` read, with drawn pictures: dark left, bright right."""
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "params.yaml").write_text(small_parameters().replace("  images: 60", "  images: 59"))  # no even number
    resolve.write(params.load(folder / "params.yaml"), folder / "data" / "settings")
    source = folder / "data" / "processed" / "mnist_5k" / "in"
    source.mkdir(parents=True)
    for seed, (name, count) in enumerate({"train": 300, "val": 64, "test": 61}.items()):
        x = np.random.default_rng(seed).integers(0, 60, (count, 1, 28, 28), dtype=np.uint8)
        x[..., 14:] += 190
        np.save(source / f"{name}.npy", x)
    return folder
