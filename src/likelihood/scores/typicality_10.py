"""Typicality of batches of 10 images (typicality.py)."""

from typing import ClassVar

from likelihood.scores.typicality import Typicality


class Typicality10(Typicality):
    """Distance of the mean of -log p of 10 images from its mean over the reference, in nats."""

    title: ClassVar[str] = "typicality of 10 images"
    batch: ClassVar[int] = 10
