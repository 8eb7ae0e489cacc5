"""Where verdicts go: lines on the standard output, a file of everything, a folder of maps; a report is in report.py.

A file or folder is whole or not there at all: it is written beside its place and moved there at the end.
"""

import contextlib
import fcntl
import io
import json
import math
import os
import re
import shutil
import sys
from abc import ABC, abstractmethod
from collections.abc import Callable
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Any, ClassVar, NamedTuple, Self

import numpy as np
from PIL import Image
from tqdm import tqdm

from likelihood.common import images, params
from likelihood.common.errors import InputError
from likelihood.common.units import Unit
from likelihood.data.pictures import shown
from likelihood.detection.command import unfinished
from likelihood.figures.titles import BLIND

if TYPE_CHECKING:  # at run time a place is tried before anything large is imported
    import pandas as pd

LONGEST = 120  # bytes of an image's name that the names of its maps have


def present(path: Path) -> None:
    """InputError unless a detector's file is there; asked before PyTorch is imported, which takes seconds."""
    if not os.path.isfile(path):  # Path's own raises for a name that is too long, and below a folder that may not be searched
        raise InputError(f"{shown(path)} is not a file: name one that `likelihood export` or `Detector.save` wrote")


def declared(root: Path, benchmark: str) -> dict[str, Any]:
    """A benchmark's entry in the params.yaml of a project's folder, root; asked before as well.

    Raises InputError where there is no such file or benchmark, and where the file is of another project: all of DVC's have one.
    """
    values = params.load(root / params.FILE)
    if not isinstance(values.get("benchmarks"), dict):
        raise InputError(
            f"{shown(root / params.FILE)} has no benchmarks, so it is of another project:"
            " use the folder of a clone, or a detector's file"
        )
    if named := [name for name in values["benchmarks"] if not isinstance(name, str)]:
        raise InputError(f"{shown(root / params.FILE)}: a benchmark is named {named[0]!r}: run `dvc repro check`")
    entry = params.of_benchmark(values, benchmark)
    if not isinstance(entry, dict) or not isinstance(entry.get("in"), str):
        raise InputError(f"{shown(root / params.FILE)}: benchmark {benchmark} has no in-set: run `dvc repro check`")
    return entry


def place(path: Path) -> Path:
    """Where a path leads; one that leads to itself, at which Path.resolve raises, stays."""
    return Path(os.path.realpath(path))


class Batch(NamedTuple):
    """Some images that were judged."""

    table: "pd.DataFrame"  # a row per image: image (its name), flagged (once that is decided), likelihoods, scores, p
    score: str  # the one that flags
    pixels: np.ndarray  # uint8 (N, C, H, W)
    maps: Callable[[np.ndarray], dict[str, np.ndarray]]  # of these rows, by model: (n, H, W), nats of log_prob per pixel

    def p(self) -> np.ndarray:
        """Of the score that flags, (N,)."""
        return self.table[f"{self.score}.p"].to_numpy()

    def units(self) -> dict[str, Unit]:
        """The units of the likelihoods, by model."""
        return {name.split(".")[0]: unit for name in self.table for unit in BLIND if name.endswith(f".{unit}")}


def picture(nats: np.ndarray, channels: int, unit: Unit) -> Image.Image:
    """A map (H, W) of an image of so many channels, in grey: black is 0 bits per value or less, white a blind guess or more."""
    bits = -nats / (channels * math.log(2.0))
    return Image.fromarray(np.rint(255.0 * np.nan_to_num(np.clip(bits / BLIND[unit], 0.0, 1.0), nan=1.0)).astype(np.uint8))


class Lines:
    """A line an image on the standard output, a batch at a time."""

    def __init__(self) -> None:
        if sys.stdout is None:
            raise InputError("the standard output is closed: leave it open, or name a file with --output")

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        pass

    def add(self, batch: Batch) -> None:
        """Write some rows."""
        likelihoods = [name for name in batch.table if name.endswith((".bits_per_dim", ".binary_bits_per_dim"))]
        lines = []
        for row in batch.table.to_dict("records"):
            verdict, p = "FLAGGED" if row["flagged"] else "normal ", f"p {row[f'{batch.score}.p']:.4f}"
            group = [f"group {row['group']} p {row['group_p']:.4f}"] if "group" in row else []
            bits = [f"{name} {row[name]:8.3f}" for name in likelihoods]
            lines.append("  ".join([verdict, *group, p, *bits, row["image"]]))
        self.write("\n".join(lines))

    def write(self, text: str) -> None:
        """Write one or several lines."""
        try:
            with tqdm.external_write_mode():
                print(text, flush=True)
        except BrokenPipeError:
            raise
        except OSError as error:
            raise InputError(
                f"the standard output cannot be written ({error.strerror}): free some space, or redirect it"
            ) from None


class Whole(ABC):
    """A file that is written whole or not at all.

    Whatever stands against it is found when it is made. Of two runs that write the same file at once the second is refused: the
    file beside is locked by who writes it. What a killed run has left there is not, and is taken over.
    """

    suffixes: ClassVar[tuple[str, ...]]

    def __init__(self, path: Path) -> None:
        if path.suffix.lower() not in self.suffixes:
            raise InputError(f"{shown(path)} must end in {' or '.join(self.suffixes)}")
        self.path = path
        self.place = place(path)  # a link stays a link
        self.partial = self.place.with_name(f".{self.place.name}.partial")
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
                unfinished.places.add(self.partial)
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

    def __enter__(self) -> Self:
        return self

    @abstractmethod
    def end(self) -> None:
        """Write what stands at the end."""

    def __exit__(self, kind: type[BaseException] | None, _error: BaseException | None, _trace: TracebackType | None) -> None:
        """Put the file in its place, or take it away. Until that is done it stays locked."""
        whole = False
        with unfinished.change():
            try:
                if kind is None:
                    self.end()
                    self.file.flush()
                    os.fsync(self.file.fileno())  # some file systems tell only then that there was no space
                    if self.place.exists():
                        shutil.copymode(self.place, self.partial)
                    os.replace(self.partial, self.place)
                    whole = True
            except OSError as error:
                raise self.refusal(error) from None
            finally:
                if not whole:  # its name is another run's once the file has moved
                    with contextlib.suppress(OSError):
                        self.partial.unlink(missing_ok=True)
                with contextlib.suppress(OSError):
                    self.file.close()
                unfinished.places.discard(self.partial)


class Table(Whole):
    """A file of everything about every image, .csv or .json."""

    suffixes = (".csv", ".json")

    def __init__(self, path: Path) -> None:
        super().__init__(path)
        self.rows = 0

    def add(self, batch: Batch) -> None:
        """Write some rows."""
        try:
            if self.path.suffix.lower() == ".csv":
                batch.table.to_csv(self.file, index=False, header=not self.rows)
            else:
                table = batch.table.replace([np.inf, -np.inf], np.nan).astype(object)  # JSON has no such numbers
                lines = [json.dumps(row) for row in table.where(table.notna(), None).to_dict("records")]
                self.file.write((",\n" if self.rows else "[\n") + ",\n".join(lines))
            self.file.flush()
        except OSError as error:
            raise self.refusal(error) from None
        self.rows += len(batch.table)

    def end(self) -> None:
        """Write the end."""
        if self.path.suffix.lower() == ".json":
            self.file.write("\n]\n" if self.rows else "[]\n")
        elif not self.rows:
            self.file.write("image,flagged\n")


class Maps:
    """A new folder of the maps of every image (maps/places.py): <number>_<name>.<model>.npy and .png.

    The array (H, W) is float32 and holds nats per pixel that add up to log_prob. The picture shows them in bits/dim, from black,
    0, to white, a blind guess: 8, or 1 of binarised images. Without an image there is no folder.
    """

    def __init__(self, path: Path) -> None:
        self.path, self.count, self.place = path, 0, place(path)  # a link stays a link
        try:
            if path.exists() and not path.is_dir():
                raise InputError(f"{shown(path)} is no folder: name another")
            if path.exists() and any(path.iterdir()):
                raise InputError(f"{shown(path)} is not empty: name a new folder")
            if self.place == Path.cwd():
                raise InputError(f"{shown(path)} is the folder that you are in: name a new one")
            if not self.place.parent.is_dir():
                raise InputError(f"{shown(path.parent)} is not a folder: make it first")
            with unfinished.change():
                self.partial = self.place.with_name(f".{self.place.name}.{os.getpid()}.partial")  # of this run alone
                self.partial.mkdir()
                unfinished.places.add(self.partial)
        except OSError as error:
            raise self.refusal(error) from None

    def refusal(self, error: OSError) -> InputError:
        """The sentence for what the system says."""
        return InputError(f"{shown(self.path)} cannot be written ({error.strerror}): change that, or name another folder")

    def __enter__(self) -> Self:
        return self

    def add(self, batch: Batch) -> None:
        """Write the maps of some images."""
        found, units = batch.maps(np.arange(len(batch.table))), batch.units()
        for row, name in enumerate(batch.table["image"]):
            stem = re.sub(r"[^\w.-]+", "_", name.rsplit("/", 1)[-1]).encode()[:LONGEST].decode(errors="ignore")
            try:
                for model, maps in found.items():
                    place = self.partial / f"{self.count:05d}_{stem}.{model}"
                    images.save(place.with_name(f"{place.name}.npy"), maps[row].astype(np.float32))
                    picture(maps[row], batch.pixels.shape[1], units[model]).save(place.with_name(f"{place.name}.png"))
            except OSError as error:
                raise self.refusal(error) from None
            self.count += 1

    def __exit__(self, kind: type[BaseException] | None, _error: BaseException | None, _trace: TracebackType | None) -> None:
        """Put the folder in its place, or take it away."""
        with unfinished.change():
            try:
                if kind is None and self.count:
                    os.replace(self.partial, self.place)
            except OSError as error:
                raise self.refusal(error) from None
            finally:
                shutil.rmtree(self.partial, ignore_errors=True)
                unfinished.places.discard(self.partial)


Output = Lines | Table | Maps
