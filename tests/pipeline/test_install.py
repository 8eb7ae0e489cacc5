"""`pip install .`: the wheel is whole, and finds outliers where nothing but its own requirements can be imported."""

import importlib.metadata
import os
import shutil
import subprocess
import sys
import tomllib
import venv
import zipfile
from types import SimpleNamespace

import numpy as np
import pandas as pd
import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name
from PIL import Image

from likelihood import cli
from likelihood.common.errors import InputError
from tests.helpers import ROOT, files, git

pytestmark = pytest.mark.slow

ENVIRONMENT = {key: value for key, value in os.environ.items() if not key.startswith(("PYTHON", "PIP"))}
BUILD = tomllib.loads((ROOT / "pyproject.toml").read_text())["build-system"]["requires"]


def pip(*arguments):
    command = [sys.executable, "-m", "pip", *map(str, arguments), "--disable-pip-version-check", "--no-index", "--no-deps"]
    done = subprocess.run(command, env=ENVIRONMENT, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout + done.stderr


@pytest.fixture(scope="module")
def wheel(tmp_path_factory):
    """The wheel, built without network from a copy, beside which nothing is written."""
    for requirement in map(Requirement, BUILD):
        if not requirement.specifier.contains(importlib.metadata.version(requirement.name)):
            pytest.skip(f"the wheel cannot be built without {requirement}")
    source, folder = tmp_path_factory.mktemp("source"), tmp_path_factory.mktemp("wheel")
    wanted = ("pyproject.toml", "README.md", "LICENSE", "src/likelihood")
    for name in git("ls-files", "--cached", "--others", "--exclude-standard", *wanted).splitlines():
        (source / name).parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(ROOT / name, source / name)
    pip("wheel", "--no-build-isolation", "-w", folder, source)
    (path,) = folder.glob("*.whl")
    return path


def required(folder):
    """The distributions that the wheel installed in a folder requires, directly or through others."""
    (installed,) = importlib.metadata.distributions(name="likelihood", path=[str(folder)])
    found, todo = {}, [(line, frozenset()) for line in installed.requires]
    while todo:
        line, extras = todo.pop()
        requirement = Requirement(line)
        if requirement.marker and not any(requirement.marker.evaluate({"extra": extra}) for extra in ("", *extras)):
            continue
        name, wanted = canonicalize_name(requirement.name), frozenset(requirement.extras)
        if name not in found or not wanted <= found[name]:
            found[name] = wanted | found.get(name, frozenset())
            todo += [(more, found[name]) for more in importlib.metadata.requires(name) or ()]
    return set(found)


def packages(environment):
    """The folder of an environment's packages."""
    (folder,) = environment.glob("lib/python*/site-packages")
    return folder


@pytest.fixture(scope="module")
def light(wheel, tmp_path_factory):
    """An environment with the wheel and what it requires, which is linked to where this Python has it, and nothing else."""
    folder = tmp_path_factory.mktemp("light")
    venv.create(folder, symlinks=True)
    pip("--python", folder / "bin" / "python", "install", wheel)
    for name in required(site := packages(folder)):
        distribution = importlib.metadata.distribution(name)
        for top in {file.parts[0] for file in distribution.files} - {"..", "__pycache__"}:
            if not (site / top).exists():
                (site / top).symlink_to(distribution.locate_file(top))
    return folder


def run(light, name, *arguments, folder=ROOT):
    """The end of a program of the environment."""
    command = [light / "bin" / name, *map(str, arguments)]
    return subprocess.run(command, cwd=folder, env=ENVIRONMENT, capture_output=True, text=True)


def test_the_wheel_has_every_file_of_the_package_and_no_other(wheel):
    with zipfile.ZipFile(wheel) as archive:
        names = {name for name in archive.namelist() if ".dist-info/" not in name}
    assert names == {f"likelihood/{name}" for name in files(ROOT / "src/likelihood") if not name.endswith(".pyc")}


def test_nothing_but_what_the_wheel_requires_can_be_imported(light):
    allowed = {"likelihood", *required(packages(light))}
    owners = importlib.metadata.packages_distributions().items()
    foreign = [package for package, names in owners if not allowed & {*map(canonicalize_name, names)}]
    assert {"dvc", "dvclive", "lightning_fabric", "matplotlib", "mlxtend", "pytest", "tabulate", "torchvision"} <= {*foreign}
    code = f"from importlib.util import find_spec\nprint([package for package in {foreign} if find_spec(package)])"
    assert run(light, "python", "-c", code).stdout == "[]\n"


def test_a_detector_is_exported_and_judges_pictures(light, committed, exported, tmp_path):
    file = tmp_path / "f.detector"
    done = run(light, "likelihood", "export", "fashion_mnist", "-o", file, folder=committed)
    assert done.returncode == 0, done.stderr
    assert file.read_bytes() == exported.read_bytes()
    (tmp_path / "pictures").mkdir()
    noise = np.random.default_rng(0).integers(0, 256, (40, 30, 3), dtype=np.uint8)
    for name in ("a.png", "b.jpg", "c.webp"):
        Image.fromarray(noise).save(tmp_path / "pictures" / name)
    outputs = ("--output", "f.csv", "--report", "f.html", "--maps", "maps")
    done = run(light, "likelihood", "detect", "--detector", file, "--fdr", "0.5", *outputs, "pictures", folder=tmp_path)
    assert done.returncode == 1, done.stderr
    found = pd.read_csv(tmp_path / "f.csv")
    assert found["image"].tolist() == ["pictures/a.png", "pictures/b.jpg", "pictures/c.webp"]
    assert found["flagged"].all()
    assert "Fashion-MNIST" in (tmp_path / "f.html").read_text()
    assert len(files(tmp_path / "maps")) == 18  # an array and a picture of every image and model


@pytest.mark.parametrize(
    ("command", "package"),
    [("pull", "dvc"), ("summarize", "dvc"), ("audit", "dvc"), ("verify", "dvc"), ("docs", "tabulate")],
)
def test_a_command_that_needs_an_extra_says_so(light, command, package):
    done = run(light, "likelihood", command)
    advice = "run pip install '.[pipeline]' in the folder of the project"
    assert done.stderr == f"error: `likelihood {command}` needs {package}, of the extra 'pipeline': {advice}\n"
    assert (done.returncode, done.stdout) == (2, "")


def test_an_extra_is_named_where_a_library_says_in_its_own_words_what_it_lacks(monkeypatch):
    def lacking(_name):
        raise ImportError("s3 is supported, but requires 'dvc-s3' to be installed") from ModuleNotFoundError(name="dvc_s3.fs")

    lines = ["dvc>=3; extra == 'pipeline'", 'dvc-s3<4,>=3.2; extra == "s3"', "numpy>=2"]
    monkeypatch.setattr(importlib.metadata, "distributions", lambda name: [SimpleNamespace(requires=lines)])
    monkeypatch.setattr(cli.importlib, "import_module", lacking)
    monkeypatch.setattr(sys, "argv", ["likelihood", "pull"])
    with pytest.raises(InputError, match=r"^`likelihood pull` needs dvc_s3, of the extra 's3': run pip install '\.\[s3\]' in"):
        cli.work()
    assert cli.extra("numpy") is cli.extra("") is None
