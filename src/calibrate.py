"""Stages `evaluate`, `evaluate_variant`: what a detector needs besides the weights, and how often it raises a false alarm.

Reads data/scores/<benchmark>/in and data/processed/<benchmark>/in. The scored validation images are split in two, by a
permutation drawn from `seed`. Writes to data/detectors/<benchmark>, or <benchmark>.<variant> for one variant, without any image,

    reference.parquet      statistics and code lengths of the half that scores are fitted on
    calibration.parquet    the levels of every score on the other half (likelihood/evaluation/calibration.py)
    detector.json          shape of the images, models, versions of the codecs, and how many training pictures were resized or of
                           lossy formats

Writes metrics/detectors/<benchmark>.csv, likewise: at some rates of false alarms, the share of the in-set's test images that
every score of this detector flags. Test images are in neither half. A variant of several seeds is no detector: its
detector.json says so, and its table is empty.
"""

import argparse
import json
from pathlib import Path

import numpy as np
import pandas as pd

from likelihood.common import images, params, stage
from likelihood.common.params import MODELS
from likelihood.evaluation import calibration, results
from likelihood.evaluation.results import read_statistics
from likelihood.scores import complexity

RATES = (0.01, 0.05, 0.1)
DIGITS = 4
COLUMNS = ["benchmark", "model", "score", "rate", "flagged", "calibrated", "n"]
PUBLISHED = {"resized": 0.0, "lossy": 0.0}  # images of published sets are neither


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("variant", nargs="?", help="a variant of params.yaml, instead of the three models")
    parser.add_argument("--benchmark", required=True)
    arguments = parser.parse_args()
    benchmark, models = arguments.benchmark, [arguments.variant] if arguments.variant else list(MODELS)
    name = f"{benchmark}.{arguments.variant}" if arguments.variant else benchmark
    detector, place = Path("data/detectors") / name, Path("metrics/detectors") / f"{name}.csv"
    seed = params.load()["seed"]
    facts, by_model = {}, {}
    for model in models:
        facts[model], by_model[model] = read_statistics(Path("data/scores") / benchmark / "in" / model)
    if "log_prob" not in by_model[models[0]]["val"]:  # several seeds
        with images.replaced(detector) as folder:
            described = {"shape": [], "models": {}, "codecs": {}, "prepared": PUBLISHED}
            (folder / "detector.json").write_text(json.dumps(described, indent=1) + "\n", encoding="utf-8")
        results.save(place, pd.DataFrame(columns=COLUMNS).to_csv(index=False))
        return
    index = {split: by_model[models[0]][split]["index"].to_numpy() for split in ("val", "test")}
    source = Path("data/processed") / benchmark / "in"
    pixels = {name: np.array(images.load(source / f"{name}.npy")[rows]) for name, rows in index.items()}
    statistics = {name: {model: found[name].drop(columns="index") for model, found in by_model.items()} for name in index}
    codes = {name: complexity.lengths(x) for name, x in pixels.items()}
    reference, levels = calibration.calibrated(pixels["val"], codes["val"], statistics["val"], seed)
    described = {
        "shape": list(pixels["val"].shape[1:]),
        "models": {model: {key: facts[model][key] for key in ("draws", "unit")} for model in models},
        "codecs": complexity.versions(),
        "prepared": json.loads((source / "statistics.json").read_text(encoding="utf-8")).get("prepared", PUBLISHED),
    }
    with images.replaced(detector) as folder:
        for name, table in ((calibration.REFERENCE, reference), (calibration.LEVELS, levels)):
            table.to_parquet(folder / name, index=False, compression="zstd")
        (folder / "detector.json").write_text(json.dumps(described, indent=1) + "\n", encoding="utf-8")
    tested = calibration.samples(pixels["test"], codes["test"], statistics["test"])
    judged = calibration.Calibration.load(detector, models).judged(tested)
    rows = []
    for name in levels:
        p = judged[f"{name}.p"]
        rows += [
            (benchmark, *name.split("."), rate, round(float((p <= rate).mean()), DIGITS), len(levels), len(p)) for rate in RATES
        ]
    table = pd.DataFrame(rows, columns=COLUMNS)
    results.save(place, table.to_csv(index=False))
    print(f"fitted on {len(reference)}, calibrated on {len(levels)} images")


if __name__ == "__main__":
    stage.run(main)
