"""Typicality of batches of 2 images (typicality.py)."""

from typing import ClassVar

from likelihood.scores.typicality import Typicality


class Typicality2(Typicality):
    """Distance of the mean of -log p of 2 images from its mean over the reference, in nats."""

    title: ClassVar[str] = "typicality of 2 images"
    batch: ClassVar[int] = 2
