"""Stages end in one sentence where the user can fix what is wrong, and in a traceback where only a programmer can."""

import errno

import pytest

from likelihood.common import stage
from likelihood.common.errors import InputError


def raising(error):
    def main():
        raise error

    return main


@pytest.mark.parametrize(
    ("error", "sentence"),
    [
        (InputError("params.yaml: seed is 'x'"), "error: params.yaml: seed is 'x'"),
        (
            OSError(errno.ENOSPC, "No space left", "data/x.npy"),
            "error: the disk is full while writing data/x.npy: free some space",
        ),
        (OSError(errno.ENOSPC, "No space left"), "error: the disk is full while writing an output"),
        (PermissionError(errno.EACCES, "Permission denied", "data"), "error: data cannot be written or read (Permission denied)"),
        (OSError(errno.EROFS, "Read-only file system", "data"), "error: data cannot be written or read (Read-only file system)"),
    ],
)
def test_what_the_user_can_fix_is_one_sentence(error, sentence, capsys):
    with pytest.raises(SystemExit) as stopped:
        stage.run(raising(error))
    said = capsys.readouterr().err
    assert stopped.value.code == 1
    assert said.startswith(sentence)
    assert said.count("\n") == 1


@pytest.mark.parametrize("error", [OSError(errno.EIO, "Input/output error"), ZeroDivisionError()])
def test_what_only_a_programmer_can_fix_keeps_its_traceback(error):
    with pytest.raises(type(error)):
        stage.run(raising(error))


def test_a_stage_that_succeeds_just_ends():
    assert stage.run(lambda: None) is None


def test_an_interruption_says_how_to_go_on(capsys):
    with pytest.raises(SystemExit) as stopped:
        stage.run(raising(KeyboardInterrupt()))
    assert stopped.value.code == 130
    assert capsys.readouterr().err == "interrupted: run the same again; a training goes on after its last complete epoch\n"
