"""Stages `compare_companion` and `compare_probe`: the scores that need more than a model's own statistics.

Reads data/scores/<benchmark> and data/extra/<benchmark>/<extra>. Writes to metrics/scores/<benchmark>/<extra>/

    scores.csv         the measures of evaluate.py, on the same images, of the scores that need this companion or probe

and for seeds, with n - 1 in the denominator of std,

    seeds.csv          AUROC of every score of the model over seeds, each measured by itself: benchmark, model, score, out, seeds,
                       auroc_mean, auroc_std, auroc_least, auroc_greatest
    likelihoods.csv    mean likelihood of each set over seeds, in bits/dim, or nats for binarised images: benchmark, model, set,
                       seeds, mean, std
"""

import argparse
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from evaluate import DIGITS, bare_samples, read_statistics, row_name
from likelihood import scores
from likelihood.common import images
from likelihood.common.errors import InputError
from likelihood.common.units import in_unit
from likelihood.evaluation import comparison
from likelihood.runtime import stage
from likelihood.settings import params
from likelihood.statistics import selection


def read_extra(folder: Path, index: dict[str, np.ndarray]) -> dict[str, pd.DataFrame]:
    """Statistics of a companion or probe by set, of images at these positions.

    Raises InputError where one is missing or not finite.
    """
    found = {}
    for name, wanted in index.items():
        table = pd.read_parquet(folder / f"{name}.parquet").set_index("index")
        if not set(wanted) <= set(table.index):
            raise InputError(f"{folder} has other images of {name} than the model's statistics: rerun `dvc repro`")
        found[name] = table.loc[wanted].reset_index(drop=True)
        if not np.isfinite(found[name].to_numpy()).all():
            raise InputError(f"{folder}: a number of {name} is not finite; train with a lower lr")
    return found


def members(table: pd.DataFrame) -> list[str]:
    """The members named in the columns `<statistic>@<member>` of a table."""
    return list(dict.fromkeys(column.split("@")[1] for column in table.columns if "@" in column))


def of_member(table: pd.DataFrame, member: str) -> pd.DataFrame:
    """The statistics of one member, under the names of a model's statistics."""
    return table.filter(like=f"@{member}").rename(columns=lambda column: column.split("@")[0])


def spread(tables: list[pd.DataFrame]) -> pd.DataFrame:
    """Mean, standard deviation and extremes of AUROC over tables of seeds, by model, score and out-set, in their order."""
    groups = pd.concat(tables).groupby(["model", "score", "out"], sort=False)["auroc"]
    found = groups.agg(seeds="size", auroc_mean="mean", auroc_std="std", auroc_least="min", auroc_greatest="max")
    return found.reset_index()


def likelihoods(alone: list[dict[str, pd.DataFrame]], facts: dict[str, Any], title: str) -> pd.DataFrame:
    """Mean likelihood of every set but `val`, and its standard deviation over seeds; `alone` has statistics by seed and set."""
    rows = []
    for name in (name for name in alone[0] if name != "val"):
        means = [in_unit(one[name]["log_prob"].mean(), facts["dims"], facts["unit"]) for one in alone]
        rows.append([title, name, len(means), np.mean(means), np.std(means, ddof=1)])
    return pd.DataFrame(rows, columns=["model", "set", "seeds", "mean", "std"])


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("extra", help="a companion or a probe: the name of a folder in data/extra/<benchmark>")
    parser.add_argument("--benchmark", required=True)
    arguments = parser.parse_args()
    benchmark, extra = arguments.benchmark, arguments.extra
    model, kind = extra.split("_", 1)
    values = params.load()
    outs, seed = params.of_benchmark(values, benchmark)["out"], values["seed"]
    resamples, count = values["evaluate"]["bootstrap"], values["evaluate"]["images"]
    scored, processed = Path("data/scores") / benchmark, Path("data/processed") / benchmark
    facts, statistics = read_statistics(scored / "in" / model)
    statistics |= read_statistics(scored / "out" / model)[1]
    sets = ["val", "test", *outs]
    rows = {name: selection.compared(name, len(statistics[name]), count, seed) for name in sets}
    chosen = {name: statistics[name].iloc[rows[name]].reset_index(drop=True) for name in sets}
    index = {name: chosen[name].pop("index").to_numpy() for name in sets}
    added = read_extra(Path("data/extra") / benchmark / extra, index)
    sides = {name: "out" if name in outs else "in" for name in sets}
    pixels = {name: images.load(processed / sides[name] / f"{name}.npy")[index[name]] for name in sets}
    title = row_name(model, facts)
    bare = bare_samples(pixels, coded=kind == "seeds")
    samples = {name: bare[name]._replace(statistics=chosen[name].join(added[name])) for name in sets}
    names = scores.needing(list(added["val"]), list(samples["val"].statistics))
    result = {"scores": comparison.compare(names, samples, title, outs, resamples, seed)}
    if kind == "seeds":
        own = scores.applicable(list(chosen["val"]))
        alone = [chosen, *({name: of_member(added[name], member) for name in sets} for member in members(added["val"]))]
        result["likelihoods"] = likelihoods(alone, facts, title)
        result["seeds"] = spread(
            [
                comparison.compare(own, {name: bare[name]._replace(statistics=one[name]) for name in sets}, title, outs, 1, seed)
                for one in alone
            ]
        )
    with images.replaced(Path("metrics/scores") / benchmark / extra) as folder:
        for name, table in result.items():
            table.insert(0, "benchmark", benchmark)
            table.round(DIGITS).to_csv(folder / f"{name}.csv", index=False)


if __name__ == "__main__":
    stage.run(main)
