"""What counts of images alone tell, held against what is done with images."""

import numpy as np
import pytest
from PIL import Image

import preprocess
from likelihood.common import counts
from likelihood.data import own

FRACTIONS = (0.001, 0.1, 1 / 3, 0.5, 0.999)


@pytest.mark.parametrize("fraction", FRACTIONS)
@pytest.mark.parametrize("count", [2, 3, 35, 400, 48_000])
def test_so_many_are_held_out_as_is_said(count, fraction):
    held, train = preprocess.split(count, 0, fraction)
    assert (len(held), len(train)) == (counts.held_out(count, fraction), count - counts.held_out(count, fraction))


def test_so_many_pictures_are_for_training_as_is_said(tmp_path):
    for number in range(25):
        Image.fromarray(np.full((4, 4), number, np.uint8)).save(tmp_path / f"{number:02d}.png")
        if number >= 5:
            splits, _ = own.Own(tmp_path, 4, 4, 1, convert=False).in_set()
            assert len(splits["train"]) == counts.of_pictures(number + 1)


@pytest.mark.parametrize("fraction", FRACTIONS)
@pytest.mark.parametrize("held", [4, 37, 1000])
def test_the_least_numbers_suffice_and_smaller_ones_do_not(held, fraction):
    images = counts.images_for(held, fraction)
    assert counts.held_out(images, fraction) >= held > counts.held_out(images - 1, fraction)
    pictures = counts.pictures_for(images)
    assert counts.of_pictures(pictures) >= images > counts.of_pictures(pictures - 1)


def test_the_least_fraction_is_in_thousandths_and_there_is_none_for_too_few():
    assert counts.fraction_for(4, 5) == 0.7
    assert counts.held_out(5, 0.7) == 4 > counts.held_out(5, 0.699)
    assert counts.fraction_for(4, 4) is None


def test_a_rate_takes_as_many_as_can_tell_it():
    assert counts.for_rate(0.05) == 37  # 18 are fitted on, 19 calibrate: 1 / 20
    for rate in (0.5, 0.1, 0.05, 0.01, 0.001):
        held = counts.for_rate(rate)
        assert counts.smallest_rate(counts.calibrating(held)) <= rate
        assert held == counts.LEAST or counts.smallest_rate(counts.calibrating(held - 1)) > rate


def test_both_halves_of_the_least_vary():
    assert counts.LEAST - counts.calibrating(counts.LEAST) == counts.calibrating(counts.LEAST) == counts.HALF


def test_a_rate_is_rounded_so_that_it_can_be_told():
    for value, text in ((1 / 3, 0.34), (1 / 21, 0.048), (1 / 20, 0.05), (1 / 3001, 0.00034), (0.5, 0.5)):
        assert counts.rounded_up(value) == pytest.approx(text)
        assert counts.rounded_up(value) >= value


def test_a_fraction_of_almost_nothing_is_answered():
    assert counts.advice(4, 3, 5e-324) == "more images and a larger fraction"
    assert counts.advice(4, 8, 5e-324) == "preprocess.validation_fraction 0.438"
