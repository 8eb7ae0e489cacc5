"""Stage `evaluate_variant`: which pixels the likelihood ratio of a model and its variant sees.

    log p_variant(x) - log p(x) = Σ_ij (map_variant,ij(x) - map_ij(x))    (maps/places.py)

Reads data/maps/<benchmark> and the images there, and the variant's weights. Draws plots/<benchmark>/<variant>/ratio.png, where
the family is one of the three models and the variant a single model of the same unit: ratios to others mean nothing.
"""

import argparse
import json
import math
from pathlib import Path

import numpy as np

from likelihood.common import images, params, stage
from likelihood.figures import benchmark as figures
from likelihood.figures.maps import Maps, Model, maps
from likelihood.figures.titles import kind, model_title
from likelihood.maps.places import has_places, maps_of
from likelihood.models.shared import checkpoint


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("variant", help="a name under variants: in params.yaml")
    parser.add_argument("--benchmark", required=True)
    arguments = parser.parse_args()
    variant, benchmark = arguments.variant, arguments.benchmark
    values = params.load()
    entry, family = params.of_benchmark(values, benchmark), values["variants"][variant]["family"]
    weights = Path("data/models") / benchmark / variant / "best.safetensors"
    if family not in params.MODELS or not weights.exists():
        print(f"no figure of ratios: {variant} has several seeds, or is of none of the three families")
        return
    scored = Path("data/scores") / benchmark / "in"
    facts = {name: json.loads((scored / name / "model.json").read_text(encoding="utf-8")) for name in (family, variant)}
    model = checkpoint.load(weights)[1]
    if not has_places(model) or facts[variant]["unit"] != facts[family]["unit"]:
        print(f"no figure of ratios: {variant} does not say where its likelihood arises, or has another unit than {family}")
        return
    found, source = {}, Path("data/processed") / benchmark
    for name in ("test", *entry["out"]):
        with np.load(Path("data/maps") / benchmark / f"{name}.npz", allow_pickle=False) as file:
            index, bits = file["index"], file[family]
        x = np.array(images.load(source / ("in" if name == "test" else "out") / f"{name}.npy")[index])
        other = maps_of(model, x, facts[variant]["draws"], f"{name}, {variant}") / -math.log(2.0)
        found[name] = Maps(x, {family: bits, variant: other, "difference": bits - other}, {})
    unit = facts[family]["unit"]
    name = kind(variant, family)
    rows = {family: Model(family, unit), variant: Model(name, unit), "difference": Model("difference", unit, signed=True)}
    title = f"what the likelihood ratio of {model_title(family)} and its variant {name} sees"
    figures.save({"ratio": maps(found, rows, entry["in"], title)}, Path("plots") / benchmark / variant)


if __name__ == "__main__":
    stage.run(main)
