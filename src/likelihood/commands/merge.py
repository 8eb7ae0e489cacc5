"""`likelihood merge`: unite the dvc.lock of two branches cell by cell, while `git merge` has stopped at its conflicts.

Lines cannot be merged by hand: cells that two branches have added stand at the same place, and taking one side loses the other's
results. A cell is ours where we changed it since the branches parted, and otherwise theirs. What both changed differently stays
ours and is named: the next `dvc repro` runs it again if anything it reads is not as it says.
"""

import argparse
from pathlib import Path
from typing import Any

from dvc.exceptions import DvcException
from dvc.utils.serialize import dumps_yaml, loads_yaml

from likelihood.commands import audit
from likelihood.commands.entries import alone, put
from likelihood.common.errors import InputError

LOCK = Path("dvc.lock")
SIDES = {1: "base", 2: "ours", 3: "theirs"}  # as git numbers and calls them
NEXT = """Next: settle the conflicts in params.yaml and other files by hand; of what stages wrote, take either side, as
  git checkout --ours metrics plots
and then
  dvc pull
  dvc repro
  git add -A && git commit"""
Cells = dict[str, Any]


def sides(root: Path) -> dict[str, dict[str, Any]]:
    """The content of dvc.lock by side of the merge, the base's empty where it had none; InputError where there is no conflict."""
    listed = audit.output("git", "ls-files", "--unmerged", "-z", "--", str(LOCK), folder=root).split("\0")
    numbers = {int(entry.split()[2]) for entry in listed if entry}
    if not numbers:
        raise InputError(f"git has no conflict in {LOCK}: run this in the folder of the project, while `git merge` waits")
    if not numbers >= {2, 3}:
        raise InputError(f"one of both branches has no {LOCK}: keep the other's, by `git add {LOCK}`")
    found = {}
    for number, name in SIDES.items():
        text = audit.output("git", "show", f":{number}:./{LOCK}", folder=root) if number in numbers else "stages: {}"
        try:
            found[name] = loads_yaml(text)
            dict(found[name]["stages"])
        except (DvcException, KeyError, TypeError, ValueError):
            way = f"take one side whole by `git checkout --ours {LOCK}` or `--theirs`"
            raise InputError(f"{LOCK} of the side {name!r} is not as DVC writes it: {way}") from None
    return found


def united(base: Cells, ours: Cells, theirs: Cells) -> tuple[Cells, list[str]]:
    """The cells of both sides, ours first, and the names of those that both changed differently, which are ours."""
    cells, both = {}, []
    for name in dict.fromkeys((*ours, *theirs, *base)):
        before, mine, other = (side.get(name) for side in (base, ours, theirs))
        if mine not in (before, other) and other != before:
            both.append(name)
        chosen = other if mine == before else mine
        if chosen is not None:
            cells[name] = chosen
    return cells, both


def run(_arguments: argparse.Namespace) -> int:
    """Write dvc.lock; the exit status."""
    found = sides(Path())
    ours, theirs = (found[name]["stages"] for name in ("ours", "theirs"))
    cells, both = united(found["base"]["stages"], ours, theirs)
    with alone():
        put(LOCK, dumps_yaml({**found["ours"], "stages": cells}).encode())
    taken = sum(cells.get(name) != ours.get(name) for name in ours.keys() | theirs.keys())
    print(f"{LOCK}: {len(cells)} cells, {taken} of them as the other branch has them")
    for name in both:
        print(f"changed by both, kept as ours: {name}")
    print(NEXT)
    return 0
