"""The figures of the claims of [1]: the parts of a flow's likelihood, constant images, contrast, training, entropy.

Each function returns a figure; likelihoods are bits/dim, lower is more likely. `outs` are all out-sets of the benchmark, also
those that a figure does not show, so that a set has one colour in all of them.

References:
    [1] Do deep generative models know what they don't know? (Nalisnick et al., 2019), https://arxiv.org/abs/1810.09136
    [2] Entropic issues in likelihood-based OOD detection (Caterini & Loaiza-Ganem, 2022), https://arxiv.org/abs/2109.10794
"""

from collections.abc import Mapping, Sequence

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from likelihood.common.units import Unit
from likelihood.figures.benchmark import colors, height, leave_room
from likelihood.figures.titles import AXIS, model_title, set_title

BINS = 80
HIGHEST = 3.0  # how far the likelihood of constant images is drawn above that of the in-set


def panels(models: Sequence[str], title: str, height: float = 3.4) -> tuple[Figure, dict[str, Axes]]:
    """A figure with one panel a model."""
    figure = Figure(figsize=(4.2 * len(models), height), layout="constrained")
    axes = dict(zip(models, np.atleast_1d(figure.subplots(1, len(models))), strict=True))
    for model, ax in axes.items():
        ax.set_title(model_title(model), fontweight="bold")
        ax.grid(axis="y", alpha=0.25)
    figure.suptitle(title, fontsize=11)
    return figure, axes


def label(name: str, in_name: str) -> str:
    """What a set is called in a legend."""
    return f"{set_title(in_name)} test" if name == "test" else set_title(name)


def split(parts: Mapping[str, Mapping[str, np.ndarray]], in_name: str, outs: Sequence[str]) -> Figure:
    """Histograms of the parts of a flow's log-likelihood, by title of the part and set, each (N,) in bits/dim."""
    figure = Figure(figsize=(4.6 * len(parts), 3.4), layout="constrained")
    for ax, (title, by_set) in zip(np.atleast_1d(figure.subplots(1, len(parts))), parts.items(), strict=True):
        every = np.concatenate(list(by_set.values()))
        low, high = np.quantile(every, [0.002, 0.998])
        edges = np.linspace(low, max(high, low + 1e-3), BINS + 1)
        palette = colors(outs)
        for name, values in by_set.items():
            ax.hist(values, edges, density=True, histtype="stepfilled", alpha=0.35, color=palette[name])
            ax.axvline(values.mean(), color=palette[name], linewidth=1.0, label=label(name, in_name))
        ax.set_yticks([])
        ax.set_xlabel(title)
        ax.legend(loc="best")
    figure.suptitle(f"Glow trained on {set_title(in_name)}: the parts of log p(x) (lines: means)", fontsize=11)
    return figure


def constants(
    by_model: Mapping[str, np.ndarray],
    means: Mapping[str, Mapping[str, float]],
    units: Mapping[str, Unit],
    in_name: str,
    outs: Sequence[str],
) -> Figure:
    """How likely a constant image is, by its grey level (256,), beside the means of the other sets."""
    title = f"Trained on {set_title(in_name)}: constant images by grey level"
    figure, axes = panels(list(by_model), title, height(3.4, len(outs) + 1))
    for model, ax in axes.items():
        others = [name for name in means[model] if name not in ("constant", "train")]
        test = means[model]["test"]
        top = 1.1 * max(min(np.quantile(by_model[model], 0.9), HIGHEST * test), test)
        title = set_title("constant") + (", cut off ↑" if by_model[model].max() > top else "")  # above stands the legend
        ax.plot(np.arange(256), np.minimum(by_model[model], top), color="black", linewidth=1.2, label=title)
        palette = colors(outs)
        for name in others:
            mean, title = means[model][name], f"mean of {label(name, in_name)}"
            if mean < top:
                ax.axhline(mean, color=palette[name], linestyle="--", label=title)
            else:
                ax.plot([], [], color=palette[name], linestyle="--", label=f"{title}, {mean:,.1f} ↑")
        leave_room(ax, top, len(ax.lines))
        ax.set_xlabel("grey level")
        ax.set_ylabel(f"{AXIS[units[model]]}   (↓ more likely)")
        ax.legend(loc="upper left")
    return figure


def lines(
    tables: Mapping[str, pd.DataFrame],
    units: Mapping[str, Unit],
    in_name: str,
    outs: Sequence[str],
    xlabel: str,
    title: str,
    reverse: bool = False,
) -> Figure:
    """Mean likelihood of every set along `at`, one panel a model, from columns at, set, mean.

    Where a set lies far above the in-set, the axis is logarithmic.
    """
    figure, axes = panels(list(tables), f"Trained on {set_title(in_name)}: {title}")
    for model, ax in axes.items():
        table = tables[model]
        palette = colors(outs)
        for name in table["set"].unique():
            rows = table[table["set"] == name].sort_values("at")
            ax.plot(rows["at"], rows["mean"], color=palette[name], marker="o", markersize=4, label=label(name, in_name))
        top = 1.3 * table.loc[table["set"] == "test", "mean"].max()
        if table["mean"].max() < top:
            ax.set_ylim(0.0, top)
        else:
            ax.set_yscale("log", base=2)
            ax.yaxis.set_major_formatter("{x:g}")
        ax.set_xlabel(xlabel)
        ax.set_ylabel(f"{AXIS[units[model]]}   (↓ more likely)")
        if reverse:
            ax.invert_xaxis()
        else:
            ax.xaxis.get_major_locator().set_params(integer=True)
    figure.legend(*ax.get_legend_handles_labels(), loc="outside lower center", ncols=6)
    return figure


def entropy(code: Mapping[str, float], by_model: Mapping[str, Mapping[str, float]], in_name: str, outs: Sequence[str]) -> Figure:
    """Mean bits/dim of every set under a model against those under the best codec, which stand for the set's entropy [2]."""
    figure, axes = panels(list(by_model), f"Trained on {set_title(in_name)}: −E log p = KL + H, compressed size for H", 3.9)
    palette = colors(outs)
    end = 1.08 * max(*code.values(), *(min(mean, 9.0) for found in by_model.values() for mean in found.values()))
    for model, ax in axes.items():
        ax.plot([0, end], [0, end], color="0.7", linewidth=1.0)
        for name, bits in code.items():
            mean = by_model[model][name]
            far = mean > end
            ax.plot(bits, min(mean, 0.97 * end), marker="^" if far else "o", color=palette[name], linestyle="none", markersize=7,
                    label=label(name, in_name) + (f", {mean:,.0f} ↑" if far else ""))  # fmt: skip
        ax.set_xlim(0.0, end)
        ax.set_ylim(0.0, end)
        ax.set_aspect("equal")
        ax.set_xlabel("compressed size, bits/dim")
        ax.set_ylabel("−log p, bits/dim")
        ax.legend(loc="lower right", fontsize=7)
    return figure
