"""`likelihood merge`: a real conflict of two branches in dvc.lock, united cell by cell."""

import subprocess

import pytest
from dvc.utils.serialize import dumps_yaml, loads_yaml

from likelihood.commands import audit, merge
from likelihood.commands.entries import put
from likelihood.common.errors import InputError
from tests.helpers import ROOT, git


def cell(number):
    """A stage's entry."""
    out = {"path": f"metrics/{number}.json", "hash": "md5", "md5": f"{number:032d}", "size": number}
    return {"cmd": "python src/train.py", "params": {"params.yaml": {"lr": 1e-05 * number}}, "outs": [out]}


def lock(**numbers):
    """The text of a dvc.lock."""
    return dumps_yaml({"schema": "2.0", "stages": {name.replace("_at_", "@"): cell(number) for name, number in numbers.items()}})


BASE = lock(check=1, train_at_a=1, train_at_old=1, rank=1)
OURS = lock(check=2, train_at_a=1, train_at_b=1, train_at_both=7, train_at_old=1, rank=2)
THEIRS = lock(check=3, train_at_a=4, train_at_c=1, train_at_both=7, rank=2)


@pytest.fixture
def branch(tmp_path, monkeypatch):
    """Merge two branches whose texts of dvc.lock are given; None for no such file."""
    monkeypatch.chdir(tmp_path)
    git("init", "-q", "-b", "main", cwd=tmp_path)
    for name, value in (("name", "test"), ("email", "test@example.org")):
        git("config", f"user.{name}", value, cwd=tmp_path)

    def commit(text):
        if text is None:
            (tmp_path / "dvc.lock").unlink(missing_ok=True)
        else:
            (tmp_path / "dvc.lock").write_text(text)
        git("add", "-A", cwd=tmp_path)
        git("commit", "-q", "--allow-empty", "-m", "as it is", cwd=tmp_path)

    def merged(base, ours, theirs):
        commit(base)
        git("checkout", "-q", "-b", "other", cwd=tmp_path)
        commit(theirs)
        git("checkout", "-q", "main", cwd=tmp_path)
        commit(ours)
        assert subprocess.run(["git", "merge", "-q", "other"], cwd=tmp_path, capture_output=True).returncode == 1
        return tmp_path / "dvc.lock"

    return merged


@pytest.mark.parametrize("base", [BASE, None], ids=["changed", "added by both"])
def test_the_cells_of_both_branches_are_there_once(branch, capsys, base):
    file = branch(base, OURS, THEIRS)
    (file.parent / "dvc.yaml").write_text("stages: {}\n")
    with pytest.raises(InputError, match=r"^dvc\.lock is not as DVC writes it: finish the merge by `likelihood merge`"):
        audit.load_lock(file.parent)
    assert merge.run(None) == 0
    if base:
        wanted = lock(check=2, train_at_a=4, train_at_b=1, train_at_both=7, rank=2, train_at_c=1)
    else:  # a cell that one side has not changed is not known
        wanted = lock(check=2, train_at_a=1, train_at_b=1, train_at_both=7, train_at_old=1, rank=2, train_at_c=1)
    assert file.read_text() == wanted
    printed = capsys.readouterr().out
    named = [line.rpartition(" ")[2] for line in printed.splitlines() if line.startswith("changed by both")]
    assert named == (["check"] if base else ["check", "train@a"])
    assert printed.startswith(f"dvc.lock: {6 if base else 7} cells, {3 if base else 1} of them as the other branch has them\n")
    assert "git checkout --ours metrics plots" in printed
    git("add", "dvc.lock", cwd=file.parent)
    git("commit", "-qm", "Merge", cwd=file.parent)


def test_what_is_written_is_what_dvc_writes():
    text = (ROOT / "dvc.lock").read_text()
    stages = loads_yaml(text)["stages"]
    assert merge.united(stages, stages, stages) == (stages, [])
    few = dict(list(stages.items())[:9])
    assert text.startswith(dumps_yaml({"schema": "2.0", "stages": few}))


def test_what_cannot_be_united_is_one_sentence(branch, tmp_path):
    with pytest.raises(InputError, match=r"^git has no conflict in dvc\.lock: run this in the folder of the project, while"):
        merge.run(None)
    file = branch(BASE, OURS, "- a\n")
    left = file.read_text()
    with pytest.raises(InputError, match=r"^dvc\.lock of the side 'theirs' is not as DVC writes it: take one side whole by"):
        merge.run(None)
    assert file.read_text() == left


def test_a_branch_without_results_is_one_sentence(branch):
    branch(BASE, OURS, None)
    with pytest.raises(InputError, match=r"^one of both branches has no dvc\.lock"):
        merge.run(None)


def test_a_file_that_is_put_keeps_its_permissions_and_stays_a_link(tmp_path):
    real, link = tmp_path / "real", tmp_path / "link"
    real.write_text("old")
    real.chmod(0o640)
    link.symlink_to(real)
    put(link, b"new")
    assert link.is_symlink()
    assert real.read_text() == "new"
    assert real.stat().st_mode & 0o777 == 0o640
    assert {path.name for path in tmp_path.iterdir()} == {"real", "link"}
