"""How a stage script starts and fails: an error that the user can fix ends in one sentence, not in a traceback."""

import errno
import sys
from collections.abc import Callable

from likelihood.common.errors import InputError

INTERRUPTED = 130  # as shells count SIGINT


def run(main: Callable[[], None]) -> None:
    """Run a stage's `main`; exit with one sentence on bad input, a full or read-only disk (status 1), an interruption (130)."""
    try:
        main()
    except KeyboardInterrupt:
        say("interrupted: run the same again; a training goes on after its last complete epoch")
        sys.exit(INTERRUPTED)
    except Exception as error:
        text = sentence(error)
        if text is None:
            raise
        say(f"error: {text}")
        sys.exit(1)


def sentence(error: BaseException) -> str | None:
    """What the user can do about an error; None where nobody foresaw it."""
    if isinstance(error, InputError):
        return str(error)
    if isinstance(error, OSError) and error.errno == errno.ENOSPC:
        return f"the disk is full while writing {error.filename or 'an output'}: free some space and run again"
    if isinstance(error, OSError) and error.errno in (errno.EACCES, errno.EROFS):
        return f"{error.filename} cannot be written or read ({error.strerror}): change its permissions and run again"
    return None


def say(text: str) -> None:
    """Write a line to standard error at once: the lines of two processes do not mix."""
    sys.stderr.write(f"{text}\n")
