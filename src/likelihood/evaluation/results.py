"""From per-image statistics to detection metrics: what every evaluation reads and writes.

In the table of scores, every score (likelihood/scores) meets every out-set on the same images. It is fitted on held-out
in-distribution images and measured on in-set test images and out-set images that it has not seen. The images come in a random
order (common/selection.py), so consecutive ones make fair batches. A batch counts once: with few batches intervals are wide,
except where the AUROC is 0 or 1 (metrics.py).
"""

import json
import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from likelihood import scores
from likelihood.common import images, selection
from likelihood.common.errors import InputError
from likelihood.common.units import bits_per_dim
from likelihood.evaluation import metrics
from likelihood.scores import complexity
from likelihood.scores.density import POOLED

DIGITS = 4  # finer than the error of any of these numbers, and a diff stays readable
COLUMNS = ("model", "score", "out", "n", "auroc", "auroc_low", "auroc_high", "auprc", "fpr95")
NO_MODEL, ALL_MODELS = "none", "all"  # in the column `model`
BIN_WIDTH = 0.1  # bits/dim; histograms of the page, where the reader cannot choose
LIMIT = 12.0  # bits/dim; a histogram ends here, for a bound has no upper end
ROC_POINTS = 200


def read_statistics(folder: Path) -> tuple[dict[str, Any], dict[str, pd.DataFrame]]:
    """The facts of model.json and a model's statistics by set. Raises InputError where a likelihood is not finite."""
    facts = json.loads((folder / "model.json").read_text(encoding="utf-8"))
    by_set = {path.stem: pd.read_parquet(path) for path in sorted(folder.glob("*.parquet"))}
    for name, table in by_set.items():
        bad = table.loc[~np.isfinite(table.filter(like="log_prob")).all(axis=1), "index"]
        if len(bad):
            raise InputError(f"{folder}: log_prob of image {bad.iloc[0]} of {name} is not finite; train with a lower lr")
    return facts, by_set


def of_model(benchmark: str, model: str) -> tuple[dict[str, Any], dict[str, pd.DataFrame]]:
    """The facts of a model or variant, and its statistics by set, of both sides of a benchmark."""
    scored = Path("data/scores") / benchmark
    facts, statistics = read_statistics(scored / "in" / model)
    return facts, statistics | read_statistics(scored / "out" / model)[1]


def summary(
    facts: dict[str, Any], statistics: dict[str, pd.DataFrame], outs: list[str], resamples: int, seed: int
) -> tuple[dict[str, Any], dict[str, Any]]:
    """What metrics.json says of a model, mean likelihoods in its unit and measures of -log p by out-set; and ROC curves."""
    per_image = likelihoods(facts, statistics)
    means = {name: float(per_image[name].mean()) for name in ("train", "test", *outs)}
    nats = {name: -statistics[name]["log_prob"].to_numpy() for name in ("test", *outs)}
    found = {out: metrics.ood_metrics(nats["test"], nats[out], resamples, seed) for out in outs}
    return {facts["unit"]: means, **found}, {out: metrics.roc(nats["test"], nats[out]) for out in outs}


def row_name(model: str, facts: dict[str, Any]) -> str:
    """The name of a model's row: binarised images are another data set, so their likelihoods get another row."""
    return model if facts["unit"] == "bits_per_dim" else f"{model}_binarised"


def likelihoods(facts: dict[str, Any], statistics: dict[str, pd.DataFrame]) -> dict[str, np.ndarray]:
    """The likelihood of every image, by set, in the model's unit; lower is more likely."""
    return {name: bits_per_dim(table["log_prob"].to_numpy(), facts["dims"]) for name, table in statistics.items()}


class Compared:
    """The images of a benchmark that the table of scores compares, the same for every model.

    Arguments:
        benchmark: its name.
        index: positions of the scored images by set: `val`, `test` and the out-sets.
        count: images per set that are compared.
        seed: of the choice.
        reference: images of `val` that are there to fit on; all of them if None.
    """

    def __init__(self, benchmark: str, index: dict[str, np.ndarray], count: int, seed: int, reference: int | None = None) -> None:
        self.rows = {name: selection.compared(name, len(found), count, seed) for name, found in index.items()}
        self.rows["val"] = self.rows["val"][:reference]
        self.index = {name: found[self.rows[name]] for name, found in index.items()}
        source = Path("data/processed") / benchmark
        self.pixels = {
            name: images.load(source / ("in" if name in ("val", "test") else "out") / f"{name}.npy")[found]
            for name, found in self.index.items()
        }

    def statistics(self, by_set: dict[str, pd.DataFrame]) -> dict[str, pd.DataFrame]:
        """A model's statistics of these images."""
        return {name: by_set[name].drop(columns="index").iloc[rows].reset_index(drop=True) for name, rows in self.rows.items()}

    def bare(self, codes: Mapping[str, pd.DataFrame] | None = None) -> dict[str, scores.Sample]:
        """The images without statistics; with their code lengths, but those of all scored images that are known already."""
        known = codes or {}
        lengths = {
            name: known[name].iloc[self.rows[name]].reset_index(drop=True) if name in known else complexity.lengths(x)
            for name, x in self.pixels.items()
        }
        return {name: scores.Sample(x, lengths[name], pd.DataFrame(index=range(len(x)))) for name, x in self.pixels.items()}

    def uncoded(self) -> dict[str, scores.Sample]:
        """The images without statistics and code lengths."""
        empty = {name: pd.DataFrame(index=range(len(x))) for name, x in self.pixels.items()}
        return {name: scores.Sample(x, empty[name], empty[name]) for name, x in self.pixels.items()}


def index_of(statistics: dict[str, pd.DataFrame], outs: list[str]) -> dict[str, np.ndarray]:
    """Positions of the scored images of `val`, `test` and the out-sets."""
    return {name: statistics[name]["index"].to_numpy() for name in ("val", "test", *outs)}


def with_statistics(bare: dict[str, scores.Sample], statistics: dict[str, pd.DataFrame]) -> dict[str, scores.Sample]:
    """The samples with a model's statistics."""
    return {name: sample._replace(statistics=statistics[name]) for name, sample in bare.items()}


def score_table(
    bare: dict[str, scores.Sample], statistics: dict[str, dict[str, pd.DataFrame]], outs: list[str], resamples: int, seed: int
) -> pd.DataFrame:
    """The table of all scores: of each model, of all models at once and without a model. `statistics` are by model and set."""
    samples = {model: with_statistics(bare, by_set) for model, by_set in statistics.items()}
    parts = [
        compare(scores.applicable(list(by_set["val"].statistics)), by_set, model, outs, resamples, seed)
        for model, by_set in samples.items()
    ]
    names = scores.pooling(*(list(by_set["val"].statistics) for by_set in samples.values()))
    parts.append(compare(names, pooled(samples), ALL_MODELS, outs, resamples, seed))
    parts.append(compare(scores.applicable([]), bare, NO_MODEL, outs, resamples, seed))
    return pd.concat(parts, ignore_index=True)


def rounded(value: Any) -> Any:  # noqa: ANN401
    """Every float of nested dictionaries rounded."""
    if isinstance(value, dict):
        return {key: rounded(inner) for key, inner in value.items()}
    return round(value, DIGITS) if isinstance(value, float) else value


def compare(
    names: Sequence[str], samples: dict[str, scores.Sample], model: str, outs: Sequence[str], resamples: int, seed: int
) -> pd.DataFrame:
    """Fit scores on `val` and measure them on `test` against every out-set.

    Arguments:
        names: names of scores.
        samples: samples by set: `val`, `test` and the out-sets.
        model: what the column `model` says.
        outs: the out-sets, in order.
        resamples, seed: how often the bootstrap draws, and from which seed.

    Returns COLUMNS, one row per score and out-set; n counts the numbers of the out-set that were compared. A score of batches has
    no row where a set has fewer images than a batch.
    """
    rows = []
    for name in names:
        score = scores.get(name).fit(samples["val"])
        values = {key: score.score(samples[key]) for key in ("test", *outs)}
        for out in outs:
            if not len(values["test"]) or not len(values[out]):
                continue  # a small set may not fill one batch
            found = metrics.ood_metrics(values["test"], values[out], resamples, seed)
            rows.append({"model": model, "score": name, "out": out, "n": len(values[out]), **found})
    return pd.DataFrame(rows, columns=list(COLUMNS))


def pooled(samples: dict[str, dict[str, scores.Sample]]) -> dict[str, scores.Sample]:
    """Samples by set with `<statistic>_<model>` of every model, as scores of several read, from samples by model and set."""
    first = next(iter(samples.values()))
    return {
        key: sample._replace(
            statistics=pd.concat(
                [found[key].statistics.filter(regex=POOLED).add_suffix(f"_{model}") for model, found in samples.items()], axis=1
            )
        )
        for key, sample in first.items()
    }


def ranking(table: pd.DataFrame, pairs: Sequence[tuple[str, str]]) -> pd.DataFrame:
    """Scores by their worst AUROC over pairs (benchmark, out): model, score, worst, benchmark, out; best first.

    Only scores that have all pairs are ranked, so leaving out a hard pair does not help.
    """
    rows = having_all(table, pairs)
    worst = rows.loc[rows.groupby(["model", "score"])["auroc"].idxmin()]
    worst = worst.rename(columns={"auroc": "worst"})[["model", "score", "worst", "benchmark", "out"]]
    return worst.sort_values(["worst", "model", "score"], ascending=[False, True, True], ignore_index=True)


def means(table: pd.DataFrame, pairs: Sequence[tuple[str, str]]) -> pd.DataFrame:
    """The mean AUROC over pairs of the scores that have them all: model, score, mean; best first."""
    found = having_all(table, pairs).groupby(["model", "score"])["auroc"].mean().round(DIGITS).rename("mean").reset_index()
    return found.sort_values(["mean", "model", "score"], ascending=[False, True, True], ignore_index=True)


def having_all(table: pd.DataFrame, pairs: Sequence[tuple[str, str]]) -> pd.DataFrame:
    """The rows of pairs (benchmark, out), of the scores that have them all."""
    wanted = set(pairs)
    rows = table[[pair in wanted for pair in zip(table["benchmark"], table["out"], strict=True)]]
    return rows[rows.groupby(["model", "score"])["auroc"].transform("size") == len(wanted)]


def save(path: Path, text: str) -> None:
    """Write a file of text, whole or not at all; makes the folder."""
    path.parent.mkdir(parents=True, exist_ok=True)
    partial = path.with_name(f".{path.name}.partial")
    try:
        partial.write_text(text, encoding="utf-8")
        os.replace(partial, path)
    finally:
        partial.unlink(missing_ok=True)


def likelihood_rows(model: str, unit: str, name: str, index: np.ndarray, values: np.ndarray) -> pd.DataFrame:
    """One row an image: model, unit, set, index, value (in the unit; lower is more likely), in single precision."""
    columns = {"index": index.astype(np.int32), "value": values.astype(np.float32)}  # enough to draw, and half the size
    return pd.DataFrame({"model": model, "unit": unit, "set": name, **columns})


def histogram(table: pd.DataFrame) -> pd.DataFrame:
    """Densities of bits/dim in bins of BIN_WIDTH: columns model, set, bits_per_dim (centre of the bin), density.

    Images beyond LIMIT have no bin but count in the density, so that areas can be compared.
    """
    rows = []
    for (model, name), group in table[table["unit"] == "bits_per_dim"].groupby(["model", "set"], sort=False):
        within = group["value"][group["value"] < LIMIT]
        if within.empty:
            continue
        bins, counts = np.unique(np.floor(within / BIN_WIDTH).astype(int), return_counts=True)
        around = np.arange(bins[0] - 1, bins[-1] + 2)  # an empty bin at each end closes the outline
        density = np.zeros(len(around))
        density[bins - around[0]] = counts / (len(group) * BIN_WIDTH)
        centre = np.round((around + 0.5) * BIN_WIDTH, 4)
        rows.append(pd.DataFrame({"model": model, "set": name, "bits_per_dim": centre, "density": np.round(density, 5)}))
    columns = ["model", "set", "bits_per_dim", "density"]
    return pd.concat(rows, ignore_index=True) if rows else pd.DataFrame(columns=columns)


def roc_table(curves: dict[str, tuple[np.ndarray, np.ndarray]]) -> pd.DataFrame:
    """ROC curves of one model, thinned: columns fpr, tpr, out."""
    rows = []
    for out, (fpr, tpr) in curves.items():
        along = (fpr + tpr) / 2.0  # rises along the curve, in steps and flats alike
        keep = np.unique(np.searchsorted(along, np.linspace(0.0, 1.0, ROC_POINTS)))
        rows.append(pd.DataFrame({"fpr": np.round(fpr[keep], 5), "tpr": np.round(tpr[keep], 5), "out": out}))
    return pd.concat(rows, ignore_index=True)


def write_tables(
    folder: Path,
    table: pd.DataFrame,
    curves: dict[str, dict[str, tuple[np.ndarray, np.ndarray]]],
    auroc: dict[str, dict[str, float]],
) -> None:
    """Write likelihoods.parquet, histogram.csv, auroc.csv, and roc_<model>.csv of every model into an existing folder."""
    table.to_parquet(folder / "likelihoods.parquet", index=False)
    pd.DataFrame(auroc).rename_axis("out").to_csv(folder / "auroc.csv")
    histogram(table).to_csv(folder / "histogram.csv", index=False)
    for model, by_out in curves.items():
        roc_table(by_out).to_csv(folder / f"roc_{model}.csv", index=False)
