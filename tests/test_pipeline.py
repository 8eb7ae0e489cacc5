"""Contracts of the pipeline: what a stage reads is among its deps, what is committed is an output, what a change reruns."""

import ast
import functools
import json
import os
import shlex
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
import yaml

ROOT = Path(__file__).resolve().parents[1]
SRC = ROOT / "src"
STAGES = yaml.safe_load((ROOT / "dvc.yaml").read_text())["stages"]
LAYERS = ["errors", "units", "data", "nn", "models", "training", "scores", "metrics", "tables", "figures"]


def module_file(name):
    """The first-party file of a module's dotted name, or None."""
    path = SRC.joinpath(*name.split("."))
    return next((p for p in (path.with_suffix(".py"), path / "__init__.py") if p.exists()), None)


@functools.cache
def imports(file):
    """First-party files that a file imports by statements."""
    found = set()
    for node in ast.walk(ast.parse(file.read_text())):
        if isinstance(node, ast.Import):
            names = [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom):
            names = [node.module, *(f"{node.module}.{alias.name}" for alias in node.names)]
        else:
            continue
        found |= {path for path in map(module_file, names) if path}
    return frozenset(found)


def closure(files):
    todo, seen = list(files), set()
    while todo:
        file = todo.pop()
        if file not in seen:
            seen.add(file)
            todo += imports(file)
    return seen


def cells():
    """(stage, model or None) of every stage, with its deps written out for that model."""
    for name, stage in STAGES.items():
        for model in stage.get("matrix", {}).get("model", [None]):
            if name.startswith("train_"):
                model = name.removeprefix("train_")
            yield pytest.param(stage, model, id=f"{name}-{model}" if model else name)


@pytest.mark.parametrize(("stage", "model"), cells())
def test_every_file_a_stage_imports_is_among_its_deps(stage, model):
    script = ROOT / shlex.split(stage["cmd"])[1]
    lazy = {"check.py": "data", "download.py": "data", "evaluate.py": "scores"}.get(script.name)
    registry = set((SRC / "likelihood" / lazy).glob("*.py")) if lazy else set()  # what its name in params.yaml may import
    if model:
        registry.add(SRC / "likelihood" / "models" / f"{model}.py")
    deps = [ROOT / dep.replace("${item.model}", model or "") for dep in stage["deps"] if "${item.benchmark}" not in dep]
    for file in closure({script, *registry}):
        if file.stat().st_size:  # an empty __init__.py changes nothing
            assert any(file == dep or dep in file.parents for dep in deps), f"{file.relative_to(ROOT)} is not a dep"
    for dep in deps:
        assert dep.exists() or not dep.is_relative_to(SRC), f"{dep.relative_to(ROOT)} does not exist"


@pytest.mark.parametrize("script", ["check", "preprocess", "evaluate", "plot", "download", "readme"])
def test_stages_without_a_network_import_no_torch(script):
    code = f"import sys; sys.path.insert(0, 'src'); import {script}; sys.exit('torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], cwd=ROOT).returncode == 0


def layer(file):
    return LAYERS.index(file.relative_to(SRC / "likelihood").parts[0].removesuffix(".py"))


def test_imports_go_one_way():
    for file in sorted((SRC / "likelihood").rglob("*.py")):
        if file.parent == SRC / "likelihood" and file.name == "__init__.py":
            continue
        for imported in imports(file):
            assert SRC / "likelihood" in imported.parents, f"{file} imports a stage"
            if imported.name != "__init__.py" or imported.stat().st_size:
                assert layer(imported) <= layer(file), f"{file.relative_to(ROOT)} imports {imported.relative_to(ROOT)}"


def test_no_file_is_long():
    for file in [*SRC.rglob("*.py"), *(ROOT / "tests").glob("*.py")]:
        limit = 260 if SRC in file.parents else 430
        assert len(file.read_text().splitlines()) <= limit, file


def git(*arguments, cwd=ROOT):
    return subprocess.run(["git", *arguments], cwd=cwd, capture_output=True, text=True, check=True).stdout


def test_every_committed_result_is_an_output_of_the_lock():
    lock = yaml.safe_load((ROOT / "dvc.lock").read_text())
    outs = [out["path"] for stage in lock["stages"].values() for out in stage.get("outs", [])]
    for file in git("ls-files", "metrics", "plots").splitlines():
        if not file.endswith(".gitignore"):
            assert any(file == out or file.startswith(out + "/") for out in outs), file


def test_the_readme_s_table_is_that_of_the_metrics():
    run = subprocess.run([sys.executable, "src/readme.py", "--check"], cwd=ROOT, capture_output=True, text=True)
    assert run.returncode == 0, run.stderr


# One end-to-end run of a small pipeline on the digits that ship with a package, in an empty clone, shared by what follows.

SMALL = {
    "fashion_mnist\nbenchmarks": "mnist_5k\nbenchmarks",
    "epoch_images: 10000": "epoch_images: 256",
    "validation_images: 1000": "validation_images: 64",
    "epochs: 60": "epochs: 2",
    "epochs: 3": "epochs: 2",
    "epochs: 4": "epochs: 2",
    "batch_size: 128": "batch_size: 32",
    "layers: 5": "layers: 2",
    "channels: 32": "channels: 8",
    "steps: 16": "steps: 2",
    "hidden: 64": "hidden: 8",
    "images: 2000": "images: 60",
    "    vae: 64": "    vae: 4",
    "sample_images: 64": "sample_images: 4",
}


class Clone:
    """A clone of the committed and uncommitted tree, with its own parameters and an empty cache."""

    def __init__(self, folder):
        self.folder = folder
        files = git("ls-files", "--cached", "--others", "--exclude-standard").splitlines()
        for file in files:
            if (ROOT / file).is_file() and not file.startswith(("metrics/", "plots/", "shipped/")) and file != "dvc.lock":
                (folder / file).parent.mkdir(parents=True, exist_ok=True)
                shutil.copy(ROOT / file, folder / file)
        text = (folder / "params.yaml").read_text()
        for old, new in SMALL.items():
            assert old in text, old
            text = text.replace(old, new)
        self.write("params.yaml", text)
        git("init", "-q", cwd=folder)
        git("add", "-A", cwd=folder)
        git("-c", "user.name=test", "-c", "user.email=test@example.org", "commit", "-qm", "start", cwd=folder)

    def write(self, file, text):
        (self.folder / file).write_text(text)

    def dvc(self, *arguments, check=True):
        path = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
        environment = {**os.environ, "PATH": path, "OMP_NUM_THREADS": "2"}
        run = subprocess.run(
            [sys.executable, "-m", "dvc", *arguments], cwd=self.folder, env=environment, capture_output=True, text=True
        )
        if check:
            assert run.returncode == 0, run.stdout + run.stderr
        return run.stdout + run.stderr

    def rerun(self, old, new):
        """The stages at the frontier that a change of params.yaml makes run, then the change taken back."""
        text = (self.folder / "params.yaml").read_text()
        assert text.count(old) == 1, old
        self.write("params.yaml", text.replace(old, new))
        try:
            return ran(self.dvc("repro", "--dry"))
        finally:
            self.write("params.yaml", text)


def ran(output):
    """Names of the stages that a dvc repro ran, without the benchmark."""
    lines = [line for line in output.splitlines() if line.startswith("Running stage")]
    return {line.split("'")[1].replace("@mnist_5k", "").replace("@", "") for line in lines}


@pytest.fixture(scope="module")
def clone(tmp_path_factory):
    clone = Clone(tmp_path_factory.mktemp("clone"))
    clone.first = ran(clone.dvc("repro"))
    return clone


def test_every_stage_runs_and_a_second_repro_does_nothing(clone):
    assert {name.split("-")[0] for name in clone.first} == set(STAGES)
    assert ran(clone.dvc("repro")) == set()


def test_metrics_have_the_promised_form(clone):
    metrics = json.loads((clone.folder / "metrics/mnist_5k/ood/metrics.json").read_text())
    detection = {"auroc", "auroc_low", "auroc_high", "auprc", "fpr95"}
    assert set(metrics) == {"vae", "pixelcnn", "glow", "baseline", "images"}
    for model in ("vae", "pixelcnn", "glow"):
        assert set(metrics[model]) == {"bits_per_dim", "noise", "constant"}
        assert set(metrics[model]["bits_per_dim"]) == {"train", "test", "noise", "constant"}
        assert set(metrics[model]["noise"]) == detection
        train = json.loads((clone.folder / f"metrics/mnist_5k/train/{model}/metrics.json").read_text())
        assert {"train", "validation", "best"} <= set(train)
    assert set(metrics["baseline"]) == {"png_size", "pixel_variance", "mean"}
    assert set(metrics["baseline"]["mean"]["constant"]) == detection
    assert metrics["images"] == {"train": 60, "test": 60, "noise": 60, "constant": 60}


def test_weights_samples_curves_and_figures_are_there(clone):
    for model in ("vae", "pixelcnn", "glow"):
        models = clone.folder / "data/models/mnist_5k" / model
        assert (models / "best.safetensors").is_file()
        assert {path.name for path in (models / "snapshots").iterdir()} == {"epoch_001.safetensors", "epoch_002.safetensors"}
        plots = clone.folder / "metrics/mnist_5k/train" / model / "plots"
        assert {p.name for p in (plots / "images/samples").iterdir()} == {"epoch_001.png", "epoch_002.png"}
        for split in ("train", "validation"):
            lines = (plots / "metrics" / split / "bits_per_dim.tsv").read_text().splitlines()
            assert [line.split("\t")[0] for line in lines] == ["step", "1", "2"]
    figures = clone.folder / "plots/mnist_5k/figures"
    assert {path.name for path in figures.iterdir()} == {"likelihoods.png", "curves.png", "samples.png"}


LAST = "    vae: {}\n    pixelcnn: {}\n    glow: {}\npreprocess"  # the end of the last benchmark, after its out-sets
RERUNS = [
    ("seed: 0", "seed: 1", {"preprocess", "train_vae", "train_pixelcnn", "train_glow", "evaluate"}),
    ("  lr: 0.005", "  lr: 0.001", {"train_vae", "train_pixelcnn", "train_glow", "plot"}),
    ("vae:\n  lr:", "vae:\n  lr: 0.001", {"train_vae", "plot"}),
    ("  layers: 2", "  layers: 3", {"train_pixelcnn", "plot"}),
    ("  coupling: affine", "  coupling: additive", {"train_glow", "plot"}),
    ("validation_fraction: 0.1", "validation_fraction: 0.2", {"preprocess"}),
    ("    glow: 4", "    glow: 5", {"score_in-glow", "score_out-glow"}),
    ("bootstrap: 1000", "bootstrap: 500", {"evaluate"}),
    ("bins: 80", "bins: 40", {"plot"}),
    (f"    - constant\n{LAST}", LAST, {"download", "evaluate", "plot"}),
]


@pytest.mark.parametrize(("old", "new", "stages"), RERUNS, ids=[" ".join(new.split()[:4]) for _, new, _ in RERUNS])
def test_a_parameter_reruns_what_it_affects_and_nothing_else(clone, old, new, stages):
    rerun = clone.rerun(old, new)
    assert rerun - {"check"} >= stages - {"evaluate", "plot"}
    allowed = stages | {"check", "evaluate", "plot"} | {f"score_{s}-{m}" for s in ("in", "out") for m in MODELS if "seed" in old}
    assert rerun <= allowed
    assert "check" in rerun


MODELS = ("vae", "pixelcnn", "glow")


def test_a_wrong_parameter_stops_before_anything_is_trained(clone):
    text = (clone.folder / "params.yaml").read_text()
    clone.write("params.yaml", text.replace("  lr: 0.005", "  lr: fast"))
    try:
        output = clone.dvc("repro", check=False)
    finally:
        clone.write("params.yaml", text)
    assert "error: params.yaml: model.lr is 'fast'; it must be a number above 0.0 and below 1.0" in output
    assert "Traceback" not in output
    assert not any(name.startswith("train") for name in ran(output))
    assert ran(clone.dvc("repro")) <= {"check"}
