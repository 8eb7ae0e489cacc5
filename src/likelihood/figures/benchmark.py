"""The figures of a benchmark: likelihood histograms in the manner of [1], loss curves and sample grids from what DVCLive wrote of
trainings, contact sheets, the heat map of scores, curves by severity. And how figures are saved.

References:
    [1] Do deep generative models know what they don't know? (Nalisnick et al., 2019), https://arxiv.org/abs/1810.09136, figure 2
"""

import textwrap
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

import matplotlib as mpl
import matplotlib.image
import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.patches import Patch

from likelihood.common.units import Unit
from likelihood.figures.titles import AXIS, model_title, set_title

mpl.use("Agg")
mpl.rcParams.update(
    {
        "font.size": 9,
        "axes.titlesize": 10,
        "axes.spines.top": False,
        "axes.spines.right": False,
        "axes.grid": False,
        "legend.frameon": False,
        "legend.fontsize": 8,
        "svg.hashsalt": "likelihood",
    }
)

# Okabe and Ito's colours, which colour-blind readers tell apart; the in-set has blues, the out-sets the others in order, then
# some of Tol's that differ from them.
IN_COLORS = {"train": "#56B4E9", "test": "#0072B2"}
OUT_COLORS = (
    "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#000000", "#7A7A7A", "#332288", "#999933", "#882255", "#44AA99",
)  # fmt: skip
HIGHEST = 3.0  # how far a bar may stand above those of the in-set
WIDEST_TITLE = 7.4  # inches that a title takes above a single panel
LEGEND_LINE = 0.2516  # inches of a line of a legend
FEW = 7  # lines of a legend for which a panel of the usual height has room
SHARE = 0.93  # of a figure's height, that a panel and its legend have
EACH = 8  # images at either end of a contact sheet
SIZE = 0.62  # inches of an image
LABEL = 18  # letters of a set's title in a line
FRAME = 190  # grey of the frames
DARK = 0.36  # from this distance to one half on, a cell is so dark that its number is white
CELL = 0.62  # inches of a cell's width
LETTER, BAR = 0.07, 0.9  # inches of a letter of a title, and of the scale beside the cells
KINDS_A_ROW = 5  # panels of corruptions
KIND_TITLES = {"jpeg": "JPEG", "rotation": "rotation by 90°, 180°", "flip": "flip: sideways, upside down"}  # severities 1, 2
DPI = 150


def colors(outs: Sequence[str]) -> dict[str, str]:
    """The colour of every set."""
    return IN_COLORS | {out: OUT_COLORS[i % len(OUT_COLORS)] for i, out in enumerate(outs)}


def height(usual: float, lines: int) -> float:
    """Inches of a figure: more than usual where legends have many lines, so that what they stand above keeps its size."""
    return usual + LEGEND_LINE / SHARE * max(0, lines - FEW)


def leave_room(ax: Axes, top: float, lines: int) -> None:
    """Let a legend of so many lines stand above what reaches from 0 to `top`."""
    ax.set_ylim(0.0, top / (SHARE - LEGEND_LINE * lines / ax.figure.get_figheight()))


def likelihood_histograms(
    table: pd.DataFrame, in_name: str, outs: Sequence[str], auroc: Mapping[str, Mapping[str, float]], bins: int
) -> Figure:
    """One panel a model: how likely the images of every set are.

    Arguments:
        table: columns model, unit, set, value; lower is more likely.
        in_name: name of the in-set.
        outs: names of the out-sets, in order.
        auroc: of -log p, by model and out-set.
        bins: number of bins across a panel.
    """
    models = list(table["model"].unique())
    size = (max(4.2 * len(models), WIDEST_TITLE), height(3.7, len(IN_COLORS) + len(outs)))
    figure = Figure(figsize=size, layout="constrained")
    for ax, model in zip(np.atleast_1d(figure.subplots(1, len(models))), models, strict=True):
        rows = table[table["model"] == model]
        histogram_panel(ax, rows, in_name, outs, auroc[model], bins)
        ax.set_title(model_title(model), fontweight="bold")
        ax.set_xlabel(f"{AXIS[rows['unit'].iloc[0]]}   (← more likely)")
    figure.suptitle(f"Trained on {set_title(in_name)}: which images does a model find likely?", fontsize=11)
    return figure


def histogram_panel(
    ax: Axes, rows: pd.DataFrame, in_name: str, outs: Sequence[str], auroc: Mapping[str, float], bins: int
) -> None:
    """Draw one model's histograms.

    The legend has the mean of a set that lies beyond the axis, with an arrow, or the share of its images that do, and says which
    bars are cut off: a few images all alike would else flatten every other histogram.
    """
    values = {name: group["value"].to_numpy() for name, group in rows.groupby("set")}
    low = min(0.0, *(float(np.quantile(v, 0.001)) for v in values.values()))
    high = 1.3 * float(np.quantile(values["test"], 0.99))
    edges = np.linspace(low, high, bins + 1)
    within = {name: x for name, x in values.items() if np.median(x) <= high}
    # Of all images, also those beyond the axis: the areas of two sets can be compared.
    density = {name: np.histogram(x, bins=edges)[0] / (len(x) * (edges[1] - edges[0])) for name, x in within.items()}
    top = min(max(d.max() for d in density.values()), HIGHEST * max(density[name].max() for name in IN_COLORS if name in density))
    palette, handles = colors(outs), []
    for name in (*(split for split in IN_COLORS if split in values), *outs):
        title = f"{set_title(in_name)} {name}" if name in IN_COLORS else set_title(name)
        label = f"{title} ({len(values[name]):,})" + ("" if name in IN_COLORS else f", AUROC {auroc[name]:.3f}")
        if name not in within:
            label += f", mean {values[name].mean():,.1f} →"
        else:
            beyond = (values[name] > high).mean()
            label += (f", {beyond:.0%} →" if beyond >= 0.01 else "") + (", cut off ↑" if density[name].max() > top else "")
            ax.stairs(np.minimum(density[name], top), edges, fill=True, color=palette[name], alpha=0.35)
            ax.stairs(np.minimum(density[name], top), edges, color=palette[name], linewidth=1.1)
        handles.append(Patch(facecolor=(palette[name], 0.35), edgecolor=palette[name], label=label))
    ax.set_xlim(low, high)
    leave_room(ax, top, len(handles))
    ax.set_yticks([])
    ax.set_ylabel("density of images")
    ax.legend(handles=handles, loc="upper left", handlelength=1.2)


def loss_curves(curves: Mapping[str, pd.DataFrame], in_name: str, epoch_images: Mapping[str, int]) -> Figure:
    """One panel a model: train and validation likelihood by epoch.

    Arguments:
        curves: by model, columns epoch, train, validation, unit.
        in_name: name of the in-set.
        epoch_images: images an epoch, by model.
    """
    figure = Figure(figsize=(max(4.2 * len(curves), WIDEST_TITLE), 3.2), layout="constrained")
    for ax, (model, curve) in zip(np.atleast_1d(figure.subplots(1, len(curves))), curves.items(), strict=True):
        marker = "o" if len(curve) <= 20 else None
        for split, color in (("train", IN_COLORS["train"]), ("validation", IN_COLORS["test"])):
            ax.plot(curve["epoch"], curve[split], color=color, marker=marker, markersize=4, label=split)
            last = curve[split].iloc[-1]
            ax.annotate(
                f"{last:.3f}",
                (curve["epoch"].iloc[-1], last),
                textcoords="offset points",
                xytext=(4, 7 if split == "train" else -7),
                fontsize=8,
                color=color,
                va="center",
                annotation_clip=False,
            )
        ax.set_title(model_title(model), fontweight="bold")
        ax.set_xlabel(f"epoch of {epoch_images[model]:,} images")
        ax.set_ylabel(AXIS[curve["unit"].iloc[0]])
        ax.xaxis.get_major_locator().set_params(integer=True)
        ax.margins(x=0.12, y=0.12)
        ax.grid(axis="y", alpha=0.25)
        ax.legend(loc="upper right")
    meaning = "likelihood of at most one draw; train is the epoch's mean, validation is at its end"
    figure.suptitle(f"Trained on {set_title(in_name)}: {meaning}", fontsize=10)
    return figure


def sample_grids(grids: Mapping[str, Mapping[str, np.ndarray]], in_name: str) -> Figure:
    """Rows are models, columns the epochs at which samples were kept.

    Arguments:
        grids: by model and what a title says, a picture (height, width, 3).
        in_name: name of the in-set.
    """
    columns = max(len(pictures) for pictures in grids.values())
    figure = Figure(figsize=(3.1 * columns, 3.4 * len(grids)), layout="constrained")
    axes = figure.subplots(len(grids), columns, squeeze=False)
    for row, (model, pictures) in zip(axes, grids.items(), strict=True):
        for ax in row:
            ax.set_axis_off()
        for ax, (title, picture) in zip(row, pictures.items(), strict=False):
            ax.imshow(picture, interpolation="nearest")
            ax.set_title(f"{model_title(model)}: {title}", fontsize=9)
    figure.suptitle(f"Trained on {set_title(in_name)}: samples by epoch", fontsize=11)
    return figure


def contact_sheet(
    sets: Mapping[str, tuple[np.ndarray, np.ndarray]],
    in_name: str,
    title: str,
    ends: tuple[str, str],
    between: Callable[[float, float], str],
) -> Figure:
    """A row a set: its EACH images with the lowest values on the left, its EACH with the highest on the right.

    Arguments:
        sets: by name, `test` being the in-set's: uint8 images (N, C, H, W) and a value of each (N,).
        in_name: name of the in-set.
        title: of the figure.
        ends: what the images on the left are, and those on the right.
        between: what stands above images, whose first and last value it is given.
    """
    height, left = (SIZE + 0.42) * len(sets) + 0.7, 0.14
    figure = Figure(figsize=(SIZE * (2 * EACH + 4), height))
    grid = figure.add_gridspec(len(sets), 2, left=left, right=0.99, top=1 - 0.72 / height, bottom=0.02, wspace=0.04)
    for row, (name, (images, values)) in enumerate(sets.items()):
        order = np.argsort(values, kind="stable")
        count = min(EACH, len(order))
        for column, chosen in enumerate((order[:count], order[len(order) - count :])):
            ax = figure.add_subplot(grid[row, column])
            ax.imshow(strip(images[chosen]), cmap="gray", vmin=0, vmax=255, interpolation="nearest")
            ax.set_axis_off()
            ax.set_title(between(values[chosen[0]], values[chosen[-1]]), fontsize=8, loc="left", pad=2)
        label, weight = (f"{set_title(in_name)} test", "bold") if name == "test" else (set_title(name), "normal")
        label = textwrap.fill(label, LABEL)
        place = grid[row, 0].get_position(figure)
        figure.text(0.01, (place.y0 + place.y1) / 2, label, va="center", fontsize=9, fontweight=weight)
    for column, end in enumerate(ends):
        figure.text(grid[0, column].get_position(figure).x0, 1 - 0.5 / height, end, fontsize=9, va="bottom")
    figure.suptitle(title, fontsize=11, y=1 - 0.1 / height, va="top")
    return figure


def likeliest(sets: Mapping[str, tuple[np.ndarray, np.ndarray]], model: str, in_name: str, unit: Unit) -> Figure:
    """The contact sheet of a model's most and least likely images; values are in `unit`, lower is more likely."""
    title = f"{model_title(model)} of {set_title(in_name)}: the images it finds most and least likely"
    return contact_sheet(
        sets, in_name, title, ("most likely", "least likely"), lambda low, high: f"{low:.2f} … {high:.2f} {AXIS[unit]}"
    )


def missed(sets: Mapping[str, tuple[np.ndarray, np.ndarray]], score: str, in_name: str) -> Figure:
    """The contact sheet of the images that are least and most outlying by a score of this title; values are its own."""
    known = sets["test"][1]

    def above(low: float, high: float) -> str:
        first, last = (int(100 * np.mean(known < value)) for value in (low, high))  # only above all of them is it 100
        share = f"{first} %" if first == last else f"{first} to {last} %"
        return f"more outlying than {'all' if first == 100 else f'{share} of'} test images"

    title = f"Trained on {set_title(in_name)}: the least and the most outlying images, by {score}"
    return contact_sheet(sets, in_name, title, ("least outlying", "most outlying"), above)


def strip(images: np.ndarray) -> np.ndarray:
    """Images (n, C, H, W) beside each other, each in a frame that shows where a white one ends: (H + 2, W') or (H + 2, W', 3)."""
    framed = np.pad(images, ((0, 0), (0, 0), (1, 1), (1, 1)), constant_values=FRAME)
    wide = np.concatenate([framed[0], *framed[1:, ..., 1:]], axis=2)
    return wide[0] if len(wide) == 1 else wide.transpose(1, 2, 0)


def read_curve(folder: Path) -> pd.DataFrame:
    """A training's curve, from its `plots`: columns epoch, images (seen by then), train, validation, unit."""
    (train,) = (folder / "metrics" / "train").glob("*.tsv")
    unit = train.stem
    columns = {
        "images": folder / "metrics" / "images.tsv",
        "train": train,
        "validation": train.parents[1] / "validation" / train.name,
    }
    curve = pd.DataFrame({name: pd.read_csv(path, sep="\t", index_col="step").iloc[:, -1] for name, path in columns.items()})
    return curve.rename_axis("epoch").reset_index().assign(unit=unit)


def read_grids(folder: Path, epoch_images: int) -> dict[str, np.ndarray]:
    """A training's grids of samples by what their titles say of them, from its `plots`.

    A model whose pictures are no samples (`picture` of models/shared/base.py) has a grid of samples beside them, the last.
    """
    samples = folder / "images" / "samples"
    epochs = {int(path.stem.removeprefix("epoch_")): path for path in samples.glob("epoch_*.png")}
    drawn = (samples / "drawn.png").exists()
    meant = "means of pixels, " if drawn else ""
    titles = {f"{meant}epoch {epoch}\n({epoch * epoch_images:,} images)": epochs[epoch] for epoch in sorted(epochs)}
    if drawn:
        titles["drawn pixels,\nbest epoch"] = samples / "drawn.png"
    return {title: matplotlib.image.imread(path) for title, path in titles.items()}


def of_models(folders: Mapping[str, Path], in_name: str) -> dict[str, Figure]:
    """Curves and samples of several trainings, by row name; `folders` are their `plots`."""
    curves = {row: read_curve(folder) for row, folder in folders.items()}
    epoch_images = {row: int(curve["images"].iloc[0]) for row, curve in curves.items()}
    grids = {row: read_grids(folder, epoch_images[row]) for row, folder in folders.items()}
    return {
        "curves": loss_curves(curves, in_name, epoch_images),
        "samples": sample_grids(grids, in_name),
    }


def of_variant(folder: Path, row: str, in_name: str) -> dict[str, Figure]:
    """Curves and samples of a variant, of each of its seeds if it names several; `folder` is that of its metrics."""
    seeds = sorted(folder.glob("seed_*"), key=lambda path: int(path.name.removeprefix("seed_")))
    rows = {f"{row}, {path.name.replace('_', ' ')}": path / "plots" for path in seeds} or {row: folder / "plots"}
    return of_models(rows, in_name)


def save(figures: Mapping[str, Figure], folder: Path, dpi: int = DPI) -> None:
    """Write each figure to <name>.png, the same bytes every time."""
    for name, figure in figures.items():
        figure.savefig(folder / f"{name}.png", dpi=dpi, metadata={"Software": None})


def heat_map(
    table: pd.DataFrame, rows: Mapping[tuple[str, str], str], groups: Mapping[str, Sequence[tuple[str, str, str]]]
) -> Figure:
    """AUROC of every score and pair.

    Arguments:
        table: columns model, score, benchmark, out, auroc.
        rows: titles by (model, score), from the top.
        groups: by title, columns of the map as (benchmark, in-set, out-set); a gap stands between groups.
    """
    cells = table.set_index(["model", "score", "benchmark", "out"])["auroc"]
    widths = [len(columns) for columns in groups.values()]
    labels = {title: [f"{set_title(inside)} → {set_title(out)}" for _, inside, out in pairs] for title, pairs in groups.items()}
    # Beside the cells stand the titles of rows, and the last column's, which is slanted.
    beside = LETTER * (max(map(len, rows.values())) + 0.8 * len(list(labels.values())[-1][-1])) + BAR
    figure = Figure(figsize=(beside + CELL * sum(widths), 1.9 + 0.23 * len(rows)), layout="constrained")
    axes = figure.subplots(1, len(groups), sharey=True, width_ratios=widths, squeeze=False)[0]
    for ax, (title, columns) in zip(axes, groups.items(), strict=True):
        values = np.array([[cells.get((*row, benchmark, out), np.nan) for benchmark, _, out in columns] for row in rows])
        shown = ax.imshow(values, cmap="RdBu", vmin=0.0, vmax=1.0, aspect="auto")
        for (row, column), value in np.ndenumerate(values):
            if np.isfinite(value):
                color = "white" if abs(value - 0.5) > DARK else "black"
                ax.text(column, row, f"{value:.3f}", ha="center", va="center", fontsize=7, color=color)
        ax.set_xticks(range(len(columns)), labels[title], rotation=40, ha="left", rotation_mode="anchor", fontsize=8)
        ax.tick_params(length=0, top=False, labeltop=True, bottom=False, labelbottom=False)
        ax.set_xlabel(title)
        for spine in ax.spines.values():
            spine.set_visible(False)
    axes[0].set_yticks(range(len(rows)), list(rows.values()), fontsize=8)
    length = min(1.0, max(0.4, 5 / len(rows)))  # of the scale, whose words need some room
    bar = figure.colorbar(shown, ax=axes, shrink=length, ticks=[0.0, 0.5, 1.0], label="AUROC")
    bar.ax.set_yticklabels(["0", "0.5, chance", "1"])
    return figure


def severity_curves(table: pd.DataFrame, lines: Mapping[str, str], title: str, label: str, log: bool = False) -> Figure:
    """One panel a kind of corruption: a value by severity.

    Arguments:
        table: columns line, kind, severity, value; severity 0, before any corruption, may be missing.
        lines: titles by line, in order.
        title: of the figure.
        label: of the values.
        log: whether the values span orders of magnitude.
    """
    kinds = [kind for kind in dict.fromkeys(table["kind"]) if kind]
    rows = -(-len(kinds) // KINDS_A_ROW)
    figure = Figure(figsize=(2.3 * KINDS_A_ROW, 2.1 * rows + 1.0), layout="constrained")
    axes = figure.subplots(rows, KINDS_A_ROW, sharey=True, squeeze=False)
    for ax in axes.flat[len(kinds) :]:
        ax.set_visible(False)
    palette = dict(zip(lines, (*IN_COLORS.values(), *OUT_COLORS), strict=False))
    for ax, kind in zip(axes.flat, kinds, strict=False):
        chosen = table[table["kind"].isin((kind, ""))]
        for line in lines:
            found = chosen[chosen["line"] == line].sort_values("severity")
            ax.plot(found["severity"], found["value"], color=palette[line], marker="o", markersize=3, label=lines[line])
        ax.set_title(KIND_TITLES.get(kind, kind))
        ax.set_xticks(sorted(chosen["severity"].unique()))
        ax.grid(axis="y", alpha=0.25)
    if log:
        axes[0, 0].set_yscale("log", base=2)
        axes[0, 0].yaxis.set_major_formatter("{x:g}")
    for row in axes:
        row[0].set_ylabel(label)
    for ax in axes.flat[max(0, len(kinds) - KINDS_A_ROW) : len(kinds)]:  # those with none below
        ax.set_xlabel("severity")
    figure.suptitle(title, fontsize=11)
    figure.legend(*axes[0, 0].get_legend_handles_labels(), loc="outside lower center", ncols=3)
    return figure
