"""The figure of maps: which pixels cost a model how many bits, of single images and on average, set by set."""

from collections.abc import Mapping, Sequence
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
HEADS = ("most likely", "at random", "least likely")  # under the model that chose the images


class Model(NamedTuple):
    """What the figure calls a model."""

    row: str  # its name, or <name>_binarised
    unit: Unit


class Maps(NamedTuple):
    """What is shown of a set."""

    images: np.ndarray  # uint8 (n, C, H, W), the most likely one first, the least likely one last
    maps: Mapping[str, np.ndarray]  # by model, (n, H, W) in bits per pixel
    means: Mapping[str, np.ndarray]  # by model, (H, W) in bits per pixel


def maps(sets: Mapping[str, Maps], models: Mapping[str, Model], in_name: str) -> Figure:
    """A row per set: images, each followed by its map under every model, then the mean maps.

    Arguments:
        sets: by name, `test` being the in-set's.
        models: by name.
        in_name: name of the in-set.
    """
    columns = [(head, what) for head in HEADS for what in ("image", *models)] + [("mean of the set", what) for what in models]
    widths: list[float] = []
    for number, (head, _) in enumerate(columns):
        widths += ([GAP] if number and head != columns[number - 1][0] else []) + [1.0]
    left, top, bottom = 1.4, 1.15, 0.75
    width, height = left + PLACE * sum(widths) + 0.1, top + PLACE * len(sets) + bottom
    figure = Figure(figsize=(width, height))
    grid = figure.add_gridspec(
        len(sets), len(widths), width_ratios=widths, left=left / width, right=1 - 0.1 / width, top=1 - top / height,
        bottom=bottom / height, wspace=0.05, hspace=0.08,
    )  # fmt: skip
    places = [number for number, each in enumerate(widths) if each != GAP]
    channels = next(iter(sets.values())).images.shape[1]
    norms = {name: Normalize(0.0, BLIND[model.unit] * channels) for name, model in models.items()}
    for line, (name, found) in enumerate(sets.items()):
        source = in_name if name == "test" else name
        for place, (head, what) in zip(places, columns, strict=True):
            ax = figure.add_subplot(grid[line, place])
            number = chosen(head, len(found.images))
            if head in HEADS and number is None:
                ax.set_axis_off()
            else:
                panel(ax, found, number, what, source in PUBLIC, norms.get(what))
            if line == 0:
                title = "image" if what == "image" else model_title(models[what].row).replace(", ", ",\n").replace(" P", "\nP")
                ax.set_title(title, fontsize=9, pad=3)
        box = grid[line, 0].get_position(figure)
        title = f"{set_title(in_name)}\ntest" if name == "test" else set_title(name).replace(" ", "\n", 1)
        weight = "bold" if name == "test" else "normal"
        figure.text(0.08 / width, (box.y0 + box.y1) / 2, title, fontsize=10, fontweight=weight, va="center")
    for head in dict.fromkeys(head for head, _ in columns):
        own = [place for place, (each, _) in zip(places, columns, strict=True) if each == head]
        first, last = grid[0, own[0]].get_position(figure), grid[0, own[-1]].get_position(figure)
        figure.text((first.x0 + last.x1) / 2, 1 - 0.68 / height, head, fontsize=11, ha="center", fontweight="bold")
    scale(figure, list(norms.values()), left / width, height)
    figure.suptitle(
        f"Trained on {set_title(in_name)}: where the bits of an image are", fontsize=12, y=1 - 0.12 / height, va="top"
    )
    return figure


def chosen(head: str, count: int) -> int | None:
    """Which of so many images stands below a head; none below that of the means, and where there are too few."""
    if head not in HEADS or HEADS.index(head) >= count:
        return None
    return {HEADS[0]: 0, HEADS[-1]: count - 1}.get(head, HEADS.index(head))


def panel(ax: Axes, found: Maps, number: int | None, what: str, public: bool, norm: Normalize | None) -> None:
    """Draw one image, or its map under one model; without a number the mean map."""
    ax.set_xticks([])
    ax.set_yticks([])
    for spine in ax.spines.values():
        spine.set_visible(True)
        spine.set_linewidth(0.4)
        spine.set_color("#999999")
    if what != "image":
        ax.imshow(found.means[what] if number is None else found.maps[what][number], cmap="magma", norm=norm)
    elif public:
        image = found.images[number]
        ax.imshow(image[0] if len(image) == 1 else image.transpose(1, 2, 0), cmap="gray", vmin=0, vmax=255)
    else:
        ax.text(0.5, 0.5, "not\nshown", fontsize=8, ha="center", va="center", transform=ax.transAxes, color="#666666")
        ax.set_box_aspect(1)


def scale(figure: Figure, norms: Sequence[Normalize], left: float, height: float) -> None:
    """Draw the scale of the first model's colours, and say what they mean."""
    axes = figure.add_axes((left, 0.42 / height, 0.3, 0.12 / height))
    figure.colorbar(ScalarMappable(norms[0], "magma"), cax=axes, orientation="horizontal", extend="both")
    axes.tick_params(labelsize=9)
    text = f"bits per pixel: bright is what a model did not expect; {norms[0].vmax:.0f} is a blind guess"
    if len({norm.vmax for norm in norms}) > 1:
        text += "\n(of binarised images the scale ends at 1 per value)"
    figure.text(left + 0.31, 0.42 / height, text, fontsize=10)
