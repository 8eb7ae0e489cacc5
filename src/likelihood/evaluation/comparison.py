"""The table of scores: every score (likelihood/scores) against every out-set, on the same images.

A score is fitted on held-out in-distribution images and measured on in-set test images and out-set images that it has not seen.
The images come in a random order (common/selection.py), so consecutive ones make fair batches. A batch counts once: a score
of batches has wide intervals because there are few batches.
"""

from collections.abc import Sequence

import pandas as pd

from likelihood import scores
from likelihood.evaluation import metrics

COLUMNS = ("model", "score", "out", "n", "auroc", "auroc_low", "auroc_high", "auprc", "fpr95")
NO_MODEL, ALL_MODELS = "none", "all"  # in the column `model`


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
    """Samples by set with `log_prob_<model>` of every model, from samples by model and set."""
    first = next(iter(samples.values()))
    return {
        key: sample._replace(
            statistics=pd.DataFrame({f"log_prob_{model}": found[key].statistics["log_prob"] for model, found in samples.items()})
        )
        for key, sample in first.items()
    }


def ranking(table: pd.DataFrame, pairs: Sequence[tuple[str, str]]) -> pd.DataFrame:
    """Scores by their worst AUROC over pairs (benchmark, out): model, score, worst, benchmark, out; best first.

    Only scores that have all pairs are ranked, so leaving out a hard pair does not help.
    """
    wanted = set(pairs)
    rows = table[[pair in wanted for pair in zip(table["benchmark"], table["out"], strict=True)]]
    counts = rows.groupby(["model", "score"])["auroc"].transform("size")
    worst = rows.loc[rows[counts == len(wanted)].groupby(["model", "score"])["auroc"].idxmin()]
    worst = worst.rename(columns={"auroc": "worst"})[["model", "score", "worst", "benchmark", "out"]]
    return worst.sort_values(["worst", "model", "score"], ascending=[False, True, True], ignore_index=True)
