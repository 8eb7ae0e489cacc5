"""What `likelihood audit` calls: which failed, and why."""

from pathlib import Path

import pytest

from likelihood.commands import audit
from likelihood.common.errors import InputError


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
        InputError, match=r"^dvc\.lock is not as DVC writes it: finish the merge, or take the committed one by `git"
    ):
        audit.load_lock(tmp_path)


def test_what_dvc_refuses_is_one_sentence_in_the_folder_of_before(tmp_path):
    (tmp_path / ".dvc").mkdir()
    (tmp_path / ".dvc/config").write_text("[core]\n    no_scm = true\n")
    (tmp_path / "dvc.yaml").write_text("stages:\n  a: {}\n")
    before = Path.cwd()
    with pytest.raises(InputError, match=r"^DVC cannot go on: '\./dvc\.yaml' validation failed"):
        audit.status(tmp_path)
    assert Path.cwd() == before
