"""Contact sheets show the most likely images on the left and the least likely ones on the right."""

import numpy as np
import pytest

from likelihood.figures import benchmark as figures


@pytest.mark.parametrize("shape", [(1, 6, 4), (3, 6, 4)])
def test_a_row_has_the_likeliest_images_in_order_and_then_the_least_likely(shape):
    rng = np.random.default_rng(0)
    values = rng.permutation(20).astype(float)  # lower is more likely
    images = np.stack([np.full(shape, int(value), np.uint8) for value in values])
    figure = figures.likeliest({"test": (images, values), "noise": (images[:3], values[:3])}, "glow", "mnist", "bits_per_dim")
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


def test_what_is_missed_is_said_by_the_share_of_test_images_that_are_less_outlying():
    images = np.zeros((200, 1, 6, 4), np.uint8)
    far, near = np.full(200, 500.0), np.arange(200.0) + 100.5
    sets = {"test": (images, np.arange(200.0)), "noise": (images, far), "mnist": (images, near)}
    figure = figures.missed(sets, "a score", "mnist_5k")
    found = [ax.get_title(loc="left") for ax in figure.axes]
    assert found == [
        "more outlying than 0 to 3 % of test images",
        "more outlying than 96 to 99 % of test images",
        "more outlying than all test images",
        "more outlying than all test images",
        "more outlying than 50 to 54 % of test images",
        "more outlying than all test images",
    ]
    assert figure.get_suptitle() == "Trained on MNIST (5k): the least and the most outlying images, by a score"


@pytest.mark.parametrize("name", ["fashion_tops", "cifar10_animals", "a_set_of_ones_own_with_a_long_name"])
def test_the_title_of_a_set_stands_beside_its_images(name):
    images = np.zeros((20, 1, 28, 28), np.uint8)
    figure = figures.likeliest({"test": (images, np.arange(20.0)), name: (images, np.arange(20.0))}, "glow", name, "bits_per_dim")
    figure.draw_without_rendering()
    rows = [text for text in figure.texts if text.get_position()[0] == 0.01]
    assert len(rows) == 2
    assert max(text.get_window_extent().x1 for text in rows) < min(ax.get_window_extent().x0 for ax in figure.axes)
