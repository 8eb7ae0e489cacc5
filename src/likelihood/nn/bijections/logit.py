"""Logit preprocessing [1]: y = logit(α + (1 - 2α) x) takes pixels in [0, 1] to the whole line.

    ladj = Σ log(1 - 2α) - log s - log(1 - s),   s = α + (1 - 2α) x

Its log-determinant is part of the likelihood. A flow converges several times faster on logits, because mass piles up at the
ends of the grey scale.

References:
    [1] Density estimation using Real NVP (Dinh et al., 2017), https://arxiv.org/abs/1605.08803, section 4.1
"""

import math

import torch
from torch import Tensor

from likelihood.nn.bijections.base import Bijection

ALPHA = 0.025


class Logit(Bijection):
    """Elementwise logit of (B, H, W, C) tensors in [0, 1]."""

    def forward(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """See Bijection."""
        y = torch.logit(ALPHA + (1.0 - 2.0 * ALPHA) * x)
        return y, self.ladj(y)

    def inverse(self, y: Tensor) -> tuple[Tensor, Tensor]:
        """See Bijection."""
        return (torch.sigmoid(y) - ALPHA) / (1.0 - 2.0 * ALPHA), -self.ladj(y)

    def ladj(self, y: Tensor) -> Tensor:
        """Of the forward map, from its result: -log s - log(1 - s) = |y| + 2 log(1 + exp(-|y|)); (B,)."""
        size = y.abs()
        return (size + 2.0 * torch.log(1.0 + torch.exp(-size)) + math.log(1.0 - 2.0 * ALPHA)).sum(dim=(1, 2, 3))
