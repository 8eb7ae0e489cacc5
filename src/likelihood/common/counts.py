"""What follows from the number of images alone: how many are held out, how many calibrate a detector, which rates it can tell.

Of an in-set's training images a fraction is held out for validation; of those that are scored one half is what scores are fitted
on, the other calibrates. With n images that calibrate no p is below 1 / (n + 1), so no smaller rate of false alarms can be told.
"""

import math
from collections.abc import Callable

HALF = 2  # images that are fitted on at least, and that calibrate at least: of one alone nothing varies
LEAST = 2 * HALF  # so many have to be held out, and scored
TRAIN_PART = 0.8  # of a user's own pictures; the others are for testing
RATE = 0.05  # of false alarms, that a detector is asked for by default


def of_pictures(pictures: int) -> int:
    """How many of a user's own pictures are for training."""
    return round(TRAIN_PART * pictures)


def held_out(images: int, fraction: float) -> int:
    """How many of the training images, two at least, are held out: neither none nor all."""
    return min(max(round(fraction * images), 1), images - 1)


def calibrating(scored: int) -> int:
    """How many of the held-out images that are scored calibrate; the others are fitted on."""
    return scored - scored // 2


def smallest_rate(calibrating: int) -> float:
    """The smallest rate of false alarms that can be told."""
    return 1.0 / (1 + calibrating)


def for_rate(rate: float) -> int:
    """How many images have to be held out, and scored, to tell a rate."""
    return _first(lambda n: smallest_rate(calibrating(n)) <= rate, math.floor(2.0 * (1.0 / rate - 1.0)) - 2, LEAST)


def images_for(held: int, fraction: float) -> int:
    """The smallest number of training images of which a fraction is so many, or more."""
    return _first(lambda n: held_out(n, fraction) >= held, math.floor((held - 0.5) / fraction) - 1, held + 1)


def pictures_for(images: int) -> int:
    """The smallest number of pictures of which so many, or more, are for training."""
    return _first(lambda n: of_pictures(n) >= images, math.floor((images - 0.5) / TRAIN_PART) - 1, 1)


def _first(accepts: Callable[[int], bool], near: int, least: int) -> int:
    """The first number from just below an estimate on that will do: rounding decides about the last."""
    number = max(near, least)
    while not accepts(number):
        number += 1
    return number


def fraction_for(held: int, images: int) -> float | None:
    """The smallest fraction, in thousandths, that holds so many of the training images out; None where they are too few."""
    return next((k / 1000 for k in range(1, 1000) if held_out(images, k / 1000) >= held), None)


def advice(held: int, images: int, fraction: float) -> str:
    """What has to be done for so many of the training images to be held out."""
    ways = []
    if fraction >= 0.001:
        needed = images_for(held, fraction)
        ways.append(f"{needed} training images ({pictures_for(needed)} pictures, of which a fifth is for testing)")
    if larger := fraction_for(held, images):
        ways.append(f"preprocess.validation_fraction {larger}")
    return ", or ".join(ways) or "more images and a larger fraction"


def rounded_up(value: float) -> float:
    """To two digits, never below the value."""
    scale = 10.0 ** (1 - math.floor(math.log10(value)))
    return math.ceil(value * scale) / scale
