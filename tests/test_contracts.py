"""Contracts of the tree: what a stage imports is among its deps, imports go one way, what is committed is an output."""

import ast
import functools
import shlex
import subprocess
import sys

import pytest
import yaml

from tests.helpers import ROOT, git

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


@pytest.mark.parametrize(("stage", "model"), list(cells()))
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


def test_every_committed_result_is_an_output_of_the_lock():
    lock = yaml.safe_load((ROOT / "dvc.lock").read_text())
    outs = [out["path"] for stage in lock["stages"].values() for out in stage.get("outs", [])]
    for file in git("ls-files", "metrics", "plots").splitlines():
        if not file.endswith(".gitignore"):
            assert any(file == out or file.startswith(out + "/") for out in outs), file


def test_the_readme_s_table_is_that_of_the_metrics():
    run = subprocess.run([sys.executable, "src/readme.py", "--check"], cwd=ROOT, capture_output=True, text=True)
    assert run.returncode == 0, run.stderr
