"""Where verdicts go: lines on the standard output, or a file of everything."""

import contextlib
import fcntl
import io
import json
import os
import sys
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING

from tqdm import tqdm

from likelihood.common.errors import InputError
from likelihood.data.pictures import shown
from likelihood.detection.command import unfinished

if TYPE_CHECKING:  # at run time a place is tried before anything large is imported
    import pandas as pd


class Lines:
    """A line an image on the standard output, a batch at a time."""

    def __init__(self) -> None:
        if sys.stdout is None:
            raise InputError("the standard output is closed: leave it open, or name a file with --output")

    def __enter__(self) -> "Lines":
        return self

    def __exit__(self, *_: object) -> None:
        pass

    def add(self, table: "pd.DataFrame", score: str) -> None:
        """Write some rows."""
        likelihoods = [name for name in table if name.endswith((".bits_per_dim", ".binary_bits_per_dim"))]
        lines = []
        for row in table.to_dict("records"):
            verdict, p = "FLAGGED" if row["flagged"] else "normal ", row[f"{score}.p"]
            lines.append("  ".join([verdict, f"p {p:.4f}", *(f"{name} {row[name]:8.3f}" for name in likelihoods), row["image"]]))
        try:
            with tqdm.external_write_mode():
                print("\n".join(lines), flush=True)
        except BrokenPipeError:
            raise
        except OSError as error:
            raise InputError(
                f"the standard output cannot be written ({error.strerror}): free some space, or redirect it"
            ) from None


class Table:
    """A file of everything about every image, .csv or .json, whole or not at all: written beside its place and moved there.

    Whatever stands against it is found when it is made. Of two runs that write the same file at once the second is refused: the
    file beside is locked by who writes it. What a killed run has left there is not, and is taken over.
    """

    def __init__(self, path: Path) -> None:
        if path.suffix.lower() not in (".csv", ".json"):
            raise InputError(f"{shown(path)} must end in .csv or .json")
        self.path, self.rows = path, 0
        self.partial = path.with_name(f".{path.name}.partial")
        try:
            if path.is_dir():
                raise InputError(f"{shown(path)} is a folder: name a file")
            if not path.parent.is_dir():
                raise InputError(f"{shown(path.parent)} is not a folder: make it first")
            if path.exists() and not path.is_file():
                raise InputError(f"{shown(path)} is no plain file: name another")
            if path.exists() and not os.access(path, os.W_OK):
                raise InputError(f"{shown(path)} is write-protected: change its permissions, or name another file")
            with unfinished.change():
                self.file = self.locked()
                unfinished.file = self.partial
        except OSError as error:
            raise self.refusal(error) from None

    def refusal(self, error: OSError) -> InputError:
        """The sentence for what the system says."""
        return InputError(f"{shown(self.path)} cannot be written ({error.strerror}): change that, or name another file")

    def locked(self) -> io.TextIOWrapper:
        """The file beside, open, empty, and this run's own."""
        while True:
            descriptor = os.open(self.partial, os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW, 0o666)
            try:
                fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                os.close(descriptor)
                raise InputError(
                    f"{shown(self.path)} is being written by another run: wait for it, or name another file"
                ) from None
            except OSError:
                pass  # a file system that knows no locks
            # Who had the lock before may have moved or removed the file between the two calls.
            if self.partial.exists() and os.path.samestat(self.partial.stat(), os.fstat(descriptor)):
                os.truncate(descriptor, 0)
                return open(descriptor, "w", encoding="utf-8", newline="")
            os.close(descriptor)

    def __enter__(self) -> "Table":
        return self

    def add(self, table: "pd.DataFrame", _score: str) -> None:
        """Write some rows."""
        try:
            if self.path.suffix.lower() == ".csv":
                table.to_csv(self.file, index=False, header=not self.rows)
            else:
                lines = [json.dumps(row) for row in table.to_dict("records")]
                self.file.write((",\n" if self.rows else "[\n") + ",\n".join(lines))
            self.file.flush()
        except OSError as error:
            raise self.refusal(error) from None
        self.rows += len(table)

    def __exit__(self, kind: type[BaseException] | None, _error: BaseException | None, _trace: TracebackType | None) -> None:
        """Put the file in its place, or take it away. Until that is done it stays locked."""
        whole = False
        with unfinished.change():
            try:
                if kind is None:
                    self.finish()
                    whole = True
            except OSError as error:
                raise self.refusal(error) from None
            finally:
                if not whole:  # its name is another run's once the file has moved
                    with contextlib.suppress(OSError):
                        self.partial.unlink(missing_ok=True)
                with contextlib.suppress(OSError):
                    self.file.close()
                unfinished.file = None

    def finish(self) -> None:
        """Write the end and move the file."""
        if self.path.suffix.lower() == ".json":
            self.file.write("\n]\n" if self.rows else "[]\n")
        elif not self.rows:
            self.file.write("image,flagged\n")
        self.file.flush()
        os.fsync(self.file.fileno())  # some file systems tell only then that there was no space
        os.replace(self.partial, self.path)
