"""From per-image statistics to detection metrics: what every evaluation reads and writes."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from likelihood import scores
from likelihood.common import images, selection
from likelihood.common.errors import InputError
from likelihood.common.units import bits_per_dim
from likelihood.evaluation import comparison, metrics
from likelihood.scores import codecs

DIGITS = 4  # finer than the error of any of these numbers, and a diff stays readable


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


def row_name(model: str, facts: dict[str, Any]) -> str:
    """The name of a model's row: binarised images are another data set, so their likelihoods get another row."""
    return model if facts["unit"] == "bits_per_dim" else f"{model}_binarised"


def raw_likelihood(statistics: dict[str, pd.DataFrame], outs: list[str], resamples: int, seed: int) -> dict[str, Any]:
    """Measures and ROC curves of -log p against every out-set."""
    values = {name: -table["log_prob"].to_numpy() for name, table in statistics.items()}
    found = {out: metrics.ood_metrics(values["test"], values[out], resamples, seed) for out in outs}
    return {"metrics": found, "roc": {out: metrics.roc(values["test"], values[out]) for out in outs}}


def likelihoods(facts: dict[str, Any], statistics: dict[str, pd.DataFrame]) -> dict[str, np.ndarray]:
    """The likelihood of every image, by set, in the model's unit; lower is more likely."""
    return {name: bits_per_dim(table["log_prob"].to_numpy(), facts["dims"]) for name, table in statistics.items()}


class Compared:
    """The images of a benchmark that the table of scores compares, the same for every model.

    Arguments:
        benchmark: its name.
        index: positions of the scored images by set: `val`, `test` and the out-sets.
        count: images per set that are compared; all of `val`.
        seed: of the choice.
    """

    def __init__(self, benchmark: str, index: dict[str, np.ndarray], count: int, seed: int) -> None:
        self.rows = {name: selection.compared(name, len(found), count, seed) for name, found in index.items()}
        self.index = {name: found[self.rows[name]] for name, found in index.items()}
        source = Path("data/processed") / benchmark
        self.pixels = {
            name: images.load(source / ("in" if name in ("val", "test") else "out") / f"{name}.npy")[found]
            for name, found in self.index.items()
        }

    def statistics(self, by_set: dict[str, pd.DataFrame]) -> dict[str, pd.DataFrame]:
        """A model's statistics of these images."""
        return {name: by_set[name].drop(columns="index").iloc[rows].reset_index(drop=True) for name, rows in self.rows.items()}

    def bare(self, coded: bool = True) -> dict[str, scores.Sample]:
        """The images without statistics, with their code lengths if `coded`."""
        empty = {name: pd.DataFrame(index=range(len(x))) for name, x in self.pixels.items()}
        return {
            name: scores.Sample(x, codecs.lengths(x) if coded else empty[name], empty[name]) for name, x in self.pixels.items()
        }


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
        comparison.compare(scores.applicable(list(by_set["val"].statistics)), by_set, model, outs, resamples, seed)
        for model, by_set in samples.items()
    ]
    pooled = comparison.pooled(samples)
    parts.append(comparison.compare(scores.pooling(), pooled, comparison.ALL_MODELS, outs, resamples, seed))
    parts.append(comparison.compare(scores.applicable([]), bare, comparison.NO_MODEL, outs, resamples, seed))
    return pd.concat(parts, ignore_index=True)


def rounded(value: Any) -> Any:  # noqa: ANN401
    """Every float of nested dictionaries rounded."""
    if isinstance(value, dict):
        return {key: rounded(inner) for key, inner in value.items()}
    return round(value, DIGITS) if isinstance(value, float) else value
