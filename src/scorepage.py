"""Texts about scores that readme.py writes: the best ones for README, and docs/scores.md with all of them."""

import json
from pathlib import Path
from typing import Any

import pandas as pd

from likelihood.figures import set_title
from likelihood.heatmap import score_title
from likelihood.scores import base as scores

SHOWN = 8  # single-image scores in README, besides those in KEPT
KEPT = {("vae", "log_prob"), ("pixelcnn", "log_prob"), ("glow", "log_prob"), ("none", "png_size"), ("none", "png_distance")}


def seconds(value: float) -> str:
    """Seconds per 1,000 images, or a dash where nothing was timed."""
    return "–" if pd.isna(value) else f"{value:.2g}"


def ranked(table: pd.DataFrame, ranking: dict[str, dict[str, float]], entries: dict[str, Any], rows: int | None) -> str:
    """The Markdown table of scores by their worst natural pair; of `rows` best single-image ones and KEPT, or of all."""
    order = sorted(((worst, model, name) for model, found in ranking.items() for name, worst in found.items()), reverse=True)
    lines = [
        "| | score | worst AUROC | on | seconds per 1,000 colour images |",
        "|--:|---|--:|---|--:|",
    ]
    singles = 0
    for place, (worst, model, name) in enumerate(order, 1):
        batch = scores.get(name).batch
        singles += batch == 1
        if rows is not None and (model, name) not in KEPT and (batch > 1 or singles > rows):
            continue
        found = table[(table["model"] == model) & (table["score"] == name)]
        at = found[found["auroc"] == worst].iloc[0]
        cost = found.loc[found["benchmark"] == "cifar10_30k", "seconds"]
        pair = f"{set_title(entries[at['benchmark']]['in'])} → {set_title(at['out'])}"
        lines.append(
            f"| {place} | {score_title(model, name)} | {worst:.3f} | {pair} |"
            f" {seconds(cost.iloc[0] if len(cost) else float('nan'))} |"
        )
    return "\n".join(lines)


def page(table: pd.DataFrame, ranking: dict[str, dict[str, float]], entries: dict[str, Any]) -> str:
    """docs/scores.md."""
    parts = [
        "# Scores\n\nEvery score on every pair of every benchmark; the [README](../README.md#scores-that-do-know) says how they"
        " are compared. Written by `python src/readme.py` from `metrics/scores.csv`, `metrics/ranking.json` and"
        " `metrics/*/ood/codecs.json`.",
        "## By the worst natural pair\n\n" + ranked(table, ranking, entries, None),
    ]
    for benchmark, found in table.groupby("benchmark", sort=False):
        versions = json.loads(Path(f"metrics/{benchmark}/ood/codecs.json").read_text(encoding="utf-8"))
        lines = [
            f"## {benchmark}\n\nTrained on {set_title(entries[benchmark]['in'])}. Codecs: "
            + "; ".join(f"{codec}: {version}" for codec, version in versions.items())
            + ".\n",
            "| score | out-set | n | AUROC [95 %] | AUPRC | FPR95 | seconds per 1,000 images |",
            "|---|---|--:|--:|--:|--:|--:|",
        ]
        for row in found.itertuples():
            lines.append(
                f"| {score_title(row.model, row.score)} | {set_title(row.out)} | {row.n:,} | {row.auroc:.3f}"
                f" [{row.auroc_low:.3f}, {row.auroc_high:.3f}] | {row.auprc:.3f} | {row.fpr95:.3f} | {seconds(row.seconds)} |"
            )
        parts.append("\n".join(lines))
    return "\n\n".join(parts) + "\n"
