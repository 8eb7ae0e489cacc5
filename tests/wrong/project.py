"""A project to be spoilt, and what became of it."""

import hashlib
import json
import os
import shutil
import subprocess
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from likelihood.commands.audit import load_lock
from likelihood.common import params
from likelihood.common.errors import InputError
from likelihood.data import own
from likelihood.detection import archive
from likelihood.settings import checks, resolve
from tests.clone import Workspace, environment

BENCHMARK = ("--benchmark", "mnist_5k")
MODEL = "data/models/mnist_5k/{}/best.safetensors"
MINE = "own:\n  mine:\n    height: 28\n    width: 28\n    channels: 1\n    convert: false\n"
LEAVE = (".git", "__pycache__", "tmp", "trainings", ".venv")
PICTURES = "  pictures:\n    in: mine\n    out:\n    - noise\n"


digests = {}  # SHA-256 of files by name, size and time of the last change, as copies of the project share most


def digest(path, name):
    """SHA-256 of a file."""
    status = path.stat()
    key = name, status.st_size, status.st_mtime_ns
    if key not in digests:
        digests[key] = hashlib.sha256(path.read_bytes()).hexdigest()
    return digests[key]


def unprivileged():
    """What a command begins with so that permissions hold, also for root, to whom they mean nothing."""
    if os.geteuid() != 0:
        return []
    prefix = ["setpriv", "--bounding-set=-dac_override,-dac_read_search"]
    if shutil.which("setpriv") is None or subprocess.run([*prefix, "true"], capture_output=True).returncode:
        pytest.skip("root cannot be kept from writing here")
    return prefix


class Project(Workspace):
    """A copy of the small pipeline to be spoilt; what its last command printed, its status, and what it changed."""

    def __init__(self, folder):
        super().__init__(folder)
        self.mounted = None

    def files(self):
        """SHA-256 of every file that is a user's, a stage's, or says what was made of what."""
        found = {}
        for place, folders, names in os.walk(self.folder):
            folders[:] = [name for name in folders if name not in LEAVE]
            for path in (Path(place, name) for name in names):
                name = str(path.relative_to(self.folder))
                if path.is_file() and not name.startswith("data/settings/"):
                    found[name] = digest(path, name)
        lock = load_lock(self.folder)
        del lock["check"]  # which has passed, where another stage then fails
        return found | {"dvc.lock": json.dumps(lock)}

    def run(self, *command, may=(), **variables):
        """Run a command of the project's environment; `may` says what it may leave half done."""
        before = self.files()
        done = subprocess.run(
            command, cwd=self.folder, env={**environment(), **variables}, capture_output=True, text=True, timeout=300
        )
        after = self.files()
        self.status, self.output = done.returncode, done.stdout + done.stderr
        different = {name for name in before.keys() | after.keys() if before.get(name) != after.get(name)}
        added = {name for name in different - before.keys() if name.startswith(".dvc/cache/")}  # no harm
        self.changed = {name for name in different - added if not name.startswith(may or "//")}

    def stage(self, script, *arguments, **options):
        """Run a stage's script after `check`, which stands before all of them; by its own script where it refuses."""
        try:
            self.check()
        except (InputError, OSError):
            script, arguments = "check.py", ()
        self.run("python", f"src/{script}", *arguments, **options)

    def check(self):
        """What check.py does, in this process."""
        values = params.load(self.folder / "params.yaml")
        checks.check(values)
        for name in values["own"]:
            own.find(name, values["own"], self.folder / "data/own").hashable()
        resolve.write(values, self.folder / "data/settings")

    def likelihood(self, *arguments, **options):
        """The console command, with this folder's package."""
        self.run("python", "-m", "likelihood.cli", *arguments, PYTHONPATH=str(self.folder / "src"), **options)

    def repro(self, *arguments, **options):
        self.run("python", "-m", "dvc", "repro", *arguments, **options)

    def parameter(self, old, new):
        self.change("params.yaml", old, new)
        self.run("python", "src/check.py")

    def images(self, split, images, **others):
        """Give the default out- or in-set by the folder of images, and download it."""
        folder = self.folder.parent / "images"
        (folder / "mnist_5k").mkdir(parents=True)
        np.savez(folder / "mnist_5k" / f"{split}.npz", **{"images": images, **others})
        return folder

    def download(self, folder=None, **options):
        self.stage("download.py", *BENCHMARK, LIKELIHOOD_IMAGES=str(folder or ""), **options)

    def own(self, count=12, size=(28, 28)):
        """Pictures of one's own, declared as 28×28 grey and named by a benchmark."""
        folder = self.folder / "data/own/mine"
        folder.mkdir()
        for number in range(count):
            Image.fromarray(np.full(size, number, np.uint8)).save(folder / f"{number:02d}.png")
        self.change("params.yaml", "variants:\n", f"{PICTURES}variants:\n")
        self.change("params.yaml", "own: {}\n", MINE)
        self.change("params.yaml", "run:\n", "run:\n- pictures\n")
        return folder

    def pictures(self):
        self.stage("download.py", "--benchmark", "pictures")

    def holidays(self, count=12):
        """Pictures in a folder that nothing knows of."""
        folder = self.folder / "holidays"
        folder.mkdir()
        for number in range(count):
            Image.fromarray(np.full((28, 28), number, np.uint8)).save(folder / f"{number:02d}.png")
        return folder

    def detect(self, *arguments):
        """Look at a folder of one picture, unless arguments name something else."""
        folder = self.folder / "data/own/images"
        folder.mkdir(exist_ok=True)
        Image.fromarray(np.zeros((28, 28), np.uint8)).save(folder / "00.png")
        self.likelihood("detect", *BENCHMARK, *(arguments or ("data/own/images",)))

    def detector_file(self, change=bytes, **facts):
        """Look with a detector's file that is whole but for the changes."""
        members = {name: b"" for name in ("card.json", "reference.parquet", "calibration.parquet")}
        members["detector.json"] = json.dumps({"format": 1, "models": {}, **facts}).encode()
        (self.folder / "x.detector").write_bytes(change(archive.packed(members)))
        self.likelihood("detect", "--detector", "x.detector", "data/own/README.md")

    def close(self):
        if self.mounted:
            subprocess.run(["umount", str(self.mounted)], check=True)
