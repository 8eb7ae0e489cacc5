"""`likelihood pull`: bring the shared results of benchmarks, also of those that are not enabled, as dvc.lock names them.

`dvc pull` brings what `run` enables. Here the outputs of any cell in dvc.lock are copied from the DVC remote, each file checked
against the MD5 that names it and put in its place whole.
"""

import argparse
import hashlib
import json
from pathlib import Path
from typing import Any, NamedTuple

from dvc.repo import Repo
from tqdm import tqdm

from likelihood.commands.audit import load_lock, opened
from likelihood.commands.entries import alone, put
from likelihood.common import stage
from likelihood.common.errors import InputError
from likelihood.settings import checks

SHARED = (
    "data/models/",
    "data/scores/",
    "data/detectors/",
    "data/analyses/",
    "data/maps/",
    "metrics/{}/train/",
    "plots/{}/tables",
)
IMAGES = ("data/raw/", "data/processed/")  # never shared


class MissingError(Exception):
    """An object that the remote does not have."""


class File(NamedTuple):
    """A file to bring."""

    path: Path
    md5: str


def outputs(lock: dict[str, Any], benchmark: str) -> dict[str, str]:
    """MD5 by path of the shared outputs of a benchmark's cells; InputError where there are none, or no such benchmark."""
    cells = {name: entry for name, entry in lock.items() if name.partition("@")[2].split("-")[0] == benchmark}
    if not cells:
        known = sorted({name.partition("@")[2].split("-")[0] for name in lock if "@" in name})
        raise InputError(f"dvc.lock has no results of {benchmark!r}; it has those of {', '.join(known) or 'none'}")
    heads = tuple(head.format(benchmark) for head in SHARED)
    found = {out["path"]: out["md5"] for entry in cells.values() for out in entry.get("outs", [])}
    shared = {path: md5 for path, md5 in found.items() if path.startswith(heads)}
    if not shared:
        raise InputError(f"dvc.lock has no results of {benchmark!r} that are shared: run `dvc repro` to train its models")
    return shared


class Remote:
    """The default DVC remote of a project."""

    def __init__(self, repo: Repo) -> None:
        self.remote, self.cache = repo.cloud.get_remote_odb(), Path(repo.cache.local.path)

    def read(self, md5: str) -> bytes:
        """An object. MissingError where the remote has none; InputError where it cannot be reached, or the object is damaged."""
        place = self.remote.oid_to_path(md5)
        try:
            content = self.remote.fs.cat_file(place)
        except FileNotFoundError:
            raise MissingError(md5) from None
        except MemoryError:
            raise
        except Exception as error:  # every kind of remote has its own
            reason = getattr(error, "strerror", None) or str(error) or type(error).__name__
            raise InputError(f"{place} cannot be read ({reason}): see `dvc remote list` and docs/scale.md") from None
        if hashlib.md5(content).hexdigest() != md5.removesuffix(".dir"):
            raise InputError(f"{place} of the remote is damaged: push it again from where it was made")
        return content

    def files(self, path: str, md5: str) -> list[File]:
        """The files of an output."""
        if not md5.endswith(".dir"):
            return [File(Path(path), md5)]
        return [File(Path(path) / entry["relpath"], entry["md5"]) for entry in json.loads(self.read(md5))]

    def kept(self, md5: str) -> bool:
        """Whether the local cache has an object."""
        return (self.cache / md5[:2] / md5[2:]).exists()


def bring(remote: Remote, file: File) -> bool:
    """Put a file in its place; whether that was necessary. InputError where other content would be lost."""
    if file.path.is_file():
        with file.path.open("rb") as opened:
            here = hashlib.file_digest(opened, "md5").hexdigest()
        if here == file.md5:
            return False
        if not remote.kept(here):
            raise InputError(f"{file.path} differs from what dvc.lock names and is nowhere else: move it away, then pull again")
    try:
        put(file.path, remote.read(file.md5))
    except (FileExistsError, IsADirectoryError, NotADirectoryError) as error:
        raise InputError(f"{file.path} cannot be written ({error.strerror}): move away what is in its place") from None
    return True


def run(arguments: argparse.Namespace) -> int:
    """Bring the results; the exit status."""
    benchmarks = arguments.benchmarks or checks.load()["run"]
    lock = load_lock(Path())
    wanted = {path: md5 for benchmark in benchmarks for path, md5 in outputs(lock, benchmark).items()}
    brought, count, lacking = 0, 0, []
    with opened(Path()) as repo, alone(), tqdm(wanted.items(), unit="output", leave=False, disable=None) as bar:
        remote = Remote(repo)
        for path, md5 in bar:
            try:
                for file in remote.files(path, md5):
                    brought += bring(remote, file)
                    count += 1
            except MissingError:
                lacking.append(path)
    for path in lacking:
        stage.say(f"note: {path} is not shared, or not all of it")
    if not count:
        raise InputError("the remote has none of these results: push them from where they were made")
    print(f"{brought} of {count} files brought; the others were here")
    return 0
