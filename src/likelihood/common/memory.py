"""Memory that a network gave back is kept for its next step, on Linux.

glibc returns what is freed in large pieces to the system, which hands it out again page by page, each cleared and mapped anew.
Every step of a network frees and takes the same hundreds of megabytes. Kept, they are used again as they are, and the process
stays as large as its largest step.
"""

import ctypes
import sys

TRIM_THRESHOLD, MMAP_MAX = -1, -4  # names of malloc.h
EVERYTHING = 2**31 - 1  # bytes


def keep() -> None:
    """Keep freed memory in this process from now on; does nothing where the C library has no such setting."""
    mallopt = getattr(ctypes.CDLL(None), "mallopt", None) if sys.platform == "linux" else None
    if mallopt:
        mallopt(MMAP_MAX, 0)  # no piece comes from the system by itself, to be returned when it is freed,
        mallopt(TRIM_THRESHOLD, EVERYTHING)  # nor does the end of the heap
