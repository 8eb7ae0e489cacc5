"""Units: nats of a whole image, and bits per dimension.

    bits/dim = -log_prob / (dims · log 2)

With log_prob in nats of the *discrete* image there is no further constant: a model that is uniform over 256 grey levels gives
exactly 8. Images binarised to two levels are reported in nats, the unit of their literature, so that the two kinds never meet.
"""

import math
from typing import Literal, TypeVar

Unit = Literal["bits_per_dim", "nats"]
Number = TypeVar("Number")  # a float, a numpy array or a torch tensor: only arithmetic is used


def bits_per_dim(log_prob: Number, dims: int) -> Number:
    """Turn log_prob (nats per image) into bits per dimension; lower is more likely. `dims` is C·H·W."""
    return -log_prob / (dims * math.log(2.0))


def in_unit(log_prob: Number, dims: int, unit: Unit) -> Number:
    """Turn log_prob (nats per image) into the unit a model reports: bits/dim, or nats per image (both: lower is more likely)."""
    return bits_per_dim(log_prob, dims) if unit == "bits_per_dim" else -log_prob
