"""How every stage script starts and fails: errors a user can mend end in one sentence, not in a traceback."""

import errno
import sys
from collections.abc import Callable

from likelihood.errors import InputError


def run(main: Callable[[], None]) -> None:
    """Run a stage's `main`; exit with status 1 and one sentence on bad input or a full or read-only disk."""
    try:
        main()
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
