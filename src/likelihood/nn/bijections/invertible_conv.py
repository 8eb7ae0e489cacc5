"""Invertible 1×1 convolution with LU-parametrised weight [1]: y = W x at every pixel, W = P L (U + diag(s)).

P is a fixed permutation, L unit lower and U strictly upper triangular, s = sign · exp(log_s); so the log-determinant is
H · W · Σ log_s and costs nothing. It starts at a random rotation.

References:
    [1] Glow (Kingma & Dhariwal, 2018), https://arxiv.org/abs/1807.03039, section 3.2
"""

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from likelihood.nn.bijections.base import Bijection


class InvertibleConv1x1(Bijection):
    """Learned rotation-like mixing of the channels of (B, H, W, C); `channels` is C."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        rotation = torch.linalg.qr(torch.randn(channels, channels)).Q
        permutation, lower, upper = torch.linalg.lu(rotation)
        diagonal = upper.diagonal()
        self.register_buffer("permutation", permutation)
        self.register_buffer("sign", diagonal.sign())
        self.log_s = nn.Parameter(diagonal.abs().log())
        self.lower = nn.Parameter(lower.tril(-1))
        self.upper = nn.Parameter(upper.triu(1))

    def weight(self) -> Tensor:
        """W, (C, C)."""
        lower = self.lower.tril(-1).fill_diagonal_(1.0)
        upper = self.upper.triu(1) + torch.diag(self.sign * self.log_s.exp())
        return self.permutation @ lower @ upper

    def forward(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """See Bijection."""
        return F.linear(x, self.weight()), self.ladj(x)

    def inverse(self, y: Tensor) -> tuple[Tensor, Tensor]:
        """See Bijection."""
        return F.linear(y, torch.linalg.inv(self.weight())), -self.ladj(y)

    def ladj(self, x: Tensor) -> Tensor:
        """H · W · Σ log_s, the same for every image: (B,)."""
        return (x.shape[1] * x.shape[2] * self.log_s.sum()).expand(x.shape[0])
