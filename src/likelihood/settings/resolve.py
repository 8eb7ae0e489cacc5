"""The settings of every model and variant, resolved: what its training and its scoring read instead of params.yaml.

    model < the family's section < colour.<family>, of images of three channels < benchmarks.<benchmark>.<family> < the variant

A later value wins; an empty one in a family's section inherits. `write` makes, below data/settings/<benchmark>/,

    <model or variant>/training.json    family; variant (whether it is one); seeds; named (whether the variant names them);
                                        mutation; loop; architecture
    <model or variant>/scoring.json     seed, images per set, draws of noise per image
    analyses.json                       seed; images per set that are scored, compared, and used for claims; draws by model;
                                        natural out-sets
    sets.json                           in, out, and the declarations of those that are the user's own

so a changed parameter changes the files that it matters to, and DVC reruns their stages alone.
"""

import json
from pathlib import Path
from typing import Any

import numpy as np

from likelihood.common import images, params
from likelihood.common.params import MODELS
from likelihood.data import base as data
from likelihood.data import own
from likelihood.settings.schema import Loop

OF_SCORING = ("draws",)  # settings of `model` that no training takes
OF_VARIANT = ("family", "seeds", "mutation")  # keys of a variant that are no settings of its model


def merged(values: dict[str, Any], benchmark: str, model: str) -> dict[str, Any]:
    """Every setting of a model or variant in a benchmark; `values` are all of params.yaml."""
    variant = values["variants"].get(model, {})
    family, entry = variant.get("family", model), params.of_benchmark(values, benchmark)
    shape = own.find(entry["in"], values["own"], Path()).shape
    return {
        **values["model"],
        **{key: value for key, value in values[family].items() if value is not None},
        **(values["colour"].get(family, {}) if len(shape) == 3 else {}),
        **entry.get(family, {}),
        **{key: value for key, value in variant.items() if key not in OF_VARIANT},
    }


def training(values: dict[str, Any], benchmark: str, model: str) -> dict[str, Any]:
    """The contents of training.json."""
    variant, settings = values["variants"].get(model, {}), merged(values, benchmark, model)
    loop = {key: settings[key] for key in Loop.model_fields if key not in OF_SCORING}
    return {
        "family": variant.get("family", model),
        "variant": model in values["variants"],
        "seeds": variant.get("seeds", [values["seed"]]),
        "named": "seeds" in variant,
        "mutation": variant.get("mutation", 0.0),
        "loop": loop | {"snapshots": spread(settings["epochs"], settings["snapshots"])},
        "architecture": {key: value for key, value in settings.items() if key not in Loop.model_fields},
    }


def spread(epochs: int, count: int) -> list[int]:
    """`count` different epochs, or all, from the first to the last and about evenly spaced by their logarithms."""
    order = np.arange(min(count, epochs))
    spaced = np.geomspace(epochs, 1, len(order))[::-1].round().astype(int)
    return (np.maximum.accumulate(spaced - order) + order).tolist()


def scoring(values: dict[str, Any], benchmark: str, model: str) -> dict[str, Any]:
    """The contents of scoring.json."""
    return {"seed": values["seed"], "images": values["score"]["images"], "draws": merged(values, benchmark, model)["draws"]}


def sets(values: dict[str, Any], benchmark: str) -> dict[str, Any]:
    """The contents of sets.json."""
    entry = params.of_benchmark(values, benchmark)
    declared = {name: values["own"][name] for name in (entry["in"], *entry["out"]) if name in values["own"]}
    return {"in": entry["in"], "out": entry["out"], "own": declared}


def analyses(values: dict[str, Any], benchmark: str) -> dict[str, Any]:
    """The contents of analyses.json."""
    return {
        "seed": values["seed"],
        "scored": values["score"]["images"],
        "compared": values["evaluate"]["images"],
        "claims": values["claims"]["images"],
        "draws": {model: merged(values, benchmark, model)["draws"] for model in MODELS},
        "natural": [out for out in params.of_benchmark(values, benchmark)["out"] if data.natural(out)],
    }


def files(values: dict[str, Any]) -> dict[str, dict[str, Any]]:
    """The contents of all files, by path below data/settings, of what is enabled."""
    found = {}
    for benchmark in values["run"]:
        found[f"{benchmark}/sets.json"] = sets(values, benchmark)
        found[f"{benchmark}/analyses.json"] = analyses(values, benchmark)
        for model in (*MODELS, *values["run_variants"]):
            found[f"{benchmark}/{model}/training.json"] = training(values, benchmark, model)
            found[f"{benchmark}/{model}/scoring.json"] = scoring(values, benchmark, model)
    return found


def write(values: dict[str, Any], folder: Path) -> None:
    """Write all files into `folder`, in place of what is there, all or nothing."""
    with images.replaced(folder) as partial:
        for path, content in files(values).items():
            (partial / path).parent.mkdir(parents=True, exist_ok=True)
            (partial / path).write_text(json.dumps(content, indent=1, sort_keys=True) + "\n", encoding="utf-8")
