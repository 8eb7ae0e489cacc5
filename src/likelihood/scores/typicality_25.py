"""Typicality of batches of 25 images (typicality.py)."""

from typing import ClassVar

from likelihood.scores.typicality import Typicality


class Typicality25(Typicality):
    """Distance of the mean of -log p of 25 images from its mean over the reference, in nats."""

    title: ClassVar[str] = "typicality of 25 images"
    batch: ClassVar[int] = 25
