"""Mutated images: as many values replaced as asked for, by uniform ones, each image always alike."""

import numpy as np
import pytest

from likelihood.training.mutated import Mutated

IMAGES = np.random.RandomState(0).randint(100, 110, (40, 3, 16, 16)).astype(np.uint8)


@pytest.mark.parametrize("rate", [0.1, 0.2, 0.5])
def test_the_share_of_replaced_values_is_the_rate_and_their_values_are_uniform(rate):
    x = Mutated(IMAGES, rate, seed=0)[:]
    assert x.dtype == np.uint8
    assert x.shape == IMAGES.shape
    changed = x != IMAGES
    assert changed.mean() == pytest.approx(rate * 255 / 256, abs=0.01)  # one in 256 draws the value that was there
    values = x[changed].astype(float)
    assert values.mean() == pytest.approx(127.5, abs=3.0)
    assert values.std() == pytest.approx(256 / 12**0.5, abs=2.0)
    assert {values.min(), values.max()} == {0.0, 255.0}


def test_an_image_is_the_same_whenever_and_with_whichever_others_it_is_asked_for():
    x = Mutated(IMAGES, 0.3, seed=0)
    whole = x[:]
    rows = np.array([31, 2, 2, 17])
    np.testing.assert_array_equal(x[rows], whole[rows])
    np.testing.assert_array_equal(x[5:9], whole[5:9])
    assert len(x) == 40
    assert x.shape == IMAGES.shape


def test_images_and_seeds_have_mutations_of_their_own_and_the_original_stays():
    before = IMAGES.copy()
    flat = np.full((2, 1, 20, 20), 128, np.uint8)
    x = Mutated(flat, 0.5, seed=0)[:]
    assert (x[0] != x[1]).any()
    assert (Mutated(flat, 0.5, seed=1)[:] != x).any()
    Mutated(IMAGES, 0.5, seed=0)[:]
    np.testing.assert_array_equal(IMAGES, before)
