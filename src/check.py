"""Stage `check`: refuse a wrong params.yaml in one sentence before anything is fetched or trained.

It depends on all of params.yaml and its output never changes, so it runs after every edit and makes nothing else run.
"""

import os
import re
from pathlib import Path
from typing import Any

from likelihood.common import params, stage
from likelihood.common.errors import InputError
from likelihood.data import base as data
from likelihood.data import origin, own
from likelihood.settings.rules import (
    COMPANIONS,
    MODELS,
    NAMES,
    OTHERS,
    OWN_SET,
    PROBES,
    SECTIONS,
    SEEDS,
    SHARED,
    Rule,
    between,
    choice,
    integer,
    settings,
    some_of,
)

OUTPUT, IMAGES = Path("data/checked"), Path("data/own")
RESERVED = ("train", "val", "test", "bits_per_dim", "nats")  # what stands beside the sets in tables and metrics
NO_MODELS = ("all", "none", "images")  # and beside the models
TAKEN = ("claims", "detectors", "scores")  # and beside the benchmarks
LONGEST = 200  # characters of a message that are the user's own
TOP = ("seed", "run", "benchmarks", "own", "model", *MODELS, "companions", "probes", "others", "claims", *SECTIONS)


def check(values: dict[str, Any]) -> None:
    """Raise InputError at the first value that is not allowed, naming its key, the value and what is allowed."""
    known_keys("", values, required=TOP, known=(*TOP, *OTHERS))
    taken = next((name for name in OTHERS if name in (*TOP, *NO_MODELS)), None)
    if taken:
        raise InputError(f"src/likelihood/models/{taken}.py: {taken!r} has a meaning of its own; give the model another name")
    allow("seed", values["seed"], integer(0, 2**31 - 1))
    allow("run", values["run"], NAMES)
    section("model", values["model"], SHARED, required=tuple(SHARED))
    extras("others", values, OTHERS, {})
    names = values["others"]["names"]
    known_keys("", values, required=(*TOP, *names), known=(*TOP, *OTHERS))
    for model in (name for name in (*MODELS, *OTHERS) if name in values):
        own_settings = settings(model)
        section(model, values[model], SHARED | own_settings, required=tuple(own_settings), inherits=tuple(SHARED))
    for name, rules in SECTIONS.items():
        subsections = ("draws",) if name == "score" else ()
        known_keys(name, values[name], required=(*rules, *subsections))
        for key, rule in rules.items():
            allow(f"{name}.{key}", values[name][key], rule)
    draws = dict.fromkeys((*MODELS, *OTHERS), integer(1, 100_000))
    section("score.draws", values["score"]["draws"], draws, required=(*MODELS, *names))
    own_sets(values["own"])
    if not isinstance(values["benchmarks"], dict) or not values["benchmarks"]:
        raise InputError("params.yaml: benchmarks must map names to benchmarks, at least one")
    for name in values["benchmarks"]:
        if not isinstance(name, str) or not re.fullmatch(r"\w[\w-]{0,99}", name, re.ASCII) or name in TAKEN:
            words = "a name of up to 100 of a-z, A-Z, 0-9, _ and -, and none of"
            raise InputError(f"params.yaml: benchmarks.{shown(name)} must be {words} {', '.join(TAKEN)}")
        benchmark(name, values)
    for name in values["run"]:
        if name not in values["benchmarks"]:
            defined = ", ".join(values["benchmarks"])
            raise InputError(f"params.yaml: run names {quoted(name)}, which benchmarks does not define; defined: {defined}")
    extras("companions", values, COMPANIONS, {"seeds": SEEDS, "mutation": between(0.0, 1.0)})
    if values["companions"]["benchmarks"] and values["seed"] in values["companions"]["seeds"]:
        raise InputError(
            f"params.yaml: companions.seeds holds {values['seed']}, which is `seed` itself; a companion needs a seed of its own"
        )
    extras("probes", values, PROBES, {})
    lists = dict.fromkeys(("benchmarks", "curvature"), some_of(values["run"]))
    section("claims", values["claims"], lists | {"images": integer(2, 1_000_000)}, required=(*lists, "images"))


def extras(here: str, values: dict[str, Any], known: tuple[str, ...], rules: dict[str, Rule]) -> None:
    """Check which additional models or probes are named, and for which of the enabled benchmarks."""
    rules = {"benchmarks": some_of(values["run"]), "names": some_of(known), **rules}
    section(here, values[here], rules, required=tuple(rules))
    if bool(values[here]["benchmarks"]) != bool(values[here]["names"]):
        raise InputError(f"params.yaml: {here} needs both benchmarks and names, or neither")


def own_sets(declared: Any) -> None:  # noqa: ANN401
    """Check the declarations of the user's own data sets."""
    if not isinstance(declared, dict):
        raise InputError(f"params.yaml: own is {quoted(declared)}; it must map names to data sets, or be {{}}")
    for name in declared:
        if not isinstance(name, str) or not re.fullmatch(r"[a-z0-9_]{1,100}", name) or name in (*RESERVED, *data.names()):
            taken = ", ".join((*RESERVED, *data.names()))
            raise InputError(
                f"params.yaml: own.{shown(name)} must be a name of a-z, 0-9 and _, and none of {taken}, nor longer than 100"
            )
        section(f"own.{name}", declared[name], OWN_SET, required=tuple(OWN_SET))


def benchmark(name: str, values: dict[str, Any]) -> None:
    """Check one entry of `benchmarks`, and the models' settings that come of it."""
    here, entry = f"benchmarks.{name}", values["benchmarks"][name]
    others = values["others"]["names"] if name in values["others"]["benchmarks"] else []
    known_keys(here, entry, required=("in", "out", *MODELS, *others), known=("in", "out", *MODELS, *OTHERS))
    sets = [*data.names(), *values["own"]]
    allow(f"{here}.in", entry["in"], choice(*sets))
    allow(f"{here}.out", entry["out"], Rule("a list of different data sets: " + ", ".join(sets), NAMES.accepts))
    for out in entry["out"]:
        allow(f"{here}.out", out, choice(*sets))
    same_shape(here, entry, values["own"])
    for model in (key for key in entry if key not in ("in", "out")):
        section(f"{here}.{model}", entry[model], SHARED | settings(model))
        if model not in values:
            raise InputError(f"params.yaml: {here}.{model} changes what is not there; add a section {model}")
        loop = params.of_model(values, model, name)
        if loop["batch_size"] > loop["epoch_images"]:
            raise InputError(
                f"params.yaml: {model}.batch_size is {loop['batch_size']} for benchmark {name}; it must not exceed"
                f" epoch_images, {loop['epoch_images']}"
            )
    (height, width, *_), scales = (
        own.find(entry["in"], values["own"], Path()).shape,
        params.of_model(values, "glow", name)["scales"],
    )
    if height % 2**scales or width % 2**scales:
        raise InputError(
            f"params.yaml: glow.scales is {scales} for benchmark {name}, but images of {height}×{width} cannot be halved as often"
        )


def same_shape(here: str, entry: dict[str, Any], declared: dict[str, Any]) -> None:
    """Refuse an in-set that cannot be trained on, and out-sets that are the in-set or have other shapes."""
    in_set = own.find(entry["in"], declared, Path())
    if isinstance(in_set, data.Made):
        raise InputError(f"params.yaml: {here}.in is {entry['in']!r}, which is made up; an in-set is of pictures")
    if isinstance(in_set, data.Published) and "train" not in in_set.splits:
        raise InputError(f"params.yaml: {here}.in is {entry['in']!r}, which has no training images; it can be an out-set")
    for out in entry["out"]:
        if out == entry["in"]:
            raise InputError(f"params.yaml: {here}.out holds {out!r}, which is its in-set; name other sets")
        out_set = own.find(out, declared, Path())
        if not isinstance(out_set, data.Made) and out_set.shape != in_set.shape:
            shapes = f"{entry['in']} has {in_set.shape}, {out} has {out_set.shape}"
            raise InputError(f"params.yaml: {here} mixes image shapes: {shapes}; all sets of one benchmark must have the same")


def section(
    name: str, entry: Any, rules: dict[str, Rule], required: tuple[str, ...] = (), inherits: tuple[str, ...] = ()  # noqa: ANN401
) -> None:  # fmt: skip
    """Check a mapping of values; those of `inherits` may be empty."""
    known_keys(name, entry, required, tuple(rules))
    for key, value in entry.items():
        if not (value is None and key in inherits):
            allow(f"{name}.{key}", value, rules[key])


def known_keys(name: str, entry: Any, required: tuple[str, ...], known: tuple[str, ...] = ()) -> None:  # noqa: ANN401
    """Refuse what is not a mapping, a key that is not known, and a missing one."""
    if not isinstance(entry, dict):
        raise InputError(f"params.yaml: {name} is {quoted(entry)}; it must hold keys and values")
    prefix = f"{name}." if name else ""
    for key in entry:
        if key not in (known or required):
            raise InputError(f"params.yaml: {prefix}{shown(key)} is not a known key; known here: {', '.join(known or required)}")
    for key in required:
        if key not in entry:
            raise InputError(f"params.yaml: {prefix}{key} is missing")


def allow(key: str, value: Any, rule: Rule) -> None:  # noqa: ANN401
    """Refuse a value that its rule does not accept."""
    if not rule.accepts(value):
        raise InputError(f"params.yaml: {key} is {quoted(value)}; it must be {rule.allowed}")


def shown(text: object) -> str:
    """A key as a message shows it: on one line, without what a terminal would obey, and not too long."""
    text = "".join(letter if letter.isprintable() else ascii(letter)[1:-1] for letter in str(text))
    return text if len(text) <= LONGEST else text[:LONGEST] + "…"


def quoted(value: object) -> str:
    """A value likewise, as Python writes it."""
    return shown(repr(value))


def main() -> None:
    """Check params.yaml and leave the constant output."""
    values = params.load()
    check(values)
    origin.bring()
    for name in values["own"]:  # before DVC tries to hash them
        own.find(name, values["own"], IMAGES).hashable()
    OUTPUT.parent.mkdir(exist_ok=True)
    partial = OUTPUT.with_name(f".{OUTPUT.name}.partial")
    partial.write_text("params.yaml was checked\n", encoding="utf-8")
    os.replace(partial, OUTPUT)


if __name__ == "__main__":
    stage.run(main)
