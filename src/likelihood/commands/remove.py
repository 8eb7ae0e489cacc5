"""`likelihood remove`: take back what `likelihood add` has done: the entries of params.yaml, and the pictures in data/own/<name>.

Of links the pictures they lead to stay. What was trained and measured stays as well.
"""

import argparse
import os
from typing import Any

from likelihood.commands import entries
from likelihood.commands.add import OWN
from likelihood.common import params
from likelihood.common.errors import InputError
from likelihood.settings import checks


def uses(values: dict[str, Any], name: str) -> list[str]:
    """The keys of params.yaml that name a set, but for the benchmark that was added with it."""
    pairs = [
        f"{key}.{in_set}"
        for key, found in checks.pairs(values).items()
        for in_set, out in found.items()
        if name in (in_set, *out)
    ]
    benchmarks = [key for key, entry in values["benchmarks"].items() if name in (entry["in"], *entry["out"])]
    return [f"benchmarks.{key}" for key in benchmarks if key != name or values["benchmarks"][key]["in"] != name] + pairs


def run(arguments: argparse.Namespace) -> int:
    """Remove all of it; the exit status."""
    with entries.alone():
        return remove(arguments.name)


def remove(name: str) -> int:
    """What `run` does, alone."""
    values = params.load()
    before = params.FILE.read_bytes().decode()
    checks.check(values)
    if name not in values["own"]:
        known = ", ".join(values["own"]) or "none"
        raise InputError(f"{params.FILE}: own has no {checks.quoted(name)} to be removed; it has {known}")
    added = values["benchmarks"].get(name, {}).get("in") == name
    if added and name in values["run"]:
        raise InputError(f"{params.FILE}: run names {name}, so it is enabled: name other benchmarks there first")
    if others := uses(values, name):
        raise InputError(f"{params.FILE}: {' and '.join(others)} would lack {name}: change that first")
    folder = OWN / name
    if (shared := OWN / f"{name}.dvc").exists():
        raise InputError(f"{shared} shares the pictures: run `dvc remove {shared}` first")
    text, after = before, values
    for section in ("own", "benchmarks") if added else ("own",):
        text = entries.taken(text, section, name)
        after = {**after, section: {key: entry for key, entry in after[section].items() if key != name}}
    checks.check(after)
    held = os.path.lexists(folder)
    aside = folder.with_name(f".{name}.partial")
    try:
        with entries.temporary(aside), entries.changed(before, text, after, folder, aside):
            pass
    except OSError as error:  # of the pictures, which have another name by then
        left = f"{aside} cannot be deleted ({error.strerror}): delete it yourself"
        done = f"{params.FILE} has no {name} any more, but" if name not in params.load()["own"] else "nothing is changed:"
        raise InputError(f"{done} {left}") from None
    print(f"{params.FILE}: own.{name}{f' and benchmarks.{name}' if added else ''} removed")
    if held:
        print(f"{folder} removed")
    return 0
