"""Units: nats of a whole image, and bits per dimension.

    bits/dim = -log_prob / (dims · log 2)

With log_prob in nats of the *discrete* image there is no further constant: a model that is uniform over 256 grey levels gives
exactly 8. Of images binarised to two levels such a model has 1: the unit then has another name, so that the two kinds never meet.
"""

import math
from typing import Literal, TypeVar

Unit = Literal["bits_per_dim", "binary_bits_per_dim"]
Number = TypeVar("Number")  # a float, a numpy array or a torch tensor: only arithmetic is used


def bits_per_dim(log_prob: Number, dims: int) -> Number:
    """Turn log_prob (nats per image) into bits per dimension; lower is more likely. `dims` is C·H·W."""
    return -log_prob / (dims * math.log(2.0))
