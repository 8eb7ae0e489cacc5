"""What each value of params.yaml may be: a rule for every key, with its words for a message.

The three models' settings have rules of their own here. Those of any other model are read off its constructor's annotations: an
`int` is from 1 on, a `float` is above 0, a `Literal` one of its words, a `bool` true or false. The file is read, not imported, so
nothing of PyTorch is.
"""

import ast
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from likelihood.common import counts
from likelihood.common.errors import InputError

MODELS = ("vae", "pixelcnn", "glow")
FOLDER = Path(__file__).parent / "likelihood" / "models"
OTHERS = tuple(sorted({file.stem for file in FOLDER.glob("*.py")} - {"__init__", "base", "checkpoint", *MODELS}))


@dataclass(frozen=True)
class Rule:
    """What a value may be: a test, and the same in words."""

    allowed: str
    accepts: Callable[[Any], bool]


def number(value: Any) -> bool:  # noqa: ANN401
    """A real number; true and false are not."""
    return isinstance(value, int | float) and not isinstance(value, bool)


def integer(low: int, high: int) -> Rule:
    """An integer within limits."""
    return Rule(f"an integer from {low} to {high}", lambda v: number(v) and isinstance(v, int) and low <= v <= high)


def between(low: float, high: float, ends: bool = False) -> Rule:
    """A real number within limits; `ends` says whether they belong. NaN compares false and is refused."""
    text = f"a number from {low} to {high}" if ends else f"a number above {low} and below {high}"
    return Rule(text, lambda v: number(v) and (low <= v <= high if ends else low < v < high))


def some_of(words: Sequence[str]) -> Rule:
    """A list, perhaps an empty one, of different words among some."""
    return Rule(
        "a list of some of " + ", ".join(words) if words else "an empty list, as there is nothing it could name",
        lambda v: isinstance(v, list) and all(e in words for e in v) and len(set(v)) == len(v),
    )


def choice(*values: str) -> Rule:
    """One of some words."""
    return Rule("one of " + ", ".join(values), lambda v: v in values)


EPOCHS = Rule(
    "a list of different epochs, integers from 1 on", lambda v: isinstance(v, list) and len(set(map(str, v))) == len(v)
    and all(integer(1, 100_000).accepts(e) for e in v)
)  # fmt: skip
NAMES = Rule(
    "a list of different names, at least one",
    lambda v: isinstance(v, list) and v != [] and all(isinstance(e, str) for e in v) and len(set(v)) == len(v),
)
SEEDS = Rule(
    "a list of different integers from 0 on, at least one",
    lambda v: isinstance(v, list) and v != [] and all(integer(0, 2**31 - 1).accepts(e) for e in v) and len(set(v)) == len(v),
)

SHARED: dict[str, Rule] = {
    "lr": between(0.0, 1.0),
    "batch_size": integer(1, 65_536),
    "epochs": integer(1, 100_000),
    "epoch_images": integer(1, 100_000_000),
    "warmup": between(0.0, 1.0, ends=True),
    "clip_norm": between(0.0, 1e9),
    "validation_images": integer(1, 1_000_000),
    "snapshots": EPOCHS,
    "sample_images": integer(1, 1024),
}
OWN: dict[str, dict[str, Rule]] = {
    "vae": {
        "network": choice("dense", "convolutional"),
        "hidden": integer(1, 65_536),
        "latent": integer(1, 4096),
        "likelihood": choice("logistic", "bernoulli"),
    },
    "pixelcnn": {"layers": integer(1, 100), "channels": integer(3, 4096), "pixels": choice("softmax", "mixture")},
    "glow": {
        "scales": integer(1, 8),
        "steps": integer(1, 256),
        "hidden": integer(1, 4096),
        "coupling": choice("affine", "additive"),
        "preprocessing": choice("logit", "scale"),
    },
}
GIVEN = ("self", "shape", "levels")  # arguments of a model that params.yaml does not set
TYPES = {
    "int": integer(1, 1_000_000),
    "float": between(0.0, 1e9),
    "bool": Rule("true or false", lambda v: isinstance(v, bool)),
}


def settings(name: str) -> dict[str, Rule]:
    """The rules of a model's own settings; InputError where one of its annotations says nothing that can be checked."""
    return OWN[name] if name in OWN else {argument: rule for argument, rule in _annotated(FOLDER / f"{name}.py")}


def _annotated(file: Path) -> list[tuple[str, Rule]]:
    """The arguments of a model's constructor, and what their annotations allow."""
    models = [
        node
        for node in ast.parse(file.read_text(encoding="utf-8"), str(file)).body
        if isinstance(node, ast.ClassDef) and any(ast.unparse(base).endswith("LikelihoodModel") for base in node.bases)
    ]
    constructors = [node for node in models[0].body if getattr(node, "name", "") == "__init__"] if len(models) == 1 else []
    if not constructors:
        raise InputError(f"{file} must hold one class that derives from LikelihoodModel and has an __init__ of its own")
    found = []
    for argument in (*constructors[0].args.args, *constructors[0].args.kwonlyargs):
        if argument.arg in GIVEN:
            continue
        text = ast.unparse(argument.annotation) if argument.annotation else "nothing"
        if text.startswith("Literal["):
            rule = choice(*ast.literal_eval(f"[{text.removeprefix('Literal[')}"))
        elif text in TYPES:
            rule = TYPES[text]
        else:
            raise InputError(
                f"{file}: {argument.arg} of __init__ is annotated with {text}; a setting must be {', '.join(TYPES)} or Literal"
            )
        found.append((argument.arg, rule))
    return found


SECTIONS: dict[str, dict[str, Rule]] = {
    "preprocess": {"validation_fraction": between(0.0, 1.0)},
    "score": {"images": integer(counts.LEAST, 10_000_000)},
    "evaluate": {"bootstrap": integer(100, 1_000_000), "images": integer(25, 10_000_000)},
    "plot": {"bins": integer(5, 1000)},
}
OWN_SET: dict[str, Rule] = {
    "height": integer(1, 4096),
    "width": integer(1, 4096),
    "channels": Rule("1 or 3", lambda v: isinstance(v, int) and not isinstance(v, bool) and v in (1, 3)),
    "convert": Rule("true or false", lambda v: isinstance(v, bool)),
}
COMPANIONS = (*(f"{model}_{kind}" for kind in ("seeds", "background") for model in MODELS), "pixelcnn_local")
PROBES = (*(f"{model}_gradients" for model in MODELS), "vae_regret")
