"""The figures of maps: which pixels cost a model how many bits, of single images and on average, set by set; and of how many
fewer or more than they cost another model, whose sum is the likelihood ratio.
"""

from collections.abc import Mapping
from typing import NamedTuple

import numpy as np
from matplotlib.axes import Axes
from matplotlib.cm import ScalarMappable
from matplotlib.colors import Normalize
from matplotlib.figure import Figure

from likelihood.common.units import Unit
from likelihood.figures.titles import BLIND, model_title, set_title

# Sets whose images may stand in a committed figure: of their licence, or made. Of all others there are only maps.
PUBLIC = {
    "fashion_mnist", "fashion_tops", "fashion_other", "mnist", "mnist_low", "mnist_high", "mnist_5k", "omniglot28",
    "noise", "constant",
}  # fmt: skip
PLACE = 0.8  # inches of a panel
GAP = 0.4  # of a panel, between two images
JUDGE = "pixelcnn"  # the model that says which images are likely
HEADS = (f"most likely, {model_title(JUDGE)}", "at random", f"least likely, {model_title(JUDGE)}")


class Model(NamedTuple):
    """What the figure calls a model, or the difference of two."""

    row: str  # its name, or <name>_binarised
    unit: Unit
    signed: bool = False  # a difference: its scale has two ends

    def colors(self, channels: int) -> ScalarMappable:
        """The colours of bits per pixel of images of so many channels."""
        end = BLIND[self.unit] * channels
        if self.signed:
            return ScalarMappable(Normalize(-end / 2, end / 2), "RdBu_r")
        return ScalarMappable(Normalize(0.0, end), "magma")


class Maps(NamedTuple):
    """What is shown of a set."""

    images: np.ndarray  # uint8 (n, C, H, W), the most likely one first, the least likely one last
    maps: Mapping[str, np.ndarray]  # by model, (n, H, W) in bits per pixel
    means: Mapping[str, np.ndarray]  # by model, (H, W) in bits per pixel; none where only images are shown


def maps(
    sets: Mapping[str, Maps], models: Mapping[str, Model], in_name: str, title: str = "where the bits of an image are"
) -> Figure:
    """A row per set: images, each followed by its map under every model, then the mean maps.

    Arguments:
        sets: by name, `test` being the in-set's.
        models: by name.
        in_name: name of the in-set.
        title: what is seen.
    """
    columns = [(head, what) for head in HEADS for what in ("image", *models)]
    columns += [("mean of the set", what) for what in models if what in sets["test"].means]
    widths: list[float] = []
    for number, (head, _) in enumerate(columns):
        widths += ([GAP] if number and head != columns[number - 1][0] else []) + [1.0]
    differences = [model for model in models.values() if model.signed]
    left, top, bottom = 1.4, 1.15, 1.05 if differences else 0.75
    width, height = left + PLACE * sum(widths) + 0.1, top + PLACE * len(sets) + bottom
    figure = Figure(figsize=(width, height))
    grid = figure.add_gridspec(
        len(sets), len(widths), width_ratios=widths, left=left / width, right=1 - 0.1 / width, top=1 - top / height,
        bottom=bottom / height, wspace=0.05, hspace=0.08,
    )  # fmt: skip
    places = [number for number, each in enumerate(widths) if each != GAP]
    channels = next(iter(sets.values())).images.shape[1]
    palettes = {name: model.colors(channels) for name, model in models.items()}
    for line, (name, found) in enumerate(sets.items()):
        source = in_name if name == "test" else name
        for place, (head, what) in zip(places, columns, strict=True):
            ax = figure.add_subplot(grid[line, place])
            number = chosen(head, len(found.images))
            if head in HEADS and number is None:
                ax.set_axis_off()
            else:
                panel(ax, found, number, what, source in PUBLIC, palettes.get(what))
                if what in models and models[what].signed:
                    sum_of(ax, found.maps[what][number])
            if line == 0:
                name_of = "image" if what == "image" else model_title(models[what].row).replace(", ", ",\n").replace(" P", "\nP")
                ax.set_title(name_of, fontsize=9, pad=3)
        box = grid[line, 0].get_position(figure)
        label = set_title(source).replace(" ", "\n", 1) + ("\ntest" if name == "test" else "")
        weight = "bold" if name == "test" else "normal"
        figure.text(0.08 / width, (box.y0 + box.y1) / 2, label, fontsize=10, fontweight=weight, va="center")
    for head in dict.fromkeys(head for head, _ in columns):
        own = [place for place, (each, _) in zip(places, columns, strict=True) if each == head]
        first, last = grid[0, own[0]].get_position(figure), grid[0, own[-1]].get_position(figure)
        figure.text((first.x0 + last.x1) / 2, 1 - 0.68 / height, head, fontsize=11, ha="center", fontweight="bold")
    ends = sorted({palette.norm.vmax for name, palette in palettes.items() if not models[name].signed}, reverse=True)
    text = f"bits per pixel: bright is what a model did not expect; {ends[0]:.0f} is a blind guess"
    if len(ends) > 1:
        text += "\n(of binarised images the scale ends at 1 per value)"
    widest = next(palette for name, palette in palettes.items() if not models[name].signed and palette.norm.vmax == ends[0])
    scale(figure, widest, left / width, bottom - 0.33, text)
    if differences:
        text = "how many more bits per pixel the first model needs than the second;\nthe number in each map is their sum"
        scale(figure, differences[0].colors(channels), left / width, bottom - 0.78, text)
    figure.suptitle(f"Trained on {set_title(in_name)}: {title}", fontsize=12, y=1 - 0.12 / height, va="top")
    return figure


def chosen(head: str, count: int) -> int | None:
    """Which of so many images stands below a head; none below that of the means, and where there are too few."""
    if head not in HEADS or HEADS.index(head) >= count:
        return None
    return {HEADS[0]: 0, HEADS[-1]: count - 1}.get(head, HEADS.index(head))


def panel(ax: Axes, found: Maps, number: int | None, what: str, public: bool, palette: ScalarMappable | None) -> None:
    """Draw one image, or its map under one model; without a number the mean map."""
    ax.set_xticks([])
    ax.set_yticks([])
    for spine in ax.spines.values():
        spine.set_visible(True)
        spine.set_linewidth(0.4)
        spine.set_color("#999999")
    if palette is not None:
        ax.imshow(found.means[what] if number is None else found.maps[what][number], cmap=palette.cmap, norm=palette.norm)
    elif public:
        image = found.images[number]
        ax.imshow(image[0] if len(image) == 1 else image.transpose(1, 2, 0), cmap="gray", vmin=0, vmax=255)
    else:
        ax.text(0.5, 0.5, "not\nshown", fontsize=8, ha="center", va="center", transform=ax.transAxes, color="#666666")
        ax.set_box_aspect(1)


def sum_of(ax: Axes, bits: np.ndarray) -> None:
    """Write the sum of a map of differences into it."""
    box = {"facecolor": "white", "edgecolor": "none", "alpha": 0.75, "pad": 0.8}
    total = f"{bits.sum():+,.0f} bits".replace("-", "−")
    ax.text(0.5, 0.04, total, fontsize=7, ha="center", va="bottom", transform=ax.transAxes, bbox=box)


def scale(figure: Figure, palette: ScalarMappable, left: float, above: float, text: str) -> None:
    """Draw a scale of colours, so many inches above the lower edge, and say what they mean."""
    height = figure.get_figheight()
    axes = figure.add_axes((left, above / height, 0.3, 0.12 / height))
    figure.colorbar(palette, cax=axes, orientation="horizontal", extend="both")
    axes.tick_params(labelsize=9)
    figure.text(left + 0.31, (above + 0.06) / height, text, fontsize=10, va="center")
