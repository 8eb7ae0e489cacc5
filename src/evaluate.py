"""Stage `evaluate`: from per-image statistics to detection metrics, and the tables the plots are drawn from.

Reads data/scores/<benchmark> and data/processed/<benchmark>. Writes metrics/<benchmark>/ood/metrics.json: for every model its
mean bits/dim of each set and, for each out-set, AUROC with its interval, AUPRC and FPR95 of -log p against the in-set's test
images; the same for baselines without a model; the number of images of each set. Writes plots/<benchmark>/tables.
"""

import argparse
import json
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from dvclive import Live

import params
import stage
from likelihood import metrics, tables
from likelihood.data import images
from likelihood.errors import InputError
from likelihood.scores import base as scores
from likelihood.units import in_unit

MODELS = ("vae", "pixelcnn", "glow")
BASELINES = ("png_size", "pixel_variance", "mean")
DIGITS = 4  # beyond the error of any of these numbers; keeps a diff readable


def read_statistics(folder: Path) -> tuple[dict[str, Any], dict[str, pd.DataFrame]]:
    """What a model's numbers are, and its statistics by set; InputError where a likelihood is not finite."""
    facts = json.loads((folder / "model.json").read_text(encoding="utf-8"))
    by_set = {path.stem: pd.read_parquet(path) for path in sorted(folder.glob("*.parquet"))}
    for name, table in by_set.items():
        bad = table.loc[~np.isfinite(table["log_prob"]), "index"]
        if len(bad):
            raise InputError(f"{folder}: log_prob of image {bad.iloc[0]} of {name} is not finite; train with a lower lr")
    return facts, by_set


def detect(name: str, samples: dict[str, scores.Sample], outs: list[str], resamples: int, seed: int) -> dict[str, Any]:
    """Fit one score on the validation images and measure it on test against every out-set; also the ROC curves."""
    score = scores.get(name)
    score.fit(samples["val"])
    values = {key: score.score(samples[key]) for key in ("test", *outs)}
    found = {out: metrics.ood_metrics(values["test"], values[out], resamples, seed) for out in outs}
    return {"metrics": found, "roc": {out: metrics.roc(values["test"], values[out]) for out in outs}}


def row_name(model: str, facts: dict[str, Any]) -> str:
    """A model's row: binarised images are another data set, so their likelihoods get a row of their own."""
    return model if facts["unit"] == "bits_per_dim" else f"{model}_binarised"


def rounded(value: Any) -> Any:  # noqa: ANN401
    """Every float of nested dictionaries rounded."""
    if isinstance(value, dict):
        return {key: rounded(inner) for key, inner in value.items()}
    return round(value, DIGITS) if isinstance(value, float) else value


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--benchmark", required=True)
    benchmark = parser.parse_args().benchmark
    values = params.load()
    outs, seed = params.of_benchmark(values, benchmark)["out"], values["seed"]
    resamples = values["evaluate"]["bootstrap"]
    scored, processed = Path("data/scores") / benchmark, Path("data/processed") / benchmark
    sets = [("in", "train"), ("in", "val"), ("in", "test"), *(("out", out) for out in outs)]
    summary: dict[str, Any] = {}
    likelihoods, curves = [], {}
    index: dict[str, np.ndarray] = {}
    for model in MODELS:
        facts, statistics = read_statistics(scored / "in" / model)
        statistics |= read_statistics(scored / "out" / model)[1]
        first, index = index, {name: table["index"].to_numpy() for name, table in statistics.items()}
        for name in first:
            if not np.array_equal(first[name], index[name]):
                raise InputError(f"{scored}: {model} has scored other images of {name} than {MODELS[0]}: rerun `dvc repro`")
        pixels = {name: images.load(processed / side / f"{name}.npy")[index[name]] for side, name in sets}
        samples = {name: scores.Sample(pixels[name], statistics[name]) for _, name in sets}
        row = row_name(model, facts)
        per_image = {
            name: in_unit(table["log_prob"].to_numpy(), facts["dims"], facts["unit"]) for name, table in statistics.items()
        }
        found = detect("log_prob", samples, outs, resamples, seed)
        means = {name: float(per_image[name].mean()) for name in ("train", "test", *outs)}
        summary[row] = {facts["unit"]: means, **found["metrics"]}
        curves[row] = found["roc"]
        likelihoods += [
            tables.likelihoods(row, facts["unit"], name, index[name], per_image[name]) for name in ("train", "test", *outs)
        ]
    bare = {name: scores.Sample(pixels[name], None) for _, name in sets}  # the same images for every model
    baselines = {name: detect(name, bare, outs, resamples, seed) for name in BASELINES}
    summary["baseline"] = {name: found["metrics"] for name, found in baselines.items()}
    summary["images"] = {name: len(index[name]) for name in ("train", "test", *outs)}
    with Live(f"metrics/{benchmark}/ood", dvcyaml=None, save_dvc_exp=False, report=None) as live:
        live.summary = rounded(summary)
    folder = Path("plots") / benchmark / "tables"
    with images.replaced(folder) as partial:
        tables.write(partial, pd.concat(likelihoods, ignore_index=True), curves)


if __name__ == "__main__":
    stage.run(main)
