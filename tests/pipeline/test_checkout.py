"""Clones: the same bytes whatever git is told of line ends; after a `dvc pull` what README shows trains and scores nothing."""

import re
import shlex

import pytest

from tests.clone import ran
from tests.helpers import ROOT, git

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


@pytest.fixture(scope="module")
def pulled(small, tmp_path_factory):
    """A fresh clone of a project that ships its results, after README's `dvc pull`."""
    folder = tmp_path_factory.mktemp("shipped")
    first = small.copied(folder / "first")
    first.dvc("push", "-r", "shipped")
    first.commit()
    clone = first.cloned(folder / "clone")
    clone.dvc("pull", "--allow-missing")
    return clone


def shown(changed):
    """The command of README that changes a parameter."""
    (command,) = re.findall(rf"^dvc (exp run .*-S {re.escape(changed)}\S*)", (ROOT / "README.md").read_text(), re.M)
    return shlex.split(command)


def test_what_readme_shows_after_a_pull_trains_and_scores_nothing(pulled):
    command = shown("plot.bins=")
    assert "--temp" not in command
    for aside in ([], ["--temp"]):
        value = str(40 + len(aside))
        output = pulled.dvc(*command[:-1], f"plot.bins={value}", *aside)
        assert ran(output) == {"check", "plot"}, output
    assert not list((pulled.folder / "data").rglob("*.npy")), "no image is needed"


def test_a_changed_score_after_a_pull_is_told_what_is_missing(pulled):
    output = pulled.dvc("exp", "run", "--temp", "--allow-missing", "-S", "score.draws.glow=3", check=False)
    assert ran(output) <= {"check", "score_inglow"}
    assert not any(name.startswith("train") for name in ran(output))
