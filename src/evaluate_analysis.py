"""Stage `evaluate_analysis`: what an analysis says of detection, or of the claims of Nalisnick et al. (2019).

Reads data/analyses/<benchmark>/<analysis>, data/scores/<benchmark> and data/processed/<benchmark>. Writes to
metrics/scores/<benchmark>/<analysis>/, for gradients and regret

    scores.csv      the measures of evaluate.py, on the same images, of the scores that need this analysis

for `claims` what claims/evidence.py describes; and figures to plots/<benchmark>/<analysis>/.
"""

import argparse
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from likelihood import scores
from likelihood.claims import evidence
from likelihood.common import images, params, stage
from likelihood.common.errors import InputError
from likelihood.evaluation import results
from likelihood.evaluation.results import DIGITS, Compared
from likelihood.figures import benchmark as figures
from likelihood.figures.titles import score_title

DPI = 130


def read_added(folder: Path, index: dict[str, np.ndarray]) -> dict[str, pd.DataFrame]:
    """The numbers of an analysis by set, of images at these positions. InputError where one is missing or not finite."""
    found = {}
    for name, wanted in index.items():
        table = pd.read_parquet(folder / f"{name}.parquet").set_index("index")
        if not set(wanted) <= set(table.index):
            raise InputError(f"{folder} has other images of {name} than the model's statistics: rerun `dvc repro`")
        found[name] = table.loc[wanted].reset_index(drop=True)
        if not np.isfinite(found[name].to_numpy()).all():
            raise InputError(f"{folder}: a number of {name} is not finite; train with a lower lr")
    return found


def compare(benchmark: str, analysis: str, values: dict[str, Any]) -> pd.DataFrame:
    """The measures of the scores that need an analysis."""
    model = analysis.split("_", 1)[0]
    outs, seed, resamples = params.of_benchmark(values, benchmark)["out"], values["seed"], values["evaluate"]["bootstrap"]
    facts, statistics = results.of_model(benchmark, model)
    compared = Compared(benchmark, results.index_of(statistics, outs), values["evaluate"]["images"], seed)
    added = read_added(Path("data/analyses") / benchmark / analysis, compared.index)
    own = compared.statistics(statistics)
    samples = results.with_statistics(compared.bare(coded=False), {name: own[name].join(added[name]) for name in own})
    names = scores.needing(list(added["val"]), list(samples["val"].statistics))
    table = results.compare(names, samples, results.row_name(model, facts), outs, resamples, seed)
    table.insert(0, "benchmark", benchmark)
    return table


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("analysis", help="<model>_gradients, vae_regret or claims")
    parser.add_argument("--benchmark", required=True)
    arguments = parser.parse_args()
    benchmark, analysis, values = arguments.benchmark, arguments.analysis, params.load()
    place, plots = Path("metrics/scores") / benchmark / analysis, Path("plots") / benchmark / analysis
    if analysis == "claims":
        found, dissected, drawn = evidence.collect(benchmark, params.of_benchmark(values, benchmark), values["seed"])
        with images.replaced(place) as folder:
            evidence.write(found, dissected, folder)
    else:
        table = compare(benchmark, analysis, values)
        inside = params.of_benchmark(values, benchmark)["in"]
        pairs = [(benchmark, inside, out) for out in dict.fromkeys(table["out"])]
        rows = {row: score_title(row[0], scores.get(row[1]).title) for row in zip(table["model"], table["score"], strict=True)}
        drawn = {"scores": figures.heat_map(table, rows, {"": pairs})}
        with images.replaced(place) as folder:
            table.round(DIGITS).to_csv(folder / "scores.csv", index=False)
    with images.replaced(plots) as folder:
        figures.save(drawn, folder, DPI)


if __name__ == "__main__":
    stage.run(main)
