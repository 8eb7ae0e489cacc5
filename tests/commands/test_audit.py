"""What `likelihood audit` calls: which failed, and why."""

import os
import re
from pathlib import Path

import pytest

from likelihood.commands import audit
from likelihood.common.errors import InputError
from tests.helpers import files, git


@pytest.mark.parametrize(
    ("command", "message"),
    [
        (["git", "ls-files", "-z", "--nonsense", "metrics", "plots"], r"^git ls-files -z --nonsense metrics plots failed: \S"),
        (["sh", "-c", "exit 3"], r"^sh -c exit 3 failed: no message$"),
    ],
)
def test_a_command_that_fails_is_named_whole(tmp_path, command, message):
    with pytest.raises(InputError, match=message):
        audit.output(*command, folder=tmp_path)


@pytest.mark.parametrize("text", ["<<<<<<< HEAD\nstages: {}\n=======\n", "schema: '2.0'\n", "- a\n", "stages:\n", ""])
def test_a_lock_that_a_merge_has_left_unfinished_is_one_sentence(tmp_path, text):
    (tmp_path / "dvc.lock").write_text(text)
    (tmp_path / "dvc.yaml").write_text("stages: {}\n")
    with pytest.raises(
        InputError,
        match=r"^dvc\.lock is not as DVC writes it: finish the merge by `likelihood merge`, .* `git checkout HEAD -- dvc\.lock`$",
    ):
        audit.load_lock(tmp_path)


def test_a_command_that_is_not_installed_is_one_sentence_and_any_name_of_a_file_is_read(tmp_path):
    with pytest.raises(InputError, match=r"^no-such-git is not installed"):
        audit.output("no-such-git", "status", folder=tmp_path)
    name = os.fsdecode(b"caf\xe9")
    (tmp_path / name).touch()
    assert audit.output("ls", folder=tmp_path) == f"{name}\n"


def test_the_copy_is_the_user_s_alone_and_has_of_new_files_what_a_stage_may_read(tmp_path):
    root = tmp_path / "root"
    for path in ("src/new.py", "metrics/new.csv", "notes.txt", "pictures/1.png", "data/own/mine/2.png", "shipped/files/a"):
        (root / path).parent.mkdir(parents=True, exist_ok=True)
        (root / path).touch()
    (root / ".gitignore").write_text("/data/own/?*\n")
    git("init", "-q", cwd=root)
    git("add", "notes.txt", "shipped", cwd=root)
    with audit.scratch() as folder:
        (folder / ".dvc").mkdir()
        assert folder.stat().st_mode & 0o077 == 0
        audit.copy(root, folder)
        found = files(folder)
    assert found == [".dvc/config.local", "data/own/mine/2.png", "metrics/new.csv", "notes.txt", "src/new.py"]


def named(md5):
    """A lock that names one output."""
    return {"evaluate@toy": {"outs": [{"path": "plots/toy/tables", "md5": md5}]}}


def test_only_what_dvc_lock_or_a_dvc_file_names_in_the_cache_can_be_damaged(tmp_path):
    """What DVC has not finished writing is no damage, nor is what another project has in a shared cache."""
    (tmp_path / ".dvc").mkdir()
    (tmp_path / ".dvc/config").write_text("[core]\n    no_scm = true\n")
    place = tmp_path / ".dvc/cache/files/md5/ab"
    place.mkdir(parents=True)
    (place / ".aBcD.tmp").write_text("half")
    (place / ("0" * 30)).write_text("other")
    assert audit.damaged(tmp_path, {}) == {}
    assert audit.damaged(tmp_path, named(f"ab{'0' * 30}")) == {str(place / ("0" * 30)): ["plots/toy/tables"]}
    (place / f"{'1' * 30}.dir").write_text(f'[{{"md5": "ab{"0" * 30}", "relpath": "1.png"}}]')
    (tmp_path / "data/own").mkdir(parents=True)
    (tmp_path / "data/own/mine.dvc").write_text(f"outs:\n- md5: ab{'1' * 30}.dir\n  path: mine\n  hash: md5\n")
    found = audit.damaged(tmp_path, {})
    assert found[str(place / ("0" * 30))] == ["data/own/mine/1.png"]


def test_files_of_shipped_that_no_result_needs_are_named(tmp_path):
    git("init", "-q", cwd=tmp_path)
    objects = tmp_path / "shipped/files/md5"
    for name in ("aa/1", "bb/2", "cc/3", "dd/4.dir"):
        (objects / name).parent.mkdir(parents=True)
        (objects / name).write_text('[{"md5": "aa1", "relpath": "a"}]')
    git("add", "shipped", cwd=tmp_path)
    (objects / "cc/3").unlink()
    assert audit.superseded(tmp_path, named("dd4.dir")) == ["shipped/files/md5/bb/2"]


def test_what_dvc_refuses_is_one_sentence_in_the_folder_of_before(tmp_path):
    (tmp_path / ".dvc").mkdir()
    (tmp_path / ".dvc/config").write_text("[core]\n    no_scm = true\n")
    (tmp_path / "dvc.yaml").write_text("stages:\n  a: {}\n")
    before = Path.cwd()
    with pytest.raises(InputError, match=r"^DVC cannot go on: '\./dvc\.yaml' validation failed"):
        audit.status(tmp_path)
    assert Path.cwd() == before


def test_what_depends_on_an_old_stage_through_others_is_counted():
    chain = {"a": (), "b": ("a",), "c": ("b",), "d": ("c", "x"), "other": ("x",)}
    lock = {name: {"deps": [{"path": each} for each in deps], "outs": [{"path": name}]} for name, deps in chain.items()}
    assert audit.dependent(lock, {"a"}) == {"b", "c", "d"}
    assert audit.dependent(lock, {"a", "c"}) == {"b", "d"}
    assert audit.dependent(lock, {"d"}) == set()


def test_a_wrong_params_yaml_is_named_where_it_is(tmp_path):
    (tmp_path / "params.yaml").write_text("seed: 0\nseed: 1\n")
    with pytest.raises(InputError, match=re.escape(f"{tmp_path}/params.yaml")) as refused:
        audit.enabled(tmp_path, tmp_path / "copy")
    assert "stands twice" in str(refused.value)
