"""The heat map of scores: one row per score, one column per pair of in-set and out-set; a cell is the AUROC."""

from collections.abc import Sequence

import numpy as np
import pandas as pd
from matplotlib.figure import Figure

from likelihood import scores
from likelihood.figures.titles import model_title, set_title

DARK = 0.36  # from this distance to one half on, a cell is so dark that its number is white


def score_title(model: str, score: str) -> str:
    """The title of a score of one model."""
    return f"{scores.get(score).title}, {model_title(model)}"


def heat_map(table: pd.DataFrame, rows: Sequence[tuple[str, str]], groups: dict[str, Sequence[tuple[str, str, str]]]) -> Figure:
    """AUROC of every score and pair.

    Arguments:
        table: columns model, score, benchmark, out, auroc.
        rows: (model, score), from the top.
        groups: by title, columns of the map as (benchmark, in-set, out-set); a gap stands between groups.
    """
    cells = table.set_index(["model", "score", "benchmark", "out"])["auroc"]
    widths = [len(columns) for columns in groups.values()]
    figure = Figure(figsize=(4.6 + 0.62 * sum(widths), 1.9 + 0.23 * len(rows)), layout="constrained")
    axes = figure.subplots(1, len(groups), sharey=True, width_ratios=widths, squeeze=False)[0]
    for ax, (title, columns) in zip(axes, groups.items(), strict=True):
        values = np.array([[cells.get((*row, benchmark, out), np.nan) for benchmark, _, out in columns] for row in rows])
        shown = ax.imshow(values, cmap="RdBu", vmin=0.0, vmax=1.0, aspect="auto")
        for (row, column), value in np.ndenumerate(values):
            if np.isfinite(value):
                color = "white" if abs(value - 0.5) > DARK else "black"
                ax.text(column, row, f"{value:.3f}"[:5], ha="center", va="center", fontsize=7, color=color)
        labels = [f"{set_title(inside)} → {set_title(out)}" for _, inside, out in columns]
        ax.set_xticks(range(len(columns)), labels, rotation=40, ha="left", rotation_mode="anchor", fontsize=8)
        ax.tick_params(length=0, top=False, labeltop=True, bottom=False, labelbottom=False)
        ax.set_xlabel(title)
        for spine in ax.spines.values():
            spine.set_visible(False)
    axes[0].set_yticks(range(len(rows)), [score_title(*row) for row in rows], fontsize=8)
    figure.colorbar(shown, ax=axes, shrink=0.4, label="AUROC; 0.5 is chance")
    return figure
