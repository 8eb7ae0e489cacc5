"""What params.yaml may hold: one pydantic section per part of the file; a family's settings are read off its constructor.

A setting is declared once, as an argument of the constructor in models/<family>/model.py: an `int` is from 1 on, a `float` above
0, a `Literal` one of its words, a `bool` true or false; `Annotated[int, Field(ge=1, le=8)]` says more. The file is parsed, not
imported, so nothing of PyTorch is. `python -m likelihood.settings.schema` writes the JSON schema, by which editors complete and
check the file.
"""

import ast
import functools
import json
import operator
import re
from pathlib import Path
from types import NoneType, UnionType
from typing import Annotated, Any, Literal, get_args, get_origin

from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict, Field, create_model
from pydantic.fields import FieldInfo

from likelihood.common import counts
from likelihood.common.errors import InputError
from likelihood.common.params import MODELS

FOLDER = Path(__file__).resolve().parents[1] / "models"
SCHEMA = Path(__file__).with_name("params.schema.json")
GIVEN = ("self", "shape", "levels")  # arguments of a constructor that params.yaml does not set
ANALYSES = ("gradients", "vae_regret", "residuals", "glow_lid", "corruptions", "samples", "claims")
LIMITS = {"ge": "from", "gt": "above", "le": "to", "lt": "below"}  # in words
# What a name of an entry must match: it stands in names of files, and in tables, where one of digits would be read as a number.
NAMES = {
    "own": "[a-z][a-z0-9_]{0,99}",
    "benchmarks": "[a-zA-Z][a-zA-Z0-9_]{0,99}",  # no -, by which DVC joins the parts of a cell's name
    "variants": "[a-z][a-z0-9_]{0,99}",
}
PLAIN = {"int": Annotated[int, Field(ge=1, le=1_000_000)], "float": Annotated[float, Field(gt=0.0, lt=1e9)], "bool": bool}


class Section(BaseModel):
    """Keys and values; a key that is not known is refused, and no value is turned into another kind."""

    model_config = ConfigDict(extra="forbid", frozen=True, strict=True)


def _different(values: list[Any]) -> list[Any]:
    if len(set(values)) < len(values):
        raise ValueError("an entry is repeated")
    return values


def _no_truth(value: Any) -> Any:  # noqa: ANN401
    if isinstance(value, bool):  # for Python, True is 1
        raise ValueError("a truth is no number")
    return value


def _listed(item: Any, words: str, least: int = 0) -> Any:  # noqa: ANN401
    """The type of a list of different items, with words for a message."""
    return Annotated[list[item], AfterValidator(_different), Field(min_length=least, description=words)]


Seed = Annotated[int, Field(ge=0, le=2**31 - 1)]
Seeds = _listed(Seed, "a list of different integers from 0 on, at least one", least=1)
Names = _listed(str, "a list of different names, at least one", least=1)
Mutation = Annotated[float, Field(gt=0.0, lt=1.0)]


class Loop(Section):
    """Settings of every training, and of scoring with what it gives."""

    lr: Annotated[float, Field(gt=0.0, lt=1.0)]
    muon_lr: Annotated[float, Field(gt=0.0, lt=1.0)]
    weight_decay: Annotated[float, Field(ge=0.0, le=1.0)]
    batch_size: Annotated[int, Field(ge=1, le=65_536)]
    epochs: Annotated[int, Field(ge=1, le=100_000)]
    epoch_images: Annotated[int, Field(ge=1, le=100_000_000)]
    warmup: Annotated[float, Field(ge=0.0, le=1.0)]
    clip_norm: Annotated[float, Field(gt=0.0, lt=1e9)]
    validation_images: Annotated[int, Field(ge=1, le=1_000_000)]
    snapshots: Annotated[int, Field(ge=1, le=1000)]
    sample_images: Annotated[int, Field(ge=1, le=1024)]
    draws: Annotated[int, Field(ge=1, le=100_000)]


class OwnSet(Section):
    """A set of the user's own images."""

    height: Annotated[int, Field(ge=1, le=4096)]
    width: Annotated[int, Field(ge=1, le=4096)]
    channels: Annotated[Literal[1, 3], BeforeValidator(_no_truth)]
    convert: bool


class Preprocess(Section):
    """How images are split."""

    validation_fraction: Annotated[float, Field(gt=0.0, lt=1.0)]


class Score(Section):
    """How many images stand for a set."""

    images: Annotated[int, Field(ge=counts.LEAST, le=10_000_000)]


class Claims(Section):
    """The analysis `claims`, and the pairs of data sets that the page of claims compares."""

    images: Annotated[int, Field(ge=2, le=1_000_000)]
    pairs: dict[str, Names]


class Rank(Section):
    """The pairs of data sets that are for development, and the near ones; all others are far."""

    development: dict[str, Names]
    near: dict[str, Names]


class Evaluate(Section):
    """Detection metrics."""

    bootstrap: Annotated[int, Field(ge=100, le=1_000_000)]
    images: Annotated[int, Field(ge=25, le=10_000_000)]


class Plot(Section):
    """Figures."""

    bins: Annotated[int, Field(ge=5, le=1000)]


@functools.cache
def families() -> tuple[str, ...]:
    """The folders of models/ that hold a family, the three of every benchmark first."""
    found = {file.parent.name for file in FOLDER.glob("*/model.py")}
    return (*MODELS, *sorted(found - set(MODELS)))


@functools.cache
def settings(family: str) -> dict[str, Any]:
    """The types of a family's own settings, by name; InputError where one of its annotations cannot be checked."""
    file = FOLDER / family / "model.py"
    models = [
        node
        for node in ast.parse(file.read_text(encoding="utf-8"), str(file)).body
        if isinstance(node, ast.ClassDef) and any(ast.unparse(base).endswith("LikelihoodModel") for base in node.bases)
    ]
    constructors = [node for node in models[0].body if getattr(node, "name", "") == "__init__"] if len(models) == 1 else []
    if not constructors:
        raise InputError(f"{file} must hold one class that derives from LikelihoodModel and has an __init__ of its own")
    arguments = (*constructors[0].args.args, *constructors[0].args.kwonlyargs)
    return {argument.arg: _type(file, argument) for argument in arguments if argument.arg not in GIVEN}


def _type(file: Path, argument: ast.arg) -> Any:  # noqa: ANN401
    """The type that an argument's annotation stands for; it is read, not evaluated."""
    node, text = argument.annotation, ast.unparse(argument.annotation) if argument.annotation else "nothing"
    if text in PLAIN:
        return PLAIN[text]
    if match := re.fullmatch(r"Literal\[(.*)\]", text):
        return Literal[ast.literal_eval(f"({match[1]},)")]
    if isinstance(node, ast.Subscript) and isinstance(node.slice, ast.Tuple) and ast.unparse(node.value) == "Annotated":
        kind, limits = node.slice.elts
        if ast.unparse(kind) in ("int", "float") and isinstance(limits, ast.Call) and ast.unparse(limits.func) == "Field":
            found = {keyword.arg: ast.literal_eval(keyword.value) for keyword in limits.keywords}
            return Annotated[int if ast.unparse(kind) == "int" else float, Field(**found)]
    kinds = f"{', '.join(PLAIN)}, Literal or Annotated[int, Field(ge=…, le=…)]"
    raise InputError(f"{file}: {argument.arg} of __init__ is annotated with {text}; a setting must be {kinds}")


def _section(name: str, required: dict[str, Any], optional: dict[str, Any], empty: bool = False) -> type[Section]:
    """A section of some keys that must be there and some that may; `empty`: of the latter a value may be empty."""
    fields: dict[str, Any] = {key: (kind, ...) for key, kind in required.items()}
    fields |= {key: (kind | None if empty else kind, None) for key, kind in optional.items()}
    return create_model(name, __base__=Section, **fields)


def _entries(section: str, kind: Any) -> Any:  # noqa: ANN401
    """The type of a section of entries by name; editors learn what a name may be, which checks.py says in a sentence."""
    names = {"propertyNames": {"pattern": f"^{NAMES[section]}$"}}
    return Annotated[dict[str, kind], Field(json_schema_extra=names)]


def _loop() -> dict[str, Any]:
    fields = Loop.model_fields.items()
    return {key: Annotated[field.annotation, *field.metadata, Field(description=field.description)] for key, field in fields}


@functools.cache
def parameters() -> type[Section]:
    """The whole of params.yaml."""
    loop = _loop()
    changes = {family: _section(f"{family}_changes", {}, loop | settings(family)) for family in families()}
    of_variant = loop | {"seeds": Seeds, "mutation": Mutation}
    variants = [_section(f"{name}_variant", {"family": Literal[name]}, of_variant | settings(name)) for name in families()]
    variant = Annotated[functools.reduce(operator.or_, variants), Field(discriminator="family")]
    benchmark = _section("benchmark", {"in": str, "out": Names}, changes)
    own = {family: _section(family, settings(family), loop, empty=True) for family in families()}
    return create_model(
        "params",
        __base__=Section,
        seed=(Seed, ...),
        run=(Names, ...),
        run_variants=(_listed(str, "a list of different variants"), ...),
        run_analyses=(_listed(Literal[ANALYSES], "a list of some of " + ", ".join(ANALYSES)), ...),
        benchmarks=(Annotated[_entries("benchmarks", benchmark), Field(min_length=1)], ...),
        variants=(_entries("variants", variant), ...),
        own=(_entries("own", OwnSet), ...),
        preprocess=(Preprocess, ...),
        model=(Loop, ...),
        **{family: (kind, ... if family in MODELS else None) for family, kind in own.items()},
        colour=(_section("colour", {}, changes), ...),
        score=(Score, ...),
        claims=(Claims, ...),
        rank=(Rank, ...),
        evaluate=(Evaluate, ...),
        plot=(Plot, ...),
    )


def at(place: tuple[str | int, ...]) -> tuple[Any, FieldInfo | None]:
    """The type that stands at a place of params.yaml, and its field where it is a key of a section."""
    kind: Any = parameters()
    field = None
    for part in place:
        while get_origin(kind) is Annotated or NoneType in get_args(kind):
            kind = next(each for each in get_args(kind) if each is not NoneType)
        if isinstance(kind, type) and issubclass(kind, BaseModel):
            field = kind.model_fields.get(str(part))
            kind = field.annotation if field else None
        elif get_origin(kind) is dict:
            kind = get_args(kind)[1]
            field = next((extra for extra in get_args(kind) if isinstance(extra, FieldInfo) and extra.description), None)
        elif get_origin(kind) is list:
            kind, field = get_args(kind)[0], None
        elif get_origin(kind) is UnionType:  # of variants: `part` is the family
            kind = next(each for each in get_args(kind) if each.__name__ == f"{part}_variant")
    return kind, field


def words(field: FieldInfo) -> str:
    """What a value may be."""
    inner = (extra for each in get_args(field.annotation) for extra in get_args(each) if isinstance(extra, FieldInfo))
    if described := field.description or next((extra.description for extra in inner if extra.description), None):
        return described
    kind = next((each for each in get_args(field.annotation) if each is not NoneType), field.annotation)
    kind = field.annotation if get_origin(field.annotation) is Literal else kind
    limits = {name: getattr(each, name) for each in _metadata(field) for name in LIMITS if getattr(each, name, None) is not None}
    base = get_args(kind)[0] if get_origin(kind) is Annotated else kind
    if get_origin(base) is Literal:
        values = [str(value) for value in get_args(base)]
        return f"one of {', '.join(values)}" if isinstance(get_args(base)[0], str) else " or ".join(values)
    if base in (bool, str):
        return "true or false" if base is bool else "a name"
    texts = [f"{LIMITS[name]} {limit}" for name, limit in limits.items()]
    joined = (" " if {"ge", "le"} <= limits.keys() else " and ").join(texts)
    return f"{'an integer' if base is int else 'a number'} {joined}".strip()


def _metadata(field: FieldInfo) -> list[Any]:
    found = list(field.metadata)
    for each in (field.annotation, *get_args(field.annotation)):
        if get_origin(each) is Annotated:
            for extra in get_args(each)[1:]:
                found += extra.metadata if isinstance(extra, FieldInfo) else [extra]
    return found


def write() -> None:
    """Write the JSON schema."""
    SCHEMA.write_text(json.dumps(parameters().model_json_schema(by_alias=False), indent=1) + "\n", encoding="utf-8")


if __name__ == "__main__":
    write()
