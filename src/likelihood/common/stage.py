"""How every stage script starts and fails: errors a user can mend end in one sentence, not in a traceback."""

import errno
import sys
from collections.abc import Callable

from likelihood.common.errors import InputError


def run(main: Callable[[], None]) -> None:
    """Run a stage's `main`; exit with one sentence on bad input, a full or read-only disk (status 1), an interruption (130)."""
    try:
        main()
    except KeyboardInterrupt:
        print("interrupted: run the same again; a training goes on after its last complete epoch", file=sys.stderr)
        sys.exit(130)
    except InputError as error:
        sys.exit(f"error: {error}")
    except OSError as error:
        if error.errno == errno.ENOSPC:
            sys.exit(f"error: the disk is full while writing {error.filename or 'an output'}: free some space and run again")
        if error.errno in (errno.EACCES, errno.EROFS):
            sys.exit(
                f"error: {error.filename} cannot be written or read ({error.strerror}): change its permissions and run again"
            )
        raise
