"""What git does not have, in the checkout of an experiment: own pictures, downloads, and what trainings have kept.

`dvc exp run --temp` and the queue run in a checkout of their own below the one that started them, with what git and DVC hold. DVC
names that one in the environment variable DVC_ROOT. Files are linked: all of them are replaced whole or only read, so nothing
that an experiment does reaches them, and DVC hashes own pictures as it does where the experiment was started.
"""

import os
import shutil
from pathlib import Path

KEPT = {"data/own": "**/*", "data/downloads": "*/*.npy", "data/trainings": "*/**/*"}


def root() -> Path:
    """The checkout that started this run: the folder of this process, or one above it."""
    here = Path.cwd()
    started = Path(os.environ.get("DVC_ROOT", here)).resolve()
    return started if started in here.resolve().parents else here


def bring() -> None:
    """Link what is kept in the checkout that started this run and is not in this one."""
    there = root()
    if there == Path.cwd():
        return
    for folder, pattern in KEPT.items():
        for file in sorted((there / folder).glob(pattern)):
            place = Path(file.relative_to(there))
            if file.is_file() and file.suffix != ".partial" and not place.exists():
                place.parent.mkdir(parents=True, exist_ok=True)
                _link(file.resolve(), place)


def _link(file: Path, place: Path) -> None:
    try:
        os.link(file, place)
    except OSError:  # on another file system, or of a kind that has no links
        shutil.copyfile(file, place)
