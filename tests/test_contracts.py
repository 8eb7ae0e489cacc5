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
TRAININGS = {"train_vae", "train_pixelcnn", "train_glow"}
LAYERS = ["errors", "units", "counts", "selection", "contrast", "data", "nn", "models", "training", "progress"]
LAYERS += ["gradients", "regret", "curvature"]
LAYERS += [
    "codecs",
    "densities",
    "scores",
    "metrics",
    "comparison",
    "calibration",
    "detector",
    "tables",
    "figures",
    "heatmap",
    "samples",
    "claimfigures",
    "contactsheet",
]


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


def models(stage, any_other):
    """The models of a stage's matrix; `any_other` stands for those that params.yaml names."""
    found = stage.get("matrix", {}).get("model", [None])
    return found if isinstance(found, list) else [any_other]


def cells():
    """(stage, model or None) of every stage, with its deps written out for that model."""
    for name, stage in STAGES.items():
        for model in models(stage, any_other="vae"):
            if name in TRAININGS:
                model = name.removeprefix("train_")
            yield pytest.param(stage, model, id=f"{name}-{model}" if model else name)


TORCHLESS = [
    "check",
    "download",
    "preprocess",
    "calibrate",
    "evaluate",
    "evaluate_other",
    "compare",
    "explain",
    "plot",
    "rank",
    "readme",
]
# The registry that a script imports from by a name.
LAZY = {"check.py": "data", "download.py": "data"}
LAZY |= {"train_companion.py": "models", "score_companion.py": "models", "probe.py": "models"}
LAZY |= {"dissect.py": "data", "curve.py": "data", "explain.py": "data"}


@pytest.mark.parametrize(("stage", "model"), list(cells()))
def test_every_file_a_stage_imports_is_among_its_deps(stage, model):
    commands = [stage["cmd"]] if isinstance(stage["cmd"], str) else stage["cmd"]
    (script,) = {ROOT / shlex.split(command)[1] for command in commands}
    lazy = LAZY.get(script.name)
    registry = set((SRC / "likelihood" / lazy).glob("*.py")) if lazy else set()  # what its name in params.yaml may import
    if model and script.stem not in TORCHLESS:
        registry.add(SRC / "likelihood" / "models" / f"{model}.py")
    deps = [ROOT / dep.replace("${item.model}", model or "") for dep in stage["deps"] if "${item.benchmark}" not in dep]
    for file in closure({script, *registry}):
        if file.stat().st_size:  # an empty __init__.py changes nothing
            assert any(file == dep or dep in file.parents for dep in deps), f"{file.relative_to(ROOT)} is not a dep"
    for dep in deps:
        assert dep.exists() or not dep.is_relative_to(SRC), f"{dep.relative_to(ROOT)} does not exist"


@pytest.mark.parametrize("script", TORCHLESS)
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
    for file in [*SRC.rglob("*.py"), *(ROOT / "tests").glob("*.py"), *(ROOT / "bench").glob("*.py")]:
        assert len(file.read_text().splitlines()) <= 250, file


def test_every_committed_result_is_an_output_of_the_lock():
    lock = yaml.safe_load((ROOT / "dvc.lock").read_text())
    outs = [out["path"] for stage in lock["stages"].values() for out in stage.get("outs", [])]
    for file in git("ls-files", "metrics", "plots").splitlines():
        if not file.endswith(".gitignore"):
            assert any(file == out or file.startswith(out + "/") for out in outs), file


def test_the_readme_s_table_is_that_of_the_metrics():
    run = subprocess.run([sys.executable, "src/readme.py", "--check"], cwd=ROOT, capture_output=True, text=True)
    assert run.returncode == 0, run.stderr


COMPANIONS, COMPARISONS = {"train_companion", "score_companion"}, {"compare_companion", "compare_probe"}
FURTHER = {"probe", "dissect", "explain"}
OTHER = {"train_other", "score_other", "evaluate_other"}
# Which stages a change of a parameter reruns by itself; by the longest of these keys that begins the parameter's.
RERUNS = {
    "seed": {
        "preprocess",
        "score_in",
        "score_out",
        "calibrate",
        "evaluate",
        *TRAININGS,
        *COMPANIONS,
        *COMPARISONS,
        *FURTHER,
        *OTHER,
    },
    "run": set(),
    "benchmarks.in": {"evaluate_other", "download", "exhibit", "explain", "plot", "rank"},
    "benchmarks.out": {"evaluate_other", "download", "evaluate", *COMPARISONS, "curve", "exhibit", "explain", "plot", "rank"},
    "benchmarks.vae": {"evaluate_other", "train_vae", "train_companion", "plot", "rank"},
    "benchmarks.pixelcnn": {"evaluate_other", "train_pixelcnn", "train_companion", "plot", "rank"},
    "benchmarks.glow": {"evaluate_other", "train_glow", "train_companion", "plot", "rank"},
    "own": {"download"},
    "preprocess": {"preprocess"},
    "model": {*TRAININGS, "train_companion", "train_other", "evaluate_other", "plot"},
    "vae": {"train_vae", "train_companion", "plot"},
    "pixelcnn": {"train_pixelcnn", "train_companion", "plot"},
    "glow": {"train_glow", "train_companion", "plot"},
    "companions.benchmarks": set(),
    "companions.names": set(),
    "companions.seeds": COMPANIONS,
    "companions.mutation": {"train_companion"},
    "probes": set(),
    "others": set(),
    "claims.benchmarks": set(),
    "claims.curvature": set(),
    "claims.images": {"dissect"},
    "score.images": {"preprocess", "score_in", "score_out", "score_companion", "score_other", "probe"},
    "score.draws.vae": {"score_in-vae", "score_out-vae", "dissect-vae", "score_companion"},
    "score.draws.pixelcnn": {"score_in-pixelcnn", "score_out-pixelcnn", "dissect-pixelcnn", "score_companion"},
    "score.draws.glow": {"score_in-glow", "score_out-glow", "dissect-glow", "score_companion"},
    "evaluate.bootstrap": {"evaluate", "evaluate_other", *COMPARISONS},
    "evaluate.images": {"evaluate", "evaluate_other", *COMPARISONS, "probe"},
    "plot": {"plot", "evaluate_other"},
}


def leaves(values, prefix=()):
    """Dotted names of all parameters."""
    for key, value in values.items():
        if isinstance(value, dict) and value:
            yield from leaves(value, (*prefix, key))
        else:
            yield ".".join((*prefix, key))


PARAMETERS = yaml.safe_load((ROOT / "params.yaml").read_text())


def declares(stage, parameter):
    """For which models a stage declares a parameter: {None} for all, or the models of its matrix; empty for none."""
    found = set()
    for model in models(stage, any_other="made"):
        for declared in stage.get("params", []):
            if isinstance(declared, dict):
                continue  # `check` has the whole file
            name = declared.replace("${item.model}", str(model)).replace("${item.benchmark}", "fashion_mnist")
            if parameter == name or parameter.startswith(name + "."):
                found.add(model if "${item.model}" in declared else None)
    return found


@pytest.mark.parametrize(
    "parameter", [p for p in leaves(PARAMETERS) if not p.startswith("benchmarks.") or ".fashion_mnist." in p]
)
def test_a_parameter_reruns_the_stages_it_should(parameter):
    generic = parameter.replace("benchmarks.fashion_mnist", "benchmarks")
    key = max((k for k in RERUNS if generic == k or generic.startswith(k + ".")), key=len, default=None)
    assert key is not None, f"{parameter} is in no row of the table"
    direct = {f"{name}-{m}" if m else name for name, stage in STAGES.items() for m in declares(stage, parameter)}
    assert direct == RERUNS[key]


def test_an_out_set_reaches_no_training():
    for name in ("check", *TRAININGS, "train_companion", "train_other"):
        assert not any("/out" in dep for dep in STAGES[name]["deps"])
        assert not any(".out" in str(parameter) for parameter in STAGES[name].get("params", []))
