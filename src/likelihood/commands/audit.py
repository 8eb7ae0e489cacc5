"""Which committed results are older than their code, parameters or data: `likelihood audit`, or `make audit`.

dvc.lock records what every result was made from. `dvc status` compares that with the current tree, in a copy without data where
every benchmark of dvc.lock is enabled, so disabled ones are checked too. Data and weights, which the copy lacks, are compared
within dvc.lock: a stage must have read what the stage before it wrote. What results and your own pictures have in DVC's cache is
read as well: DVC trusts a read-only file there, which a disk may have damaged. And some stage of dvc.lock must have written every
file of metrics/ and plots/ in git: tables and figures otherwise go on showing a run of which nothing else is left. Exit status 1
when an enabled stage is stale, a file of the cache is damaged, or no stage wrote a file in git. Files of shipped/ that belong to
earlier results are named too, with what removes them.
"""

import argparse
import contextlib
import hashlib
import json
import shutil
import subprocess
import tempfile
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import yaml

from likelihood.commands.entries import temporary
from likelihood.common import params, stage
from likelihood.common.errors import InputError
from likelihood.settings import checks, resolve

if TYPE_CHECKING:
    from dvc.repo import Repo

# The lists of params.yaml that enable the cells of stages. A cell is named <stage>@<benchmark>, or <stage>@<benchmark>-<name>.
NAMES = {"run_variants": "train_variant", "run_analyses": "analyse"}
# The copy has no history, and what DVC remembers of it goes with it.
HIDDEN = "[core]\n    no_scm = true\n    site_cache_dir = {}\n"
# Of files that git does not know, those that a stage, or the comparison with what it wrote, may read.
NEW = ("src", "data", "metrics", "plots", "profiles", "dvc.yaml", "params.yaml")
SHIPPED = "shipped/files/md5"  # the objects of the remote that git has
_Loader = getattr(yaml, "CSafeLoader", yaml.SafeLoader)  # the C library reads it ten times as fast


def load_lock(root: Path) -> dict[str, Any]:
    """The entry of every cell, by its name; InputError where there is no dvc.lock.

    Those of stages that dvc.yaml no longer has come first: an output may have moved to another stage, whose entry then counts.
    """
    entries, known = (_stages(root / name) for name in ("dvc.lock", "dvc.yaml"))
    return dict(sorted(entries.items(), key=lambda item: item[0].partition("@")[0] in known))


def _stages(file: Path) -> dict[str, Any]:
    """What stands below `stages` in a file of DVC."""
    try:
        return dict(yaml.load(file.read_text(encoding="utf-8"), _Loader)["stages"])
    except FileNotFoundError:
        raise InputError(f"{file.name} is not here: run `dvc repro` first, from the folder of the project") from None
    except (yaml.YAMLError, UnicodeDecodeError, KeyError, TypeError, ValueError):
        ways = f"finish the merge by `likelihood merge`, or take the committed one by `git checkout HEAD -- {file.name}`"
        raise InputError(f"{file.name} is not as DVC writes it: {ways}") from None


def output(*command: str, folder: Path) -> str:
    """What a command prints; InputError with the command and its last line when it fails."""
    try:
        done = subprocess.run(command, cwd=folder, capture_output=True, encoding="utf-8", errors="surrogateescape")
    except FileNotFoundError:
        raise InputError(f"{command[0]} is not installed: install it first") from None
    if done.returncode:
        raise InputError(f"{' '.join(command)} failed: {(done.stderr.strip().splitlines() or ['no message'])[-1]}")
    return done.stdout


@contextlib.contextmanager
def opened(folder: Path) -> Iterator["Repo"]:
    """DVC's view of a project, which becomes the working directory; InputError with what DVC says where it refuses something.

    ModuleNotFoundError where DVC is not installed, which is no reason not to import this module.
    """
    from dvc.exceptions import DvcException
    from dvc.repo import Repo

    try:
        with contextlib.chdir(folder), Repo() as repo:
            yield repo
    except DvcException as error:
        reason = " ".join(f"{error} {error.__cause__ or ''}".split())
        raise InputError(f"DVC cannot go on: {reason}") from None


@contextlib.contextmanager
def scratch() -> Iterator[Path]:
    """A temporary folder that is removed at the end, also where a signal ends the process."""
    with temporary(Path(tempfile.mkdtemp())) as folder:
        folder.mkdir(mode=0o700)  # others on this machine need not see the user's pictures
        yield folder


def copy(root: Path, folder: Path) -> None:
    """Copy the tree as git sees it, with changes and new files, without shipped/; and link the user's own images."""
    known = output("git", "ls-files", "-z", "--cached", folder=root)
    new = output("git", "ls-files", "-z", "--others", "--exclude-standard", "--", *NEW, folder=root)
    for name in (known + new).split("\0"):
        if name and not name.startswith("shipped/") and (root / name).is_file():
            (folder / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy(root / name, folder / name)
    for path in (root / "data" / "own").rglob("*"):  # which git ignores
        target = folder / path.relative_to(root)
        if path.is_file() and not target.exists():
            target.parent.mkdir(parents=True, exist_ok=True)
            target.symlink_to(path.resolve())
    (folder / ".dvc" / "config.local").write_text(HIDDEN.format(folder / ".dvc" / "tmp" / "site"), encoding="utf-8")


def everything(values: dict[str, Any], lock: dict[str, Any]) -> dict[str, Any]:
    """The parameters with everything enabled that dvc.lock names and params.yaml still defines."""
    cells = [name.partition("@")[::2] for name in lock]
    benchmarks = dict.fromkeys(cell.split("-")[0] for name, cell in cells if name == "download")
    new = {**values, "run": [name for name in benchmarks if name in values["benchmarks"]]}
    for key, stage_name in NAMES.items():
        found = dict.fromkeys(cell.split("-", 1)[1] for name, cell in cells if name == stage_name)
        new[key] = [name for name in found if key != "run_variants" or name in values["variants"]]
    return new


def status(folder: Path) -> dict[str, list[Any]]:
    """Of every stage that the folder's parameters enable, what has changed according to DVC."""
    from dvc.stage import PipelineStage

    with opened(folder) as repo:
        changes = repo.status()
        names = [each.addressing for each in repo.index.stages if isinstance(each, PipelineStage)]  # and not pictures.dvc
        return {name: changes.get(name, []) for name in names}


def reasons(changes: Iterable[Any], recorded: dict[str, Any], written: dict[str, str]) -> list[str]:
    """Why a stage is stale, from DVC's status of it, its entry in dvc.lock, and the hash of every output there."""
    found = []
    read = {dep["path"]: dep["md5"] for dep in recorded.get("deps", [])}
    for change in changes:
        if not isinstance(change, dict):
            found.append("its command changed" if change == "changed command" else str(change))
            continue
        for path, how in change.get("changed deps", {}).items():
            if isinstance(how, dict):  # a file of parameters
                found += [f"{key} of {path} is {what}" for key, what in how.items()]
            elif path in written and how == "deleted":
                if read.get(path) != written[path]:
                    found.append(f"{path} has been rewritten since")
            else:
                found.append(f"{path} is {how}")
        for path, how in change.get("changed outs", {}).items():
            if how == "modified":
                found.append(f"{path} is not what the stage wrote")
    return found


def stale(changes: dict[str, list[Any]], lock: dict[str, Any]) -> dict[str, list[str]]:
    """For each stale stage, the reasons."""
    written = {out["path"]: out["md5"] for entry in lock.values() for out in entry.get("outs", [])}
    found = {name: reasons(changed, lock.get(name, {}), written) for name, changed in changes.items()}
    return {name: why for name, why in sorted(found.items()) if why}


def dependent(lock: dict[str, Any], old: set[str]) -> set[str]:
    """The stages that depend, directly or indirectly, on stages of `old`."""
    maker = {out["path"]: name for name, entry in lock.items() for out in entry.get("outs", [])}
    reads = {name: {maker.get(dep["path"]) for dep in entry.get("deps", [])} - {name} for name, entry in lock.items()}
    found: set[str] = set()
    while new := {name for name, sources in reads.items() if sources & (old | found)} - old - found:
        found |= new
    return found


class Audit(NamedTuple):
    """Reasons by stale stage, enabled and disabled; what depends on these; the number of stages; outputs by damaged file; files
    of results that no stage wrote; files of shipped/ that no result needs.
    """

    enabled: dict[str, list[str]]
    disabled: dict[str, list[str]]
    dependent: set[str]
    count: int
    damaged: dict[str, list[str]]
    unsupported: list[str]
    superseded: list[str]


def enabled(root: Path, folder: Path) -> dict[str, list[Any]]:
    """Copy the tree; of every stage that its parameters enable, what has changed."""
    values = checks.load(root / "params.yaml")  # what is wrong in it is named where it is
    copy(root, folder)
    resolve.write(values, folder / "data" / "settings")  # as the stage `check` does
    return status(folder)


def audit(root: Path) -> Audit:
    """Check every stage of dvc.lock and dvc.yaml in `root`."""
    lock = load_lock(root)
    with scratch() as folder:
        inside = enabled(root, folder)
        values = everything(params.load(folder / "params.yaml"), lock)
        (folder / "params.yaml").write_text(yaml.safe_dump(values, sort_keys=False), encoding="utf-8")
        resolve.write(values, folder / "data" / "settings")
        known = status(folder)
    old = stale(inside, lock)
    disabled = stale({name: known[name] for name in (known.keys() & lock.keys()) - inside.keys()}, lock)
    disabled |= {name: ["it is not a stage of dvc.yaml and params.yaml"] for name in sorted(lock.keys() - known.keys())}
    after = dependent(lock, old.keys() | disabled.keys())
    count = len(inside.keys() | lock.keys())
    return Audit(old, disabled, after, count, damaged(root, lock), unsupported(root, lock), superseded(root, lock))


def unsupported(root: Path, lock: dict[str, Any]) -> list[str]:
    """The files of metrics/ and plots/ in git that are no output, nor part of one, of any stage of dvc.lock."""
    written = {Path(out["path"]) for entry in lock.values() for out in entry.get("outs", [])}
    found = output("git", "ls-files", "-z", "metrics", "plots", folder=root).split("\0")
    files = [Path(name) for name in found if name and not name.endswith(".gitignore")]
    return [str(file) for file in files if (root / file).exists() and written.isdisjoint((file, *file.parents))]


def objects(out: dict[str, Any], *stores: Path) -> dict[str, str]:
    """The outputs, or files of one, by the MD5 of an object that holds them; those of a folder where a store has its listing."""
    path, md5 = out["path"], out["md5"]
    found = {md5: path}
    for store in stores if md5.endswith(".dir") else ():
        with contextlib.suppress(FileNotFoundError, ValueError):  # not here, or damaged
            listing = json.loads((store / md5[:2] / md5[2:]).read_text(encoding="utf-8"))
            return found | {file["md5"]: f"{path}/{file['relpath']}" for file in listing}
    return found


def damaged(root: Path, lock: dict[str, Any]) -> dict[str, list[str]]:
    """The files of DVC's cache whose content differs from the MD5 in their name, each with the outputs it belongs to.

    Other projects may share the cache; what dvc.lock and .dvc files do not name is theirs, or of earlier results.
    """
    with opened(root) as repo:
        cache = Path(repo.cache.local.path)
        own = [{"path": str(out), "md5": out.hash_info.value} for out in repo.index.outs if out.hash_info.value]
    owners: dict[str, set[str]] = {}
    for out in (*own, *(out for entry in lock.values() for out in entry.get("outs", []))):
        for md5, path in objects(out, cache).items():
            owners.setdefault(md5, set()).add(path)
    found = {}
    for md5, paths in sorted(owners.items()):
        place = cache / md5[:2] / md5[2:]
        with contextlib.suppress(FileNotFoundError), place.open("rb") as file:
            if hashlib.file_digest(file, "md5").hexdigest() != md5.removesuffix(".dir"):
                found[str(place)] = sorted(paths)
    return found


def superseded(root: Path, lock: dict[str, Any]) -> list[str]:
    """The files of shipped/ in git that no result of dvc.lock needs."""
    outs = (out for entry in lock.values() for out in entry.get("outs", []))
    named = {md5 for out in outs for md5 in objects(out, root / SHIPPED)}
    files = output("git", "ls-files", "-z", SHIPPED, folder=root).split("\0")
    return [name for name in files if name and "".join(Path(name).parts[-2:]) not in named and (root / name).exists()]


def report(title: str, found: dict[str, list[str]]) -> None:
    """Print one line per reason, with the stages it makes stale."""
    by_reason: dict[str, list[str]] = {}
    for name, why in found.items():
        for reason in why:
            by_reason.setdefault(reason, []).append(name)
    for reason, stages in by_reason.items():
        print(f"{title}: {reason}: {', '.join(stages)}")


def run(_arguments: argparse.Namespace) -> int:
    """Print what is stale or damaged; the exit status."""
    root = Path.cwd()
    found = audit(root)
    report("enabled", found.enabled)
    report("disabled", found.disabled)
    old = f"{len(found.enabled)} enabled and {len(found.disabled)} disabled ones are stale"
    print(f"of {found.count} stages {old}; {len(found.dependent)} more depend on them")
    for path, outs in found.damaged.items():
        print(f"damaged: {path}, in the cache for {', '.join(outs)}")
    for path in found.unsupported:
        print(f"unsupported: no stage of dvc.lock wrote {path}")
    if found.superseded:
        print(f"of earlier results, {len(found.superseded)} files of shipped/ that no result needs any more; to remove them:")
        for path in found.superseded:
            print(f"  git rm {path}")
    if found.damaged:
        stage.say("files of the cache are damaged: delete them and the outputs listed with them, then run `dvc repro`")
    elif found.enabled:
        stage.say("results of enabled stages are stale: run `dvc repro` and commit what it changes")
    elif found.unsupported:
        stage.say("results in git have no run in dvc.lock: run their stages again, or delete them by `git rm`")
    return 1 if found.damaged or found.enabled or found.unsupported else 0
