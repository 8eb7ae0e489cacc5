"""Contracts of the tree: what a stage imports is among its deps, imports go one way, what is committed is an output, limits."""

import ast
import functools
import importlib.metadata
import re
import shlex
import shutil
import subprocess
import sys
import tomllib

import pytest
import yaml
from dvc.repo import Repo
from dvc_data.hashfile.build import build
from dvc_objects.fs.local import localfs
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

from likelihood.commands import docs
from tests.helpers import ROOT, git

SRC = ROOT / "src"
PACKAGE = SRC / "likelihood"
STAGES = yaml.safe_load((ROOT / "dvc.yaml").read_text())["stages"]
FAMILIES = ("vae", "pixelcnn", "glow")
TRAININGS = {f"train_{family}" for family in FAMILIES}
# A package imports those before it, and itself.
LAYERS = ["common", "data", "models", "settings", "training", "statistics", "maps", "analyses", "scores", "figures", "evaluation"]
LAYERS += ["detection", "docs", "commands", "cli"]
TORCHLESS = ["check", "download", "preprocess", "evaluate", "evaluate_variant", "evaluate_analysis", "plot", "rank"]
NETWORKS = {"train.py", "score.py", "analyse.py", "map.py", "evaluate_variant.py"}  # import a family by its name


def module_file(name):
    """The first-party file of a module's dotted name, or None."""
    path = SRC.joinpath(*name.split("."))
    return next((p for p in (path.with_suffix(".py"), path / "__init__.py") if p.exists()), None)


@functools.cache
def named(file, for_types=True):
    """Dotted names that a file imports by statements or looks for; those under `if TYPE_CHECKING` are not executed."""
    tree, found = ast.parse(file.read_text()), set()
    if not for_types:
        tree.body = [node for node in tree.body if not (isinstance(node, ast.If) and ast.unparse(node.test) == "TYPE_CHECKING")]
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            found |= {node.module, *(f"{node.module}.{alias.name}" for alias in node.names)}
        elif isinstance(node, ast.Call) and ast.unparse(node.func).endswith("find_spec"):
            found.add(node.args[0].value)
    return frozenset(found)


@functools.cache
def imports(file, for_types=True):
    """First-party files that a file imports."""
    return frozenset(path for path in map(module_file, named(file, for_types)) if path)


def closure(files, without=()):
    todo, seen = list(files), set(without)
    while todo:
        file = todo.pop()
        if file not in seen:
            seen.add(file)
            todo += imports(file, for_types=False)
    return seen


def family_files(stage_name, model):
    """The files of the families that a stage may import by name."""
    if stage_name in TRAININGS:
        return (PACKAGE / "models" / stage_name.removeprefix("train_")).glob("*.py")
    return (PACKAGE / "models" / model).glob("*.py") if model else (PACKAGE / "models").rglob("*.py")


def cells():
    """(stage, model or None) of every stage."""
    for name, stage in STAGES.items():
        models = stage.get("matrix", {}).get("model", [None])
        yield from (pytest.param(name, model, id=f"{name}-{model}" if model else name) for model in models)


def commands(stage):
    return [stage["cmd"]] if isinstance(stage["cmd"], str) else stage["cmd"]


@pytest.mark.parametrize(("name", "model"), list(cells()))
def test_every_file_a_stage_imports_is_among_its_deps(name, model):
    stage = STAGES[name]
    scripts = {ROOT / shlex.split(command)[1] for command in commands(stage)}
    by_name = set().union(*(family_files(name, model) for script in scripts if script.name in NETWORKS))
    deps = [ROOT / dep.replace("${item.model}", model or "") for dep in stage["deps"] if dep.startswith("src/")]
    for file in closure({*scripts, *by_name}):
        if file.stat().st_size:  # an empty __init__.py changes nothing
            assert any(file == dep or dep in file.parents for dep in deps), f"{file.relative_to(ROOT)} is not a dep"
    for dep in deps:
        assert dep.exists(), f"{dep.relative_to(ROOT)} does not exist"
    assert scripts <= set(deps)


@pytest.mark.parametrize("name", sorted(TRAININGS))
def test_a_training_depends_on_little_code(name):
    family = name.removeprefix("train_")
    code = {dep for dep in STAGES[name]["deps"] if dep.startswith("src/")}
    package = "src/likelihood/"
    assert code == {"src/train.py", *(package + part for part in ("common", "training", "models/shared", f"models/{family}"))}
    assert not STAGES[name].get("params")  # data/settings/<benchmark>/<model>/training.json has them


@pytest.mark.slow
def test_stages_without_a_network_import_no_torch():
    code = "import sys; sys.path.insert(0, 'src')\nfor name in {}:\n __import__(name)\n if 'torch' in sys.modules: sys.exit(name)"
    run = subprocess.run([sys.executable, "-c", code.format(TORCHLESS)], cwd=ROOT, capture_output=True, text=True)
    assert run.returncode == 0, run.stderr


def declared():
    """The distributions that pyproject.toml names, by extra; those of no extra under an empty name."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    lists = {"": project["dependencies"], **project["optional-dependencies"]}
    return {extra: {canonicalize_name(Requirement(line).name) for line in lines} for extra, lines in lists.items()}


def brought(files):
    """The distributions of what files import that is neither theirs nor Python's."""
    owners = importlib.metadata.packages_distributions()
    names = {name.partition(".")[0] for file in files for name in named(file, for_types=False) if not module_file(name)}
    ours = {PACKAGE.name, *(script.stem for script in SRC.glob("*.py"))}
    return {canonicalize_name(owners[name][0]) for name in names - ours - sys.stdlib_module_names}


@pytest.mark.slow
def test_a_distribution_is_declared_where_it_is_imported_and_nowhere_else():
    light = [PACKAGE / "commands/detect.py", PACKAGE / "commands/watch.py"]
    training = {PACKAGE / "detection/fit.py"}  # imported when `Detector.fit` is called
    files = {*light, *(PACKAGE / "detection").glob("*.py"), *(PACKAGE / "models").rglob("*.py")} - training
    detecting = brought(closure(files, without=training) - training)
    assert detecting == declared()[""]
    assert brought(SRC.rglob("*.py")) - detecting == declared()["pipeline"]


def test_every_distribution_that_is_declared_has_an_exact_version():
    lines = [line for line in (ROOT / "requirements.txt").read_text().splitlines() if not line.startswith("#")]
    pinned = {canonicalize_name(Requirement(line).name) for line in lines}
    assert set().union(*declared().values()) - {"likelihood"} <= pinned


def layer(file):
    return LAYERS.index(file.relative_to(PACKAGE).parts[0].removesuffix(".py"))


def test_imports_go_one_way():
    for file in sorted(PACKAGE.rglob("*.py")):
        if file.parent == PACKAGE and file.name == "__init__.py":
            continue
        for imported in imports(file):
            assert PACKAGE in imported.parents, f"{file} imports a stage"
            if imported.name != "__init__.py" or imported.stat().st_size:
                assert layer(imported) <= layer(file), f"{file.relative_to(ROOT)} imports {imported.relative_to(ROOT)}"


@pytest.mark.parametrize("family", FAMILIES)
def test_reading_a_family_opens_few_files(family):
    model = PACKAGE / "models" / family / "model.py"
    opened = {file for file in closure({model}) if PACKAGE / "models" in file.parents}
    print(f"{family}: {len(opened)} files below models/")
    assert len(opened) <= 8


def test_the_house_keeps_its_measures(capsys):
    lines = {name: len((ROOT / name).read_text().splitlines()) for name in ("dvc.yaml", "dvc.lock", "params.yaml")}
    sizes = [len(file.read_text().splitlines()) for file in SRC.rglob("*.py")]
    found = {
        **lines,
        "stages": len(STAGES),
        "dep lines": sum(len(stage["deps"]) for stage in STAGES.values()),
        "Python files in src": len(sizes),
        "of at most 50 lines": sum(size <= 50 for size in sizes),
    }
    limits = {"dvc.yaml": 400, "dvc.lock": 18_400, "params.yaml": 160, "stages": 17, "dep lines": 163}
    limits |= {"Python files in src": 99, "of at most 50 lines": 20}
    with capsys.disabled():
        print("\n" + "\n".join(f"{name}: {found[name]:,} of at most {limits[name]:,}" for name in limits))
    assert all(found[name] <= limits[name] for name in limits)


LEFT = (".params.py.swp", "params.py.swo", "params.py~", "#params.py#", ".DS_Store", "._params.py", "params.py.orig")


def test_what_editors_leave_in_a_folder_changes_no_stage(tmp_path):
    """DVC cannot hash a link to nothing, with which Emacs marks a file that is being edited."""
    folder, own = tmp_path / "src/likelihood/common", tmp_path / "data/own/mine"
    for place in (tmp_path / ".dvc", folder, own):
        place.mkdir(parents=True)
    (tmp_path / ".dvc/config").write_text("[core]\n    no_scm = true\n")
    shutil.copy(ROOT / ".dvcignore", tmp_path)
    (folder / "params.py").write_text("seed = 0\n")
    (own / "1.png~").touch()  # which the stage `download` reads
    with Repo(str(tmp_path)) as repo:

        def digest(place):
            return build(repo.cache.local, str(place), localfs, "md5", dry_run=True, ignore=repo.dvcignore)[2].hash_info

        before = digest(folder), digest(own)
        for name in LEFT:
            (folder / name).write_text("left")
        (own / ".DS_Store").write_text("left")
        (folder / ".#params.py").symlink_to("me@here.1:2")
        assert (digest(folder), digest(own)) == before
        (own / "1.png~").write_text("changed")
        assert digest(own) != before[1]


def test_every_committed_result_is_an_output_of_the_pipeline():
    """Of a cell of dvc.yaml, whether dvc.lock still has it or not: `likelihood audit` says what is older than its code."""
    outs = [out if isinstance(out, str) else next(iter(out)) for stage in STAGES.values() for kind in ("outs", "metrics", "plots")
            for out in stage.get(kind, [])]  # fmt: skip
    names = [re.sub(r"\\\$\\\{.*?\\\}", "[^/.]+", re.escape(out)) for out in outs if out.startswith(("metrics", "plots"))]
    result = re.compile(f"({'|'.join(names)})(/.+)?")
    for file in git("ls-files", "metrics", "plots").splitlines():
        if not file.endswith(".gitignore"):
            assert result.fullmatch(file), file


def test_every_page_is_what_the_committed_results_make_of_it(monkeypatch):
    monkeypatch.chdir(ROOT)
    for path, text in docs.pages().items():
        assert path.read_text() == text, f"{path}: run `likelihood docs`"


def test_an_out_set_reaches_no_training():
    for name in ("check", *TRAININGS, "train_variant"):
        assert not any("/out" in dep or "sets.json" in dep for dep in STAGES[name]["deps"])
        assert not any(".out" in str(parameter) for parameter in STAGES[name].get("params", []))
