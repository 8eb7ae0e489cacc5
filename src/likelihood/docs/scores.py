"""The tables of scores: the best ones for README, all of them for docs/scores.md."""

import json
from collections.abc import Collection
from pathlib import Path
from typing import Any

import pandas as pd

from likelihood import scores
from likelihood.common.errors import InputError
from likelihood.common.params import MODELS
from likelihood.docs import tables
from likelihood.figures.titles import model_title, score_title, set_title

SHOWN = 8  # how many single-image scores README shows, besides those in KEPT
HEADS = ("score", "name", "out-set", "use", "n", "AUROC [95 %]", "AUPRC", "FPR95", "seconds per 1,000 images")
KEPT = {("vae", "log_prob"), ("pixelcnn", "log_prob"), ("glow", "log_prob"), ("none", "png_size"), ("none", "png_distance")}


def seconds(value: float) -> str:
    """Seconds per 1,000 images, or a dash when not timed."""
    return "–" if pd.isna(value) else f"{value:.2g}" if value < 10.0 else f"{value:,.0f}"


def ranked(table: pd.DataFrame, ranking: dict[str, Any], entries: dict[str, Any], rows: int | None) -> str:
    """The Markdown table of scores by their worst far pair: the `rows` best single-image scores and KEPT, or all."""
    far = ((worst, model, name) for model, found in ranking["far"].items() for name, worst in found.items())
    cells = []
    singles = 0
    for place, (worst, model, name) in enumerate(sorted(far, reverse=True), 1):
        batch = scores.get(name).batch
        singles += batch == 1
        if rows is not None and (model, name) not in KEPT and (batch > 1 or singles > rows):
            continue
        found = table[(table["model"] == model) & (table["score"] == name)]
        pairs = found[(found["auroc"] == worst) & (found["use"] == "far")]
        if pairs.empty:
            raise InputError("metrics/ranking.json and metrics/scores.csv are of different runs: run `dvc repro rank`")
        at = pairs.iloc[0]
        cost = found.loc[found["benchmark"] == "cifar10_30k", "seconds"]
        pair = f"{set_title(entries[at['benchmark']]['in'])} → {set_title(at['out'])}"
        spent = seconds(cost.iloc[0] if len(cost) else float("nan"))
        others = (ranking[use].get(model, {}).get(name) for use in ("near", "development"))
        title = score_title(model, scores.get(name).title)
        cells.append((place, title, f"{worst:.3f}", pair, *("–" if one is None else f"{one:.3f}" for one in others), spent))
    heads = ("", "score", "worst far pair", "which", "worst near pair", "mean of development", "seconds per 1,000 colour images")
    return tables.markdown("rlrlrrr", heads, cells)


KEYS = ["benchmark", "model", "score", "out"]


def over_seeds(folder: Path, name: str = "seeds") -> pd.DataFrame:
    """The tables over seeds of all benchmarks in a folder: AUROC of every score (`seeds`) or `likelihoods`."""
    files = sorted(folder.glob(f"[!.]*/[!.]*/{name}.csv"))
    return pd.concat([pd.read_csv(file) for file in files], ignore_index=True) if files else pd.DataFrame(columns=KEYS)


def mean_and_deviation(row: Any) -> str:  # noqa: ANN401
    """Mean ± standard deviation of AUROC over seeds."""
    return f"{row.auroc_mean:.3f} ± {row.auroc_std:.3f}"


def ensembles(
    table: pd.DataFrame, seeds: pd.DataFrame, likelihoods: pd.DataFrame, entries: dict[str, Any], made: Collection[str]
) -> str:
    """The Markdown table of models of several seeds, on all pairs of sets of pictures that their ensemble has met.

    A family of one's own has no ensemble, and a pair that was put in or taken out since is in one of the tables alone.
    """
    heads = ("trained on", "out-set", "model", "bits/dim test", "bits/dim out-set", "AUROC of −log p", "[95 %] over images")
    rows = []
    cells = table.set_index(["benchmark", "model", "score", "out"])
    for name, entry in entries.items():
        found = seeds[(seeds["benchmark"] == name) & (seeds["score"] == "log_prob")]
        for row in (row for row in found.itertuples() if row.out not in made):
            keys = [(name, row.model, score, row.out) for score in ("log_prob", "ensemble", "waic")]
            if not all(key in cells.index for key in keys):
                continue
            one, *both = (cells.loc[key] for key in keys)
            means = likelihoods[(likelihoods["benchmark"] == name) & (likelihoods["model"] == row.model)].set_index("set")
            bits = [f"{means.loc[key, 'mean']:.3f} ± {means.loc[key, 'std']:.3f}" for key in ("test", row.out)]
            titles = (set_title(entry["in"]), set_title(row.out), model_title(row.model))
            interval = f"[{one['auroc_low']:.3f}, {one['auroc_high']:.3f}]"
            rows.append((*titles, *bits, mean_and_deviation(row), interval, *(f"{cell['auroc']:.3f}" for cell in both)))
    return tables.markdown("lllrrrrrr", (*heads, "−log of the seeds' mean p", "WAIC"), rows)


def close_table(table: pd.DataFrame, entries: dict[str, Any], made: Collection[str]) -> str:
    """The Markdown table of near pairs, and of those of pictures for development: AUROC of -log p, and the best of all scores."""
    plain = [(model, "log_prob") for model in MODELS]
    heads = ("trained on", "out-set", "use", *(f"−log p, {model_title(model)}" for model, _ in plain))
    rows = []
    for name, entry in entries.items():
        every = table[(table["benchmark"] == name) & (table["use"] != "far") & ~table["out"].isin(made)]
        for out, found in every.groupby("out", sort=False):
            auroc = found.set_index(["model", "score"])["auroc"]
            batch = pd.Series([scores.get(score).batch for _, score in auroc.index], auroc.index)
            best = []
            for chosen in (auroc[batch == 1], auroc[batch == batch.max()]):
                model, score = chosen.idxmax()
                best.append(f"{chosen.max():.3f}, {score_title(model, scores.get(score).title)}")
            values = (f"{auroc[key]:.3f}" if key in auroc else "–" for key in plain)
            rows.append((set_title(entry["in"]), set_title(out), found["use"].iloc[0], *values, *best))
    heads = (*heads, "best of one image", "best of the largest groups")
    return tables.markdown("lllrrrll", heads, rows)


def seeds_table(found: pd.DataFrame) -> str:
    """The Markdown table of every score over the seeds of its model, for one benchmark."""
    rows = [
        (
            score_title(row.model, scores.get(row.score).title),
            set_title(row.out),
            row.seeds,
            mean_and_deviation(row),
            f"{row.auroc_least:.3f}",
            f"{row.auroc_greatest:.3f}",
        )
        for row in found.itertuples()
    ]
    head = "### Over seeds\n\nAUROC over models of different seeds: mean ± standard deviation, smallest and largest.\n\n"
    return head + tables.markdown("llrrrr", ("score", "out-set", "seeds", "AUROC", "smallest", "largest"), rows)


def page(
    table: pd.DataFrame, seeds: pd.DataFrame, ranking: dict[str, Any], entries: dict[str, Any], timing: dict[str, Any]
) -> str:
    """docs/scores.md; `timing` is what bench/scores.json has."""
    parts = [
        "# Scores\n\nEvery score on every pair of every benchmark; [science.md](science.md#what-helps) explains how they are"
        " compared. Written by `likelihood docs` from `metrics/scores.csv`, `metrics/ranking.json` and"
        " `metrics/*/ood/codecs.json`; the tables over seeds from `metrics/scores/*/*/seeds.csv`. Seconds are from the pixels to"
        f" the score, with {timing['images']} images on {tables.machine(timing)} ([scores.py](../bench/scores.py)); variants"
        " by themselves and gradients of colour images are not timed (–).",
        "## By the worst far pair\n\n" + ranked(table, ranking, entries, None),
    ]
    for benchmark, found in table.groupby("benchmark", sort=False):
        versions = json.loads(Path(f"metrics/{benchmark}/ood/codecs.json").read_text(encoding="utf-8"))
        coded = "; ".join(f"{codec}: {version}" for codec, version in versions.items())
        rows = [
            (
                score_title(row["model"], scores.get(row["score"]).title),
                f"`{row['model']}.{row['score']}`",
                set_title(row["out"]),
                row["use"],
                f"{row['n']:,}",
                tables.interval(row),
                f"{row['auprc']:.3f}",
                f"{row['fpr95']:.3f}",
                seconds(row["seconds"]),
            )
            for row in found.to_dict("records")
        ]
        parts.append(f"## {benchmark}\n\nTrained on {set_title(entries[benchmark]['in'])}. Codecs: {coded}.")
        parts.append(tables.markdown("llllrrrrr", HEADS, rows))
        if (seeds["benchmark"] == benchmark).any():
            parts.append(seeds_table(seeds[seeds["benchmark"] == benchmark]))
    return "\n\n".join(parts) + "\n"
