"""Stage `evaluate`: from per-image statistics to detection metrics, and the tables that figures are drawn from.

Reads data/scores/<benchmark> and data/processed/<benchmark>. Writes

    metrics/<benchmark>/ood/metrics.json    for each model, the mean bits/dim of each set and, for each out-set, AUROC with its
                                            interval, AUPRC and FPR95 of -log p against the in-set's test images, on all images
                                            that were scored; how many images each set has
    metrics/<benchmark>/ood/codecs.json     versions of the codecs that some scores use
    metrics/scores/<benchmark>.csv          the same measures of every score (likelihood/scores) on `evaluate.images` images per
                                            set (evaluation/results.py)
    plots/<benchmark>/tables                what figures are drawn from

and a detector of the three models (evaluation/calibration.py).
"""

import argparse
import json
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from dvclive import Live

from likelihood.common import images, params, stage
from likelihood.common.errors import InputError
from likelihood.common.params import MODELS
from likelihood.evaluation import calibration, results
from likelihood.evaluation.results import DIGITS, Compared
from likelihood.scores import complexity


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--benchmark", required=True)
    benchmark = parser.parse_args().benchmark
    values = params.load()
    outs, seed = params.of_benchmark(values, benchmark)["out"], values["seed"]
    resamples, count = values["evaluate"]["bootstrap"], values["evaluate"]["images"]
    names = ("train", "test", *outs)
    summary: dict[str, Any] = {}
    likelihoods, curves, kept, facts = [], {}, {}, {}
    index: dict[str, np.ndarray] = {}
    for model in MODELS:
        facts[model], statistics = results.of_model(benchmark, model)
        first, index = index, {name: table["index"].to_numpy() for name, table in statistics.items()}
        for name in first:
            if not np.array_equal(first[name], index[name]):
                raise InputError(
                    f"data/scores/{benchmark}: {model} has scored other images of {name} than {MODELS[0]}: rerun `dvc repro`"
                )
        kept[model], row, unit = statistics, results.row_name(model, facts[model]), facts[model]["unit"]
        summary[row], curves[row] = results.summary(facts[model], statistics, outs, resamples, seed)
        per_image = results.likelihoods(facts[model], statistics)
        likelihoods += [results.likelihood_rows(row, unit, name, index[name], per_image[name]) for name in names]
    codes = calibration.write_detector(benchmark, benchmark, facts, kept, seed)
    summary["images"] = {name: len(index[name]) for name in names}
    compared = Compared(benchmark, {name: index[name] for name in ("val", "test", *outs)}, count, seed)
    of_rows = {results.row_name(model, facts[model]): compared.statistics(statistics) for model, statistics in kept.items()}
    table = results.score_table(compared.bare(codes), of_rows, outs, resamples, seed)
    table.insert(0, "benchmark", benchmark)
    with Live(f"metrics/{benchmark}/ood", dvcyaml=None, save_dvc_exp=False, report=None) as live:
        live.summary = results.rounded(summary)
    versions = Path("metrics") / benchmark / "ood" / "codecs.json"
    results.save(versions, json.dumps(complexity.versions(), indent=1) + "\n")
    results.save(Path("metrics/scores") / f"{benchmark}.csv", table.round(DIGITS).to_csv(index=False))
    with images.replaced(Path("plots") / benchmark / "tables") as folder:
        auroc = {row: {out: summary[row][out]["auroc"] for out in outs} for row in curves}
        results.write_tables(folder, pd.concat(likelihoods, ignore_index=True), curves, auroc)


if __name__ == "__main__":
    stage.run(main)
