"""What a command of `likelihood audit` and `verify` calls: which one failed, and why."""

import pytest

from likelihood.commands import audit
from likelihood.common.errors import InputError


@pytest.mark.parametrize(
    ("command", "message"),
    [
        (["git", "ls-files", "-z", "--nonsense", "metrics", "plots"], r"^git ls-files -z --nonsense metrics plots failed: \S"),
        (audit.dvc_command("stage", "list", "--nonsense"), r"^dvc stage list --nonsense failed: \S"),
        (["sh", "-c", "exit 3"], r"^sh -c exit 3 failed: no message$"),
    ],
)
def test_a_command_that_fails_is_named_whole(tmp_path, command, message):
    with pytest.raises(InputError, match=message):
        audit.output(*command, folder=tmp_path)
