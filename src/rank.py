"""Stage `rank`: every score of every benchmark in one table, and scores by the worst pair of sets that are far from each other.

Reads metrics/scores/, also of benchmarks that are not enabled. Writes

    metrics/scores.csv      benchmark, model, score, out, use, n, auroc, auroc_low, auroc_high, auprc, fpr95
    metrics/ranking.json    by model and score, of those that have all pairs of a use: `far` and `near`, their worst AUROC;
                            `development`, their mean
    plots/scores            heat maps, without the scores of variants alone: scores.png of every score and pair; overview.png of
                            far and near pairs and the scores of single images, each with the model that it does best with

A pair of data sets is for development, where scores may be chosen, or for a test, where they must not be: `use` is development,
far or near. For development are pairs with a computed set, as noise and constant images are, and those that `rank` of params.yaml
lists; it also lists near ones, whose sets are alike, and all others are far. A pair counts once, even where several benchmarks
have it, which differ in their models.
"""

import contextlib
import json
from pathlib import Path
from typing import Any

import pandas as pd

from likelihood import scores
from likelihood.common import images, params, stage
from likelihood.common.errors import InputError
from likelihood.common.params import MODELS
from likelihood.data import base as data
from likelihood.evaluation import results
from likelihood.figures import benchmark as figures
from likelihood.figures.titles import score_title

TABLES = Path("metrics/scores")
USES = ("far", "near", "development")  # of pairs, as they stand in the figure
DPI = 130


def collect(values: dict[str, Any], folder: Path = TABLES) -> pd.DataFrame:
    """The tables of all benchmarks in params.yaml with those of variants and analyses, concatenated in this order."""
    tables = []
    for name in values["benchmarks"]:
        for file in (folder / f"{name}.csv", *sorted(folder.glob(f"{name}/[!.]*/scores.csv"))):
            if file.exists():
                tables.append(read(file, name))
    return pd.concat(tables, ignore_index=True)


def read(file: Path, benchmark: str) -> pd.DataFrame:
    """The table of a benchmark. InputError where a merge, or a disk, has left something else."""
    with contextlib.suppress(ValueError):  # of what is no table
        table = pd.read_csv(file)
        if "benchmark" in table and set(table["benchmark"]) <= {benchmark}:
            return table
    raise InputError(
        f"{file} is no table of {benchmark}: finish the merge, or take the committed one by `git checkout HEAD -- {file}`"
    )


def pairs(table: pd.DataFrame, inside: dict[str, str]) -> list[tuple[str, str]]:
    """The pairs (benchmark, out-set) of a table, in its order; `inside` is the in-set of each benchmark.

    Where several benchmarks have the same in- and out-set, the pair goes to the first.
    """
    first: dict[tuple[str, str], str] = {}
    for benchmark, out in dict.fromkeys(zip(table["benchmark"], table["out"], strict=True)):
        first.setdefault((inside[benchmark], out), benchmark)
    return [(benchmark, out) for (_, out), benchmark in first.items()]


def use_of(inside: str, out: str, listed: dict[str, dict[str, list[str]]]) -> str:
    """What a pair of data sets is used for, one of USES; `listed` has the out-sets of `development` and `near` by in-set."""
    if not data.natural(out):
        return "development"
    return next((use for use, found in listed.items() if out in found.get(inside, [])), "far")


def rows(table: pd.DataFrame, ranked: pd.DataFrame) -> list[tuple[str, str]]:
    """The rows (model, score) of a heat map, best first: ranked ones, then those that lack a pair, by the worst of theirs."""
    first = list(zip(ranked["model"], ranked["score"], strict=True))
    worst = table[table["use"] == "far"].groupby(["model", "score"])["auroc"].min().sort_values(ascending=False, kind="stable")
    return list(dict.fromkeys((*first, *worst.index, *zip(table["model"], table["score"], strict=True))))


def best_of_each(found: list[tuple[str, str]]) -> list[tuple[str, str]]:
    """The first row of each score, and every model's −log p, in the order of the rows."""
    first: dict[str, tuple[str, str]] = {}
    for row in found:
        first.setdefault(row[1], row)
    return [row for row in found if row[1] == "log_prob" or row == first[row[1]]]


def nested(table: pd.DataFrame, column: str) -> dict[str, dict[str, float]]:
    """A column by model and score."""
    found: dict[str, dict[str, float]] = {}
    for row in table.to_dict("records"):
        found.setdefault(row["model"], {})[row["score"]] = row[column]
    return found


def main() -> None:
    values = params.load()
    table = collect(values)
    inside = {name: entry["in"] for name, entry in values["benchmarks"].items()}
    uses = [use_of(inside[row.benchmark], row.out, values["rank"]) for row in table.itertuples()]
    table.insert(table.columns.get_loc("out") + 1, "use", uses)
    used = dict(zip(zip(table["benchmark"], table["out"], strict=True), uses, strict=True))
    shown = {use: [pair for pair in pairs(table, inside) if used[pair] == use] for use in USES}
    ranked = results.ranking(table, shown["far"])
    results.save(Path("metrics/scores.csv"), table.to_csv(index=False))
    summary = {
        "far": nested(ranked, "worst"),
        "near": nested(results.ranking(table, shown["near"]), "worst"),
        "development": nested(results.means(table, shown["development"]), "mean"),
    }
    results.save(Path("metrics/ranking.json"), json.dumps(summary, indent=1) + "\n")
    groups = {use: [(benchmark, inside[benchmark], out) for benchmark, out in found] for use, found in shown.items()}
    shown_models = {*MODELS, *(f"{model}_binarised" for model in MODELS), results.ALL_MODELS, results.NO_MODEL}
    drawn = [row for row in rows(table, ranked) if row[0] in shown_models]
    single = [row for row in drawn if scores.get(row[1]).batch == 1]
    batches = [row for row in drawn if scores.get(row[1]).batch > 1]
    titles = {row: score_title(row[0], scores.get(row[1]).title) for row in (*single, *batches)}
    groups = {use: found for use, found in groups.items() if found}
    maps = {"scores": figures.heat_map(table, titles, groups)}
    tests = table[table["use"] != "development"]
    if len(tests):
        tested = set(zip(tests["model"], tests["score"], strict=True))
        best = {row: titles[row] for row in best_of_each(single) if row in tested}
        maps["overview"] = figures.heat_map(table, best, {use: found for use, found in groups.items() if use != "development"})
    with images.replaced(Path("plots/scores")) as folder:
        figures.save(maps, folder, DPI)


if __name__ == "__main__":
    stage.run(main)
