"""Wrong surroundings: network, disk, weights, processes, cache, remote, git."""

import hashlib
import shutil
import subprocess
import sys

import pytest
from safetensors import safe_open
from safetensors.numpy import load_file, save_file

from tests.helpers import ROOT, git
from tests.wrong.project import BENCHMARK, MODEL, unprivileged


def no_network(project):
    """Every name is looked up and every address tried, in vain: a proxy that nobody is behind."""
    project.change("params.yaml", "    - noise\n", "    - kmnist\n")
    nowhere = {name: "http://127.0.0.1:9" for name in ("http_proxy", "https_proxy", "HTTP_PROXY", "HTTPS_PROXY")}
    project.stage("download.py", *BENCHMARK, LIKELIHOOD_IMAGES="", no_proxy="", **nowhere)


def full_disk(project):
    """A file system of its own, that is full, under the outputs of preprocess."""
    target = project.folder / "data/processed"
    command = ["mount", "-t", "tmpfs", "-o", "size=400k", "tmpfs", str(target)]
    if shutil.which("mount") is None or subprocess.run(command, capture_output=True).returncode:
        pytest.skip("no file system can be mounted here")
    project.mounted = target
    project.stage("preprocess.py", *BENCHMARK)


def read_only_folder(project):
    (project.folder / "data/processed").chmod(0o555)
    project.run(*unprivileged(), sys.executable, "src/preprocess.py", *BENCHMARK)


def missing_checkpoint(project):
    (project.folder / MODEL.format("glow")).unlink()
    project.stage("score.py", "in", "glow", *BENCHMARK)


def damaged_checkpoint(project):
    path = project.folder / MODEL.format("glow")
    path.write_bytes(path.read_bytes()[:-100])
    project.stage("score.py", "in", "glow", *BENCHMARK)


def another_architecture(project):
    path = project.folder / MODEL.format("vae")
    with safe_open(path, framework="np") as file:
        metadata = file.metadata()
    save_file(load_file(path), path, {"model": metadata["model"].replace('"hidden": 100', '"hidden": 50')})
    project.stage("score.py", "in", "vae", *BENCHMARK)


def unknown_architecture(project):
    path = project.folder / MODEL.format("vae")
    save_file(load_file(path), path, {"model": '{"name": "diffusion", "arguments": {}}'})
    project.stage("score.py", "in", "vae", *BENCHMARK)


def diverging_training(project):
    project.change("params.yaml", "glow:\n  lr:\n  muon_lr: 0.01", "glow:\n  lr: 0.9\n  muon_lr: 0.9")
    project.repro("train_glow", may=("data/models/mnist_5k/glow", "metrics/mnist_5k/train/glow"))


def uneven_processes(project):
    project.change("params.yaml", "  batch_size: 32", "  batch_size: 31")
    two = {"LT_ACCELERATOR": "cpu", "LT_DEVICES": "2", "LT_STRATEGY": "ddp"}
    project.stage("train.py", "vae", *BENCHMARK, may=("metrics/mnist_5k/train/vae",), **two)
    # Both processes say it, and the second may begin before the first has ended its line.
    project.output = project.output.replace("processeserror:", "processes\nerror:")


def damaged_cache(project):
    path = project.folder / MODEL.format("vae")
    md5 = hashlib.md5(path.read_bytes()).hexdigest()
    stored = project.folder / ".dvc/cache/files/md5" / md5[:2] / md5[2:]
    stored.chmod(0o644)
    stored.write_bytes(b"?" + stored.read_bytes()[1:])
    stored.chmod(0o444)
    project.likelihood("audit")


def stale_result(project):
    project.change("params.yaml", "bins: 80", "bins: 40")
    project.likelihood("audit")


def unsupported_result(project):
    place = project.folder / "plots/mnist_5k/vae_regret"
    place.mkdir()
    (place / "scores.png").write_text("")
    git("add", str(place), cwd=project.folder)
    project.likelihood("audit")


def missing_in_the_remote(project):
    shutil.rmtree(project.folder / ".dvc/cache")
    (project.folder / MODEL.format("vae")).unlink()
    project.run("python", "-m", "dvc", "pull", MODEL.format("vae"))


def unreachable_remote(project):
    s3 = {"url": "s3://bucket/images", "endpointurl": "http://127.0.0.1:9", "access_key_id": "k", "secret_access_key": "k"}
    lines = ["['remote \"team\"']", *(f"    {name} = {value}" for name, value in s3.items())]
    project.write(".dvc/config.local", "\n".join(lines) + "\n")  # as `dvc remote modify --local` does
    project.run("python", "-m", "dvc", "push", "-r", "team")


def no_git(project):
    shutil.rmtree(project.folder / ".git")
    (project.folder / ".venv").mkdir()
    (project.folder / ".venv/.installed").touch()  # newer than the lists of packages, so make installs nothing
    project.run("make", "repro")


def no_experiments(project):
    project.likelihood("summarize")


def pages_out_of_date(project):
    for file in ("bench", "docs", "metrics"):
        shutil.copytree(ROOT / file, project.folder / file, dirs_exist_ok=True)
    shutil.copy(ROOT / "params.yaml", project.folder)
    project.change("README.md", "<!-- results:end -->", "")
    project.likelihood("docs", "--check")
