"""The figure of maps: which pixels cost a model how many bits, of single images and on average, set by set."""

from collections.abc import Mapping
from typing import NamedTuple

import numpy as np
from matplotlib.axes import Axes
from matplotlib.cm import ScalarMappable
from matplotlib.colors import Normalize
from matplotlib.figure import Figure

from likelihood.figures.titles import model_title, set_title

# Their images may not be passed on, so a committed figure has only maps of them.
PRIVATE = {"cifar10", "cifar10_30k", "cifar100", "svhn", "svhn_10k", "notmnist"}
PLACE = 0.74  # inches of a panel
GAP = 0.45  # of a panel, between two images
BLIND = 8.0  # bits/dim of a uniform model over 256 levels: where the colours of maps end
ENDS = ("most likely", "least likely")  # under the model that chose them


class Maps(NamedTuple):
    """What is shown of a set."""

    images: np.ndarray  # uint8 (n, C, H, W)
    maps: Mapping[str, np.ndarray]  # by model, (n, H, W) in bits per pixel
    means: Mapping[str, np.ndarray]  # by model, (H, W) in bits per pixel


def maps(sets: Mapping[str, Maps], rows: Mapping[str, str], in_name: str) -> Figure:
    """A row per set: images, each followed by its map under every model, then the mean maps.

    Arguments:
        sets: by name, `test` being the in-set's.
        rows: names of the models' rows, by model.
        in_name: name of the in-set.
    """
    models, shown = list(rows), max(len(found.images) for found in sets.values())
    groups = [["image", *models]] * shown + [models]
    widths = [width for group in groups for width in (*[1.0] * len(group), GAP)][:-1]
    left, top, bottom = 1.15, 0.95, 0.62
    width, height = left + PLACE * sum(widths) + 0.1, top + PLACE * len(sets) + bottom
    figure = Figure(figsize=(width, height))
    grid = figure.add_gridspec(
        len(sets), len(widths), width_ratios=widths, left=left / width, right=1 - 0.1 / width, top=1 - top / height,
        bottom=bottom / height, wspace=0.05, hspace=0.08,
    )  # fmt: skip
    channels = next(iter(sets.values())).images.shape[1]
    norm = Normalize(0.0, BLIND * channels)
    for line, (name, found) in enumerate(sets.items()):
        column = 0
        for number, group in enumerate(groups):
            for what in group:
                ax = figure.add_subplot(grid[line, column])
                panel(ax, found, number if number < shown else None, what, name, in_name, norm)
                if line == 0:
                    title = "image" if what == "image" else model_title(rows[what]).replace(", ", ",\n")
                    ax.set_title(title, fontsize=7, pad=3)
                column += 1
            column += 1
        place = grid[line, 0].get_position(figure)
        title = f"{set_title(in_name)}\ntest" if name == "test" else set_title(name).replace(" ", "\n", 1)
        weight = "bold" if name == "test" else "normal"
        figure.text(0.08 / width, (place.y0 + place.y1) / 2, title, fontsize=8, fontweight=weight, va="center")
    column = 0
    for number, group in enumerate(groups):
        text = "mean of the set" if number == shown else {0: ENDS[0], shown - 1: ENDS[1]}.get(number, "at random")
        first, last = (grid[0, column + step].get_position(figure) for step in (0, len(group) - 1))
        figure.text((first.x0 + last.x1) / 2, 1 - 0.62 / height, text, fontsize=9, ha="center", fontweight="bold")
        column += len(group) + 1
    scale = figure.add_axes((left / width, 0.36 / height, 0.3, 0.1 / height))
    figure.colorbar(ScalarMappable(norm, "magma"), cax=scale, orientation="horizontal", extend="both")
    scale.tick_params(labelsize=7)
    figure.text(
        left / width + 0.31,
        0.36 / height,
        f"bits per pixel: bright is what the model did not expect; {BLIND * channels:.0f} is a blind guess",
        fontsize=8,
    )
    figure.suptitle(
        f"Trained on {set_title(in_name)}: where the bits of an image are", fontsize=11, y=1 - 0.12 / height, va="top"
    )
    return figure


def panel(ax: Axes, found: Maps, number: int | None, what: str, name: str, in_name: str, norm: Normalize) -> None:
    """Draw one image, or its map under one model; without a number the mean map."""
    ax.set_xticks([])
    ax.set_yticks([])
    for spine in ax.spines.values():
        spine.set_visible(True)
        spine.set_linewidth(0.4)
        spine.set_color("#999999")
    if number is not None and number >= len(found.images):
        ax.set_axis_off()
    elif what != "image":
        ax.imshow(found.means[what] if number is None else found.maps[what][number], cmap="magma", norm=norm)
    elif (in_name if name == "test" else name) in PRIVATE:
        ax.text(0.5, 0.5, "not\nshown", fontsize=6, ha="center", va="center", transform=ax.transAxes, color="#777777")
        ax.set_box_aspect(1)
    else:
        image = found.images[number]
        ax.imshow(image[0] if len(image) == 1 else image.transpose(1, 2, 0), cmap="gray", vmin=0, vmax=255)
