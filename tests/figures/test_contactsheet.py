"""Contact sheets show the most likely images on the left and the least likely ones on the right."""

import numpy as np
import pytest

from likelihood.figures import benchmark as figures


@pytest.mark.parametrize("shape", [(1, 6, 4), (3, 6, 4)])
def test_a_row_has_the_likeliest_images_in_order_and_then_the_least_likely(shape):
    rng = np.random.default_rng(0)
    values = rng.permutation(20).astype(float)  # lower is more likely
    images = np.stack([np.full(shape, int(value), np.uint8) for value in values])
    figure = figures.contact_sheet({"test": (images, values), "noise": (images[:3], values[:3])}, "glow", "mnist", "bits_per_dim")
    shown = [np.asarray(ax.images[0].get_array()) for ax in figure.axes]
    levels = [
        list(dict.fromkeys(int(level) for level in row[1].reshape(row.shape[1], -1)[:, 0] if level != figures.FRAME))
        for row in shown
    ]
    assert all((row[[0, -1]] == figures.FRAME).all() and (row[:, [0, -1]] == figures.FRAME).all() for row in shown)
    assert levels[0] == list(range(8))
    assert levels[1] == list(range(12, 20))
    assert levels[2] == levels[3] == sorted(int(value) for value in values[:3])
    assert figure.axes[0].get_title(loc="left") == "0.00 … 7.00 bits/dim"
    texts = [text.get_text() for text in figure.texts]
    assert {"MNIST test", "uniform noise", "most likely", "least likely"} <= set(texts)
