"""The most and the least likely images of every set, under one model, as a contact sheet."""

from collections.abc import Mapping

import numpy as np
from matplotlib.figure import Figure

from likelihood.common.units import Unit
from likelihood.figures.titles import AXIS, model_title, set_title

EACH = 8  # images at either end
SIZE = 0.62  # inches of an image
FRAME = 190  # grey of the frames


def sheet(sets: Mapping[str, tuple[np.ndarray, np.ndarray]], model: str, in_name: str, unit: Unit) -> Figure:
    """A row a set: its EACH most likely images on the left, its EACH least likely ones on the right.

    Arguments:
        sets: by name, `test` being the in-set's: uint8 images (N, C, H, W) and their likelihoods (N,) in `unit`, lower is more
            likely.
        model: its name.
        in_name: name of the in-set.
        unit: of the likelihoods.
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
            low, high = values[chosen[0]], values[chosen[-1]]
            ax.set_title(f"{low:.2f} … {high:.2f} {AXIS[unit].split(',')[-1].strip()}", fontsize=8, loc="left", pad=2)
        title, weight = (f"{set_title(in_name)} test", "bold") if name == "test" else (set_title(name), "normal")
        place = grid[row, 0].get_position(figure)
        figure.text(0.01, (place.y0 + place.y1) / 2, title, va="center", fontsize=9, fontweight=weight)
    for column, end in enumerate(("most likely", "least likely")):
        figure.text(grid[0, column].get_position(figure).x0, 1 - 0.5 / height, end, fontsize=9, va="bottom")
    title = f"{model_title(model)} of {set_title(in_name)}: the images it finds most and least likely"
    figure.suptitle(title, fontsize=11, y=1 - 0.1 / height, va="top")
    return figure


def strip(images: np.ndarray) -> np.ndarray:
    """Images (n, C, H, W) beside each other, each in a frame that shows where a white one ends: (H + 2, W') or (H + 2, W', 3)."""
    framed = np.pad(images, ((0, 0), (0, 0), (1, 1), (1, 1)), constant_values=FRAME)
    wide = np.concatenate([framed[0], *framed[1:, ..., 1:]], axis=2)
    return wide[0] if len(wide) == 1 else wide.transpose(1, 2, 0)
