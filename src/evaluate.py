"""Stage `evaluate`: from per-image statistics to detection metrics, and the tables the plots are drawn from.

Reads data/scores/<benchmark> and data/processed/<benchmark>. Writes

    metrics/<benchmark>/ood/metrics.json    for each model, the mean bits/dim of each set and, for each out-set, AUROC with its
                                            interval, AUPRC and FPR95 of -log p against the in-set's test images, on all images
                                            that were scored; how many images each set has
    metrics/<benchmark>/ood/codecs.json     versions of the codecs that some scores use
    metrics/scores/<benchmark>.csv          the same measures of every score (likelihood/scores) on `evaluate.images` images per
                                            set (likelihood/evaluation/comparison.py)
    plots/<benchmark>/tables                what the figures are drawn from
"""

import argparse
import json
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from dvclive import Live

from likelihood import scores
from likelihood.common import images
from likelihood.common.errors import InputError
from likelihood.common.units import in_unit
from likelihood.evaluation import comparison, metrics, tables
from likelihood.runtime import stage
from likelihood.scores import codecs
from likelihood.settings import params
from likelihood.statistics import selection

MODELS = ("vae", "pixelcnn", "glow")
DIGITS = 4  # finer than the error of any of these numbers, and a diff stays readable


def read_statistics(folder: Path) -> tuple[dict[str, Any], dict[str, pd.DataFrame]]:
    """The facts of model.json and a model's statistics by set. Raises InputError where a likelihood is not finite."""
    facts = json.loads((folder / "model.json").read_text(encoding="utf-8"))
    by_set = {path.stem: pd.read_parquet(path) for path in sorted(folder.glob("*.parquet"))}
    for name, table in by_set.items():
        bad = table.loc[~np.isfinite(table["log_prob"]), "index"]
        if len(bad):
            raise InputError(f"{folder}: log_prob of image {bad.iloc[0]} of {name} is not finite; train with a lower lr")
    return facts, by_set


def raw_likelihood(statistics: dict[str, pd.DataFrame], outs: list[str], resamples: int, seed: int) -> dict[str, Any]:
    """Measures and ROC curves of -log p against every out-set."""
    values = {name: -table["log_prob"].to_numpy() for name, table in statistics.items()}
    found = {out: metrics.ood_metrics(values["test"], values[out], resamples, seed) for out in outs}
    return {"metrics": found, "roc": {out: metrics.roc(values["test"], values[out]) for out in outs}}


def bare_samples(pixels: dict[str, np.ndarray], coded: bool = True) -> dict[str, scores.Sample]:
    """The images of every set without statistics, with their code lengths if `coded`."""
    empty = {name: pd.DataFrame(index=range(len(x))) for name, x in pixels.items()}
    return {name: scores.Sample(x, codecs.lengths(x) if coded else empty[name], empty[name]) for name, x in pixels.items()}


def score_table(
    bare: dict[str, scores.Sample], statistics: dict[str, dict[str, pd.DataFrame]], outs: list[str], resamples: int, seed: int
) -> pd.DataFrame:
    """The table of all scores: of each model, of all models at once and without a model. `statistics` are by model and set."""
    samples = {
        model: {name: bare[name]._replace(statistics=table) for name, table in by_set.items()}
        for model, by_set in statistics.items()
    }
    parts = [
        comparison.compare(scores.applicable(list(by_set["val"].statistics)), by_set, model, outs, resamples, seed)
        for model, by_set in samples.items()
    ]
    pooled = comparison.pooled(samples)
    parts.append(comparison.compare(scores.pooling(), pooled, comparison.ALL_MODELS, outs, resamples, seed))
    parts.append(comparison.compare(scores.applicable([]), bare, comparison.NO_MODEL, outs, resamples, seed))
    return pd.concat(parts, ignore_index=True)


def row_name(model: str, facts: dict[str, Any]) -> str:
    """The name of a model's row: binarised images are another data set, so their likelihoods get another row."""
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
    resamples, count = values["evaluate"]["bootstrap"], values["evaluate"]["images"]
    scored, processed = Path("data/scores") / benchmark, Path("data/processed") / benchmark
    sets = [("in", "val"), ("in", "test"), *(("out", out) for out in outs)]
    summary: dict[str, Any] = {}
    likelihoods, curves, kept = [], {}, {}
    index: dict[str, np.ndarray] = {}
    for model in MODELS:
        facts, statistics = read_statistics(scored / "in" / model)
        statistics |= read_statistics(scored / "out" / model)[1]
        first, index = index, {name: table["index"].to_numpy() for name, table in statistics.items()}
        for name in first:
            if not np.array_equal(first[name], index[name]):
                raise InputError(f"{scored}: {model} has scored other images of {name} than {MODELS[0]}: rerun `dvc repro`")
        row = row_name(model, facts)
        per_image = {
            name: in_unit(table["log_prob"].to_numpy(), facts["dims"], facts["unit"]) for name, table in statistics.items()
        }
        found = raw_likelihood(statistics, outs, resamples, seed)
        means = {name: float(per_image[name].mean()) for name in ("train", "test", *outs)}
        summary[row] = {facts["unit"]: means, **found["metrics"]}
        curves[row] = found["roc"]
        kept[row] = statistics
        likelihoods += [
            tables.likelihoods(row, facts["unit"], name, index[name], per_image[name]) for name in ("train", "test", *outs)
        ]
    summary["images"] = {name: len(index[name]) for name in ("train", "test", *outs)}
    rows = {name: selection.compared(name, len(index[name]), count, seed) for _, name in sets}
    pixels = {name: images.load(processed / side / f"{name}.npy")[index[name][rows[name]]] for side, name in sets}
    table = score_table(
        bare_samples(pixels),
        {
            row: {name: statistics[name].drop(columns="index").iloc[rows[name]].reset_index(drop=True) for name in rows}
            for row, statistics in kept.items()
        },
        outs,
        resamples,
        seed,
    )
    table.insert(0, "benchmark", benchmark)
    with Live(f"metrics/{benchmark}/ood", dvcyaml=None, save_dvc_exp=False, report=None) as live:
        live.summary = rounded(summary)
    versions = Path("metrics") / benchmark / "ood" / "codecs.json"
    tables.save(versions, json.dumps(codecs.versions(), indent=1) + "\n")
    tables.save(Path("metrics/scores") / f"{benchmark}.csv", table.round(DIGITS).to_csv(index=False))
    folder = Path("plots") / benchmark / "tables"
    with images.replaced(folder) as partial:
        tables.write(partial, pd.concat(likelihoods, ignore_index=True), curves)


if __name__ == "__main__":
    stage.run(main)
