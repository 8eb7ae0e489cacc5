"""How a command starts and ends whose exit status is an answer: nothing that goes wrong may end in a status that means something.

Python itself ends with 1 after an exception, and with 120 where the last of the output cannot be written. Here all of that is 2.
A signal ends the process as it does any other, so that shells see it (130 interrupted, 141 nobody reads on), at any moment, also
of an import, and without a traceback; what is unfinished is removed first.
"""

import contextlib
import os
import shutil
import signal
import subprocess
import sys
import time
import traceback
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from types import FrameType
from typing import Any, NoReturn

from likelihood.common import stage

FAILED = 2
DEADLY = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
PATIENCE = 50  # tenths of a second


class Unfinished:
    """What a signal that ends the process ends too: other processes, each with all that it has started; and which files and
    folders it removes.
    """

    def __init__(self) -> None:
        self.places: set[Path] = set()
        self.children: set[int] = set()
        self.held, self.waiting = False, 0

    @contextlib.contextmanager
    def change(self) -> Iterator[None]:
        """Let signals wait while a file or folder comes, goes or is put in its place."""
        self.held = True
        try:
            yield
        finally:
            self.held = False
            if self.waiting:
                self.die(self.waiting)

    def arrived(self, number: int, _frame: FrameType | None) -> None:
        """A signal has come. No exception is raised: it could come up in the middle of an import, or of what ignores it."""
        if self.held:
            self.waiting = number
        else:
            self.die(number)

    def die(self, number: int) -> NoReturn:
        """End by a signal."""
        signal.signal(number, signal.SIG_DFL)
        for child in self.children:
            end(child)  # it would go on writing to what is removed
        for place in self.places:
            with contextlib.suppress(OSError):
                shutil.rmtree(place) if place.is_dir() else place.unlink(missing_ok=True)
        if number != signal.SIGPIPE:
            with contextlib.suppress(OSError):  # not print: the signal may have come while it was at work
                os.write(2, b"\ninterrupted\n" if os.isatty(2) else b"interrupted\n")  # a progress bar ends in no line break
        os.kill(os.getpid(), number)
        time.sleep(1)  # another thread may be the one that takes it
        os._exit(128 + number)


unfinished = Unfinished()


@contextlib.contextmanager
def process(command: Sequence[str], **options: Any) -> Iterator[subprocess.Popen[bytes]]:  # noqa: ANN401 (those of Popen)
    """Another process, which ends with this one at the latest, and with it all that it has started."""
    with unfinished.change():
        child = subprocess.Popen(command, start_new_session=True, **options)
        unfinished.children.add(child.pid)
    try:
        yield child
    finally:
        with unfinished.change():
            if child.poll() is None:
                end(child.pid)
            unfinished.children.discard(child.pid)


def end(leader: int) -> None:
    """End a group of processes, by force if its leader, a child, is still there after some seconds."""
    for number in (signal.SIGTERM, signal.SIGKILL):
        with contextlib.suppress(ProcessLookupError, ChildProcessError):
            os.killpg(leader, number)
            for _ in range(PATIENCE):
                if os.waitpid(leader, os.WNOHANG)[0]:
                    return
                time.sleep(0.1)


def run(main: Callable[[], int]) -> NoReturn:
    """End with the status that `main` returns; with 2 where it fails, after a sentence, or a traceback if nobody foresaw it."""
    try:
        prepare()
        status = flushed(answer(main))
    except BrokenPipeError:
        unfinished.die(signal.SIGPIPE)
    except OSError:  # there is nobody to tell
        os._exit(FAILED)
    for number in DEADLY:
        if signal.getsignal(number) == unfinished.arrived:
            signal.signal(number, signal.SIG_DFL)
    sys.exit(status)


def prepare() -> None:
    """Make the three streams fit to be written, and let signals end the process cleanly."""
    # A file opened while one of the three is closed would take its number, and what is meant for people would go into it.
    while (descriptor := os.open(os.devnull, os.O_RDWR)) <= 2:
        pass
    os.close(descriptor)
    if sys.stderr is None:
        sys.stderr = open(os.devnull, "w", encoding="utf-8")  # noqa: SIM115 (as long as the process)
    if sys.stdout is not None:
        sys.stdout.reconfigure(errors="backslashreplace")  # as standard error is: no name is lost for a letter
    for number in DEADLY:
        if signal.getsignal(number) is not signal.SIG_IGN:  # as nohup asks for
            signal.signal(number, unfinished.arrived)


def answer(main: Callable[[], int]) -> int:
    """What `main` returns, or 2."""
    try:
        return main()
    except SystemExit as stopped:  # help, or arguments that argparse refuses
        return FAILED if stopped.code else 0
    except BrokenPipeError:
        raise
    except MemoryError:
        print("error: there is not enough memory: end other programs, or name fewer images", file=sys.stderr)
        return FAILED
    except ModuleNotFoundError as error:
        print(f"error: {error}: install this package again, or use the Python of a clone's .venv", file=sys.stderr)
        return FAILED
    except BaseException as error:
        if type(error).__name__ == "OutOfMemoryError":  # PyTorch's, which is not imported here
            text = "the GPU has not enough memory: end other programs, or set CUDA_VISIBLE_DEVICES= to compute without it"
        else:
            text = stage.sentence(error)
        if text is None:
            traceback.print_exc()
        else:
            stage.say(f"error: {text}")
        return FAILED


def flushed(status: int) -> int:
    """The status, once everything is written; where it cannot be, 2, without Python's own end, which would try again."""
    try:
        if sys.stdout is not None:
            sys.stdout.flush()
        sys.stderr.flush()
    except BrokenPipeError:
        raise
    except OSError as error:
        if status != FAILED:
            print(f"error: the standard output cannot be written ({error.strerror})", file=sys.stderr)
        os._exit(FAILED)
    return status
