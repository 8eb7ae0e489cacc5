"""What each value of params.yaml may be: a rule for every key, with its words for a message."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

MODELS = ("vae", "pixelcnn", "glow")


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
        "a list of some of " + ", ".join(words),
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
SECTIONS: dict[str, dict[str, Rule]] = {
    "preprocess": {"validation_fraction": between(0.0, 1.0)},
    "score": {"images": integer(2, 10_000_000)},
    "evaluate": {"bootstrap": integer(100, 1_000_000), "images": integer(25, 10_000_000)},
    "plot": {"bins": integer(5, 1000)},
}
OWN_SET: dict[str, Rule] = {
    "height": integer(1, 4096),
    "width": integer(1, 4096),
    "channels": Rule("1 or 3", lambda v: number(v) and v in (1, 3)),
    "convert": Rule("true or false", lambda v: isinstance(v, bool)),
}
COMPANIONS = (*(f"{model}_{kind}" for kind in ("seeds", "background") for model in MODELS), "pixelcnn_local")
PROBES = (*(f"{model}_gradients" for model in MODELS), "vae_regret")
