"""`likelihood pull`: bring the shared results of benchmarks, also of those that are not enabled, as dvc.lock names them.

`dvc pull` brings what `run` enables. Here the outputs of any cell in dvc.lock are brought, each file checked against the MD5 that
names it and put in its place whole. As with `dvc pull`, every file, and every listing of a folder once its files are there, also
goes into DVC's cache: what is missing there DVC takes for changed, and would train it again when the benchmark is enabled. What
the default remote lacks comes from `shipped`. A folder has the files of its listing afterwards and no others, as DVC compares
both.
"""

import argparse
import contextlib
import hashlib
import itertools
import json
import os
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from dvc.repo import Repo
from tqdm import tqdm

from likelihood.commands.audit import load_lock, opened
from likelihood.commands.entries import alone, replacing, temporary
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
SHIPPED = "shipped"  # the remote with the committed results


class MissingError(Exception):
    """An object that no remote has."""


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


class Store:
    """DVC's cache of a project, filled from its default remote and, with what that lacks, from the one of the repository."""

    def __init__(self, repo: Repo) -> None:
        self.cache = repo.cache.local
        self.remotes = [repo.cloud.get_remote_odb()]
        default = repo.config["core"].get("remote")
        if default != SHIPPED and SHIPPED in repo.config["remote"]:
            self.remotes.append(repo.cloud.get_remote_odb(SHIPPED))
        self.ignored = repo.dvcignore.is_ignored_file
        self.helped = False  # by the second remote

    def read(self, md5: str) -> bytes:
        """An object, of the cache or of a remote.

        MissingError where there is none; InputError where a remote cannot be reached, or the object there is damaged.
        """
        with contextlib.suppress(FileNotFoundError):
            content = self.place(md5).read_bytes()
            if hashlib.md5(content).hexdigest() == md5.removesuffix(".dir"):
                return content
        for remote in self.remotes:
            with contextlib.suppress(MissingError):
                content = fetched(remote, md5)
                if remote != self.remotes[0] and not self.helped:
                    self.helped = True
                    stage.say(f"note: what the default remote lacks comes from the remote {SHIPPED!r}")
                return content
        raise MissingError(md5)

    def place(self, md5: str) -> Path:
        """Where the cache has an object."""
        return Path(self.cache.oid_to_path(md5))

    def keep(self, md5: str, content: bytes) -> None:
        """Put an object into the cache as DVC does: whole, and write-protected, or DVC would read it again every time."""
        place = self.place(md5)
        if place.exists() and place.read_bytes() == content:
            return
        self.cache.makedirs(str(place.parent))
        # The cache may be shared with projects that bring the same.
        with temporary(place.with_name(f".{place.name}.{os.getpid()}.partial")) as partial:
            partial.write_bytes(content)
            self.cache.protect(str(partial))
            os.replace(partial, place)

    def link(self, md5: str, path: Path) -> None:
        """Make a new file of an object in the cache: a link if DVC's configuration and the file system allow it, or a copy."""
        place = self.place(md5)
        for kind in itertools.takewhile(lambda kind: kind != "copy", self.cache.cache_types):
            with contextlib.suppress(OSError):
                getattr(self.cache.fs, kind)(str(place), str(path))
                if kind == "reflink":
                    self.cache.unprotect(str(path))
                return
        shutil.copyfile(place, path)


def fetched(remote: Any, md5: str) -> bytes:  # noqa: ANN401
    """An object of a remote, checked; errors as of `Store.read`."""
    place = remote.oid_to_path(md5)
    try:
        content = remote.fs.cat_file(place)
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


def bring(store: Store, path: Path, md5: str) -> bool:
    """Put a file in its place and the cache; whether its place lacked it. InputError where other content would be lost."""
    if path.is_file():
        content = path.read_bytes()
        here = hashlib.md5(content).hexdigest()
        if here == md5:
            store.keep(md5, content)
            return False
        if not store.place(here).exists():
            raise InputError(f"{path} differs from what dvc.lock names and is nowhere else: move it away, then pull again")
    store.keep(md5, store.read(md5))
    try:
        with replacing(path) as partial:
            store.link(md5, partial)
    except (FileExistsError, IsADirectoryError, NotADirectoryError) as error:
        raise InputError(f"{path} cannot be written ({error.strerror}): move away what is in its place") from None
    return True


def bring_all(store: Store, path: Path, md5: str) -> Iterator[bool]:
    """What `bring` says of every file of an output, a file or a folder."""
    if not md5.endswith(".dir"):
        yield bring(store, path, md5)
        return
    listing = store.read(md5)
    named = {path / entry["relpath"]: entry["md5"] for entry in json.loads(listing)}
    for file, content in named.items():
        yield bring(store, file, content)
    for file in sorted(path.rglob("*")):
        if file not in named and (file.is_symlink() or not file.is_dir()) and not store.ignored(str(file.absolute())):
            drop(store, file)
    store.keep(md5, listing)  # last: DVC takes the files of a listing that it has to be there


def drop(store: Store, path: Path) -> None:
    """Delete a file of an output that its listing does not name, as it would make DVC run the stage again.

    InputError where it would be lost.
    """
    if not store.place(hashlib.md5(path.read_bytes()).hexdigest()).exists():
        raise InputError(f"{path} is no part of what dvc.lock names, and nowhere else: move it away, then pull again")
    path.unlink()


def run(arguments: argparse.Namespace) -> int:
    """Bring the results; the exit status."""
    benchmarks = arguments.benchmarks or checks.load()["run"]
    lock = load_lock(Path())
    wanted = {path: md5 for benchmark in benchmarks for path, md5 in outputs(lock, benchmark).items()}
    brought, count, lacking = 0, 0, []
    with opened(Path()) as repo, alone(), tqdm(wanted.items(), unit="output", leave=False, disable=None) as bar:
        store = Store(repo)
        for path, md5 in bar:
            try:
                for new in bring_all(store, Path(path), md5):
                    brought += new
                    count += 1
            except MissingError:
                lacking.append(path)
    for path in lacking:
        stage.say(f"note: {path} is not shared, or not all of it")
    if not count:
        raise InputError("the remote has none of these results: push them from where they were made")
    print(f"{brought} of {count} files brought; the others were here")
    return 0
