"""Whether params.yaml is right: by its schema first, then by what several values mean together; one sentence for a mistake."""

import re
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from pydantic import BaseModel, ValidationError

from likelihood.common import params
from likelihood.common.errors import InputError
from likelihood.common.params import MODELS
from likelihood.data import base as data
from likelihood.data import own, pictures
from likelihood.settings import resolve
from likelihood.settings.schema import ANALYSES, NAMES, at, families, parameters, words

# Words that are read as truths, numbers or nothing: by YAML, DVC or, in a table, pandas; in capitals, too.
WORDS = ("yes", "no", "on", "off", "true", "false", "null", "none", "na", "nan", "inf", "infinity")
# What stands beside the sets in tables and metrics.
RESERVED = ("train", "val", "test", "samples", "bits_per_dim", "binary_bits_per_dim", *MODELS)
TAKEN = ("claims", "detectors", "scores")  # and beside the benchmarks
BINARISED = tuple(f"{model}_binarised" for model in MODELS)
ROWS = ("all", "none", "images", "tables", "figures", "contact")
BESIDE = (*ROWS, *MODELS, *BINARISED, *ANALYSES)  # and beside the variants
WITHIN = {"mnist_5k": "mnist"}  # of published sets that are some images of another, which one
LONGEST = 200  # characters of a message that are the user's own


def load(path: Path = params.FILE) -> dict[str, Any]:
    """The values of params.yaml, checked. Raises InputError where one is wrong."""
    values = params.load(path)
    check(values)
    return values


def check(values: dict[str, Any]) -> None:
    """Raise InputError at the first value that is not allowed, naming its key, the value and what is allowed."""
    taken = next((name for name in families() if name in (*ROWS, *TAKEN, *WORDS, *sections()) and name not in MODELS), None)
    if taken:
        raise InputError(f"src/likelihood/models/{taken}: {taken!r} has a meaning of its own; give the family another name")
    try:
        parameters().model_validate(values)
    except ValidationError as error:
        errors = error.errors()
        # A misspelt key is also missing: name what is written.
        unknown = next((each for each in errors if each["type"] == "extra_forbidden"), errors[0])
        raise InputError(f"params.yaml: {sentence(values, unknown)}") from None
    own_sets(values["own"])
    for name in values["benchmarks"]:
        allowed("benchmarks", name, TAKEN)
    for name, variant in values["variants"].items():
        allowed("variants", name, BESIDE)
        family = variant["family"]
        if name != family and not name.startswith(f"{family}_"):
            raise InputError(f"params.yaml: variants.{name} must begin with {family}_, as tables name it by its family")
        if "seeds" not in variant and re.fullmatch("[0-9]+", name.removeprefix(f"{family}_")):
            raise InputError(f"params.yaml: variants.{name} must end in a word, as a number there is a seed of {family}")
        if family not in values:
            raise InputError(f"params.yaml: variants.{name}.family is {family!r}; add a section {family}")
    named("run", values["run"], values["benchmarks"], "benchmarks")
    named("run_variants", values["run_variants"], values["variants"], "variants")
    seeded: dict[str, str] = {}
    for name, variant in values["variants"].items():
        if "seeds" in variant and (other := seeded.setdefault(variant["family"], name)) != name:
            one = f"tables name them by their family, {variant['family']}: list all seeds in one of them"
            raise InputError(f"params.yaml: variants.{other} and variants.{name} are both of several seeds; {one}")
    for name in values["run_variants"]:
        if values["seed"] in values["variants"][name].get("seeds", []):
            own_seeds = "which is `seed` itself; a variant needs seeds of its own"
            raise InputError(f"params.yaml: variants.{name}.seeds holds {values['seed']}, {own_seeds}")
    for name in values["benchmarks"]:
        benchmark(name, values)
    for key, found in pairs(values).items():
        for in_set, out in found.items():
            known(key, in_set, values)
            for one in out:
                known(f"{key}.{in_set}", one, values)
                if one == in_set or not data.natural(one):
                    why = "that very set" if one == in_set else "computed, and no pair of pictures"
                    raise InputError(f"params.yaml: {key}.{in_set} holds {one!r}, which is {why}; name other sets of pictures")
    for in_set, out in values["rank"]["near"].items():
        if both := set(out) & set(values["rank"]["development"].get(in_set, [])):
            raise InputError(f"params.yaml: rank.near.{in_set} has {min(both)}, and so has rank.development: a pair has one use")


def pairs(values: dict[str, Any]) -> dict[str, dict[str, list[str]]]:
    """Every list of pairs of data sets, out-sets by in-set, by its key in params.yaml."""
    uses = {f"rank.{use}": found for use, found in values["rank"].items()}
    return {"claims.pairs": values["claims"]["pairs"], **uses}


def sections() -> tuple[str, ...]:
    """The keys of params.yaml that are not families."""
    return tuple(name for name in parameters().model_fields if name not in families())


def sentence(values: dict[str, Any], error: dict[str, Any]) -> str:
    """What pydantic found, as a sentence."""
    place = tuple(
        part for k, part in enumerate(error["loc"]) if not (k == 2 and error["loc"][0] == "variants" and part in families())
    )
    key = ".".join(shown(part) for part in place if isinstance(part, str))
    if error["type"] == "missing":
        return f"{key} is missing"
    if error["type"] == "extra_forbidden":
        section = at(error["loc"][:-1])[0]
        return f"{key} is not a known key; known here: {', '.join(section.model_fields)}"
    if error["type"] == "union_tag_not_found" and isinstance(error["input"], dict):
        return f"{key}.family is missing"
    if error["type"] == "union_tag_invalid":
        return f"{key}.family is {quoted(error['input']['family'])}; it must be one of {', '.join(families())}"
    if place[-1] == "[key]":
        return (
            f"{'.'.join(shown(part) for part in place[:-1])} must be a name that begins with a letter and that YAML reads as text"
        )
    kind, field = at(error["loc"])
    last = next((k for k, part in enumerate(place) if isinstance(part, int)), None)  # of a list: the whole list is named
    value = error["input"]
    if last is not None:
        kind, field = at(error["loc"][: len(error["loc"]) - (len(place) - last)])
        value = values
        for part in place[:last]:
            value = value[part]
    if field is None or (isinstance(kind, type) and issubclass(kind, BaseModel)):
        return f"{key} is {quoted(value)}; it must hold keys and values"
    if error["type"] in ("dict_type", "model_type"):
        return f"{key} is {quoted(value)}; it must hold keys and values"
    if error["type"] == "too_short" and key == "benchmarks":
        return "benchmarks must map names to benchmarks, at least one"
    return f"{key} is {quoted(value)}; it must be {words(field)}"


def named(key: str, names: list[str], defined: dict[str, Any], section: str) -> None:
    """Refuse a name that a section does not define."""
    for name in names:
        if name not in defined:
            known = ", ".join(defined) or "none"
            raise InputError(f"params.yaml: {key} names {quoted(name)}, which {section} does not define; defined: {known}")


def allowed(section: str, name: str, taken: Sequence[str]) -> None:
    """Refuse a name of an entry that is none for files and tables, or that means something else."""
    if not re.fullmatch(NAMES[section], name) or name.lower() in (*taken, *WORDS):
        characters = "a-z, A-Z, 0-9 and _" if "A-Z" in NAMES[section] else "a-z, 0-9 and _"
        others = ", ".join(dict.fromkeys((*taken, *WORDS)))
        raise InputError(
            f"params.yaml: {section}.{shown(name)} must be a name of up to 100 characters from {characters} that begins with a"
            f" letter, and none of {others}"
        )


def own_sets(declared: dict[str, Any]) -> None:
    """Refuse names of the user's own data sets that mean something else."""
    for name in declared:
        allowed("own", name, (*RESERVED, *data.names()))


def known(key: str, name: str, values: dict[str, Any]) -> None:
    """Refuse a data set that does not exist."""
    sets = [*data.names(), *values["own"]]
    if name not in sets:
        raise InputError(f"params.yaml: {key} is {quoted(name)}; it must be one of {', '.join(sets)}")


def benchmark(name: str, values: dict[str, Any]) -> None:
    """Check one entry of `benchmarks`, and the settings that its models and enabled variants get."""
    here, entry = f"benchmarks.{name}", values["benchmarks"][name]
    for key, given in (("in", [entry["in"]]), ("out", entry["out"])):
        for one in given:
            known(f"{here}.{key}", one, values)
    same_shape(here, entry, values["own"])
    for family in families():
        if family in entry and family not in values:
            raise InputError(f"params.yaml: {here}.{family} changes what is not there; add a section {family}")
    height, width, *_ = own.find(entry["in"], values["own"], Path()).shape
    for model in (*MODELS, *values["run_variants"]):
        found = resolve.training(values, name, model)
        family, loop = found["family"], found["loop"]
        if loop["batch_size"] > loop["epoch_images"]:
            raise InputError(
                f"params.yaml: {model}.batch_size is {loop['batch_size']} for benchmark {name}; it must not exceed"
                f" epoch_images, {loop['epoch_images']}"
            )
        scales = found["architecture"].get("scales", 0) if family == "glow" else 0
        if height % 2**scales or width % 2**scales:
            halved = f"images of {height}×{width} cannot be halved as often"
            raise InputError(f"params.yaml: {model}.scales is {scales} for benchmark {name}, but {halved}")


def same_shape(here: str, entry: dict[str, Any], declared: dict[str, Any]) -> None:
    """Refuse an in-set that cannot be trained on, and out-sets that are the in-set or have other shapes."""
    in_set = own.find(entry["in"], declared, Path())
    if isinstance(in_set, data.Made):
        raise InputError(f"params.yaml: {here}.in is {entry['in']!r}, which is computed; an in-set must consist of pictures")
    if isinstance(in_set, data.Published | data.Part) and "train" not in in_set.splits:
        raise InputError(f"params.yaml: {here}.in is {entry['in']!r}, which has no training images; it can be an out-set")
    for out in entry["out"]:
        if out == entry["in"]:
            raise InputError(f"params.yaml: {here}.out holds {out!r}, which is its in-set; name other sets")
        out_set = own.find(out, declared, Path())
        if shared(entry["in"], out):
            raise InputError(
                f"params.yaml: {here}.out holds {out!r}, which has images of its in-set {entry['in']!r}; name other sets"
            )
        if not isinstance(out_set, data.Made) and out_set.shape != in_set.shape:
            shapes = f"{entry['in']} has {in_set.shape}, {out} has {out_set.shape}"
            raise InputError(f"params.yaml: {here} mixes image shapes: {shapes}; all sets of one benchmark must have the same")


def shared(one: str, other: str) -> bool:
    """Whether two published sets, or parts of them, are known to have images in common."""
    sets = [data.get(name) if name in data.names() else None for name in (one, other)]
    parts = [each for each in sets if isinstance(each, data.Part)]
    names = [each.of if isinstance(each, data.Part) else name for each, name in zip(sets, (one, other), strict=True)]
    wholes = [WITHIN.get(name, name) for name in names]
    if wholes[0] != wholes[1] or len(parts) < 2:
        return wholes[0] == wholes[1]
    if all(each.classes for each in parts) and not set(parts[0].classes) & set(parts[1].classes):
        return False
    places = [{(split, int(place)) for split, found in each.positions.values() for place in found} for each in parts]
    return not places[0].isdisjoint(places[1])


def shown(key: object) -> str:
    """A key as a message shows it: as a name of a file, and not too long."""
    return _cut(pictures.shown(str(key)))


def quoted(value: object) -> str:
    """A value likewise, as Python writes it, which is printable."""
    return _cut(repr(value))


def _cut(text: str) -> str:
    return text if len(text) <= LONGEST else text[:LONGEST] + "…"
