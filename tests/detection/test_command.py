"""How a command ends whose status is an answer: 2 whatever goes wrong, signals as everywhere, nothing unfinished left."""

import contextlib
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from likelihood.detection import command
from tests.helpers import ROOT

HEAD = """import errno, signal, sys, time
from pathlib import Path
from likelihood.common.errors import InputError
from likelihood.detection import command
"""
QUICK = {key: value for key, value in os.environ.items() if not key.startswith("PYTHON")} | {"PYTHONPATH": str(ROOT / "src")}


def program(body):
    """A command whose main is these lines."""
    lines = "".join(f"    {line}\n" for line in body.splitlines())
    return [sys.executable, "-c", f"{HEAD}def main():\n{lines}command.run(main)"]


def run(body, shell="", **variables):
    """Its end; or that of a line of shell, where "$@" is the command."""
    command = ["sh", "-c", shell, "sh", *program(body)] if shell else program(body)
    return subprocess.run(command, env=QUICK | variables, capture_output=True, text=True)


@pytest.mark.parametrize("status", [0, 1, 2])
def test_the_status_is_what_main_returns(status):
    assert run(f"return {status}").returncode == status


@pytest.mark.slow
@pytest.mark.parametrize(
    ("body", "said"),
    [
        ("raise InputError('it is wrong')", "error: it is wrong\n"),
        ("raise MemoryError", "error: there is not enough memory: end other programs, or name fewer images\n"),
        (
            "import torch\nraise torch.OutOfMemoryError",
            "error: the GPU has not enough memory: end other programs, or set CUDA_VISIBLE_DEVICES= to compute without it\n",
        ),
        ("raise OSError(errno.ENOSPC, '', 'x')", "error: the disk is full while writing x: free some space and run again\n"),
        ("import thing", "error: No module named 'thing': install this package again, or use the Python of a clone's .venv\n"),
        ("sys.exit(1)", ""),
    ],
)
def test_what_is_foreseen_is_one_sentence_and_status_2(body, said):
    done = run(body)
    assert (done.returncode, done.stderr, done.stdout) == (2, said, "")


@pytest.mark.parametrize("error", ["1 / 0", "raise BaseException", "raise OSError(errno.EIO, 'damaged')"])
def test_what_nobody_foresaw_has_a_traceback_and_status_2(error):
    done = run(error)
    assert done.returncode == 2
    assert "Traceback" in done.stderr


SAY = "print('a line')\nreturn 1"
# What the shell makes of the streams; the status, what is said, what reaches the standard output.
STREAMS = {
    "full": (SAY, '"$@" >/dev/full', 2, "error: the standard output cannot be written (No space left on device)\n"),
    "closed": ("return int(sys.stdout is None)", '"$@" >&-', 1, ""),
    "all closed": ("return int(sys.stdout is None)", '"$@" <&- >&- 2>&-', 1, ""),
    "nobody reads": (SAY, '{ sleep 0.5; "$@"; echo $? >&2; } | true', 0, "141\n"),
    "nobody reads errors": ("print('x', file=sys.stderr)", '{ sleep 0.5; "$@" 2>&1; echo $? >&2; } | true', 0, "141\n"),
    "errors on a full disk": ("print('x', file=sys.stderr)\nreturn 1", '"$@" 2>/dev/full', 2, ""),
}


@pytest.mark.parametrize("case", STREAMS)
def test_a_stream_that_cannot_be_written_is_never_status_1(case):
    body, shell, status, said = STREAMS[case]
    done = run(body, shell)
    assert (done.returncode, done.stderr, done.stdout) == (status, said, "")


def test_messages_do_not_get_into_a_result_when_standard_error_is_closed(tmp_path):
    done = run(f"print('x', file=sys.stderr)\nopen({str(tmp_path / 'f')!r}, 'w').write('y')\nreturn 0", '"$@" 2>&-')
    assert (done.returncode, done.stdout, (tmp_path / "f").read_text()) == (0, "", "y")


def test_no_letter_is_too_much_for_a_terminal():
    done = run("print('\\u65e5 caf\\xe9')\nreturn 0", PYTHONIOENCODING="ascii")
    assert (done.returncode, done.stdout, done.stderr) == (0, "\\u65e5 caf\\xe9\n", "")


WAIT = "Path('{0}').touch()\ncommand.unfinished.places.add(Path('{0}'))\nprint(1, flush=True)\ntime.sleep(20)\nreturn 0"


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
def test_a_signal_ends_it_as_any_other_process_and_what_is_unfinished_is_removed(number, tmp_path):
    file = tmp_path / "half"
    with subprocess.Popen(program(WAIT.format(file)), env=QUICK, stdout=-1, stderr=-1, text=True) as process:
        process.stdout.readline()
        process.send_signal(number)
        _, said = process.communicate()
    assert (process.returncode, said, file.exists()) == (-number, "interrupted\n", False)


CHILD = """with command.process(["sh", "-c", "trap '' INT; sleep 60 & echo $!; wait"], stdout=-1) as child:
    print(child.pid, int(child.stdout.readline()), flush=True)
    return child.wait()"""


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_ends_what_it_has_started_and_what_that_has_started(number):
    with subprocess.Popen(program(CHILD), env=QUICK, stdout=-1, stderr=-1, text=True) as process:
        started = [int(pid) for pid in process.stdout.readline().split()]
        process.send_signal(number)
        process.communicate()
    assert process.returncode == -number
    for _ in range(100):  # the grandchild is reaped by init
        if not any(alive(pid) for pid in started):
            return
        time.sleep(0.05)
    raise AssertionError(f"one of {started} goes on")


def alive(pid):
    with contextlib.suppress(FileNotFoundError):
        return Path(f"/proc/{pid}/stat").read_text(encoding="utf-8").rpartition(")")[2].split()[0] != "Z"
    return False


def test_what_an_exception_leaves_behind_is_ended_too():
    with pytest.raises(KeyboardInterrupt), command.process(["sleep", "60"]) as child:
        raise KeyboardInterrupt
    assert not alive(child.pid)
    assert not command.unfinished.children


def test_a_signal_waits_until_a_change_is_made_and_one_that_is_ignored_stays_so(tmp_path):
    change = (
        f"with command.unfinished.change():\n    signal.raise_signal(15)\n    Path({str(tmp_path / 'f')!r}).touch()\nreturn 0"
    )
    done = run(change)
    assert done.returncode == -signal.SIGTERM
    assert (tmp_path / "f").exists()
    assert run("signal.raise_signal(1)\nreturn 1", 'trap "" HUP; "$@"').returncode == 1
