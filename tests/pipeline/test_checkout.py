"""Clones: the same bytes whatever git is told of line ends; after a `dvc pull` what README shows trains and scores nothing."""

import re
import shlex

import pytest

from tests.clone import ran
from tests.helpers import ROOT, files, git

SETTINGS = {"crlf": ("core.autocrlf=true", "core.eol=crlf"), "strict": ("core.autocrlf=true", "core.safecrlf=true")}


def test_git_changes_no_file_when_it_gives_or_takes_it():
    tracked = [file for file in git("ls-files", "-z").split("\0") if file]
    found = [line.rsplit(": ", 2)[1:] for line in git("check-attr", "-a", *tracked).splitlines()]
    assert found.count(["text", "unset"]) == len(tracked)
    assert all(each in (["text", "unset"], ["linguist-language", "YAML"]) for each in found), "no filter, no encoding"


@pytest.mark.parametrize("settings", SETTINGS.values(), ids=SETTINGS)
def test_a_clone_with_other_line_ends_has_the_same_bytes_and_is_clean(small, tmp_path, settings):
    copy = small.copied(tmp_path / "copy")
    copy.dvc("push", "-r", "shipped")
    copy.commit()
    folder = tmp_path / "clone"
    git(*(word for setting in settings for word in ("-c", setting)), "clone", "-q", str(copy.folder), str(folder))
    for setting in settings:
        git("config", *setting.split("="), cwd=folder)
    tracked = git("ls-files", "-z", cwd=folder).split("\0")[:-1]
    assert any(file.startswith("shipped/") for file in tracked)
    for file in tracked:
        assert (folder / file).read_bytes() == (copy.folder / file).read_bytes(), file
    git("add", "--renormalize", ".", cwd=folder)
    assert git("status", "--porcelain", cwd=folder) == ""


IMAGES = {"download", "preprocess"}  # what is not cached is made again


@pytest.fixture(scope="module")
def pulled(small, tmp_path_factory):
    """A fresh clone of a project that ships its results, after README's `dvc pull`, and what `dvc repro` then prints."""
    folder = tmp_path_factory.mktemp("shipped")
    first = small.copied(folder / "first")
    first.dvc("push", "-r", "shipped")
    first.commit()
    clone = first.cloned(folder / "clone")
    clone.dvc("pull")
    return clone, clone.dvc("repro")


def shown(changed):
    """The command of README that changes a parameter."""
    (command,) = re.findall(rf"^dvc (exp run .*-S {re.escape(changed)}\S*)", (ROOT / "README.md").read_text(), re.M)
    return shlex.split(command)


def test_after_a_pull_nothing_is_trained_or_scored(pulled):
    clone, output = pulled
    assert ran(output) == {*IMAGES, "check", "plot"}
    assert ran(clone.dvc("repro")) == set()
    assert git("status", "--porcelain", cwd=clone.folder) == ""


def test_what_readme_shows_after_a_pull_trains_and_scores_nothing(pulled, tmp_path):
    clone, command = pulled[0].copied(tmp_path / "clone"), shown("plot.bins=")
    output = clone.dvc(*command[:-1], "plot.bins=40")
    assert ran(output) == {"check", "plot"}, output
    output = clone.dvc(*command[:-1], "plot.bins=41", "--temp")
    assert ran(output) == {*IMAGES, "check", "plot"}, output


def test_a_benchmark_that_is_not_enabled_is_pulled_by_name(small, tmp_path):
    first = small.copied(tmp_path / "first")
    first.dvc("push", "-r", "shipped")
    first.change("params.yaml", "benchmarks:\n", "benchmarks:\n  other: {in: mnist_5k, out: [noise]}\n")
    first.change("params.yaml", "run:\n- mnist_5k\n", "run:\n- other\n")
    first.commit()
    clone = first.cloned(tmp_path / "clone")
    done = clone.likelihood("pull", "mnist_5k")
    assert done.returncode == 0, done.stderr
    for place in ("data/models/mnist_5k", "data/detectors/mnist_5k", "data/scores/mnist_5k", "plots/mnist_5k/tables"):
        assert files(clone.folder / place) == files(small.folder / place)
        for file in files(small.folder / place):
            assert (clone.folder / place / file).read_bytes() == (small.folder / place / file).read_bytes()
    assert "; the others were here" in clone.likelihood("pull", "mnist_5k").stdout
    assert clone.likelihood("pull", "mnist_5k").stdout.startswith("0 of ")
    enabled = clone.copied(tmp_path / "enabled")
    enabled.change("params.yaml", "run:\n- other\n", "run:\n- mnist_5k\n")
    assert ran(enabled.dvc("repro", "evaluate")) == {*IMAGES, "check"}, "it is trained or scored once it is enabled"
    weights = clone.folder / "data/models/mnist_5k/vae/best.safetensors"
    weights.write_bytes(b"mine")
    done = clone.likelihood("pull", "mnist_5k")
    assert (done.returncode, weights.read_bytes()) == (2, b"mine")
    assert "best.safetensors differs from what dvc.lock names and is nowhere else: move it away, then pull again" in done.stderr
    assert "dvc.lock has no results of 'cifar'; it has those of mnist_5k" in clone.likelihood("pull", "cifar").stderr
