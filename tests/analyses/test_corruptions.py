"""Corruptions of test images: shapes, severities that grow, and what does not change."""

import numpy as np
import pytest

from likelihood.analyses.corruptions import CORRUPTIONS, corrupted


def smooth(shape, n=3):
    rows, columns = np.mgrid[: shape[1], : shape[2]]
    waves = [60 + 3 * rows + 2 * columns + 9 * np.sin(rows * (k + 1) / n + columns + k) for k in range(n * shape[0])]
    return np.stack(waves).astype(np.uint8).reshape(n, *shape)


@pytest.mark.parametrize("shape", [(1, 28, 28), (3, 32, 32), (3, 8, 12)], ids=["grey", "colour", "oblong"])
def test_every_severity_is_images_of_the_same_kind_and_the_same_every_time(shape):
    x = smooth(shape)
    before = x.copy()
    found, again = list(corrupted(x)), list(corrupted(x))
    assert np.array_equal(x, before)
    square = shape[1] == shape[2]
    expected = [(kind, k + 1) for kind, (_, amounts) in CORRUPTIONS.items() for k in range(len(amounts))]
    assert [(kind, severity) for kind, severity, _ in found] == [key for key in expected if square or key != ("rotation", 1)]
    for (kind, severity, changed), (_, _, other) in zip(found, again, strict=True):
        assert (changed.shape, changed.dtype) == (x.shape, np.uint8), (kind, severity)
        assert np.array_equal(changed, other), (kind, severity)
        assert not np.array_equal(changed, x), (kind, severity)


@pytest.mark.parametrize("kind", [kind for kind, (_, amounts) in CORRUPTIONS.items() if len(amounts) == 5])
def test_a_higher_severity_changes_more(kind):
    x = smooth((1, 28, 28))
    corrupt, amounts = CORRUPTIONS[kind]
    distance = [np.square(corrupt(x, amount) - x.astype(float)).mean() for amount in amounts]
    assert distance == sorted(distance)
    assert distance[0] > 0.0


def test_an_image_is_corrupted_alike_whatever_others_go_with_it():
    x = smooth((3, 16, 16), 4)
    for (kind, severity, every), (_, _, one) in zip(corrupted(x), corrupted(x[2:3]), strict=True):
        assert np.array_equal(every[2:3], one), (kind, severity)
