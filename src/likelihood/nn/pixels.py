"""How pixels enter a network."""

import torch
from torch import Tensor


def to_unit_interval(x: Tensor, levels: int) -> Tensor:
    """Map integer levels 0 … levels - 1 to floats in [-1, 1], of the default dtype."""
    return x.to(torch.get_default_dtype()) * (2.0 / (levels - 1)) - 1.0
