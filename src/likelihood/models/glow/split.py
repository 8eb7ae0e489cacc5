"""Split: half of the channels leave the flow as latents, given the half that goes on [1, 2].

    z = (left - mean(kept)) / exp(log_std(kept)) ~ N(0, I),   log p(left | kept) = log N(z; 0, I) - Σ log_std

The 3×3 convolution that gives mean and log_std is zero at the start, so that the prior starts standard normal. Our deviation:
log_std is bounded smoothly, so that an image far from the training images cannot overflow.

References:
    [1] Density estimation using Real NVP (Dinh et al., 2017), https://arxiv.org/abs/1605.08803, section 3.6
    [2] Glow (Kingma & Dhariwal, 2018), https://arxiv.org/abs/1807.03039
"""

import math

import torch
from torch import Tensor, nn

from likelihood.models.glow.coupling import NarrowConv
from likelihood.models.shared.layers import tanh

LOG_2PI = math.log(2.0 * math.pi)
MAX_LOG_STD = 2.0


def standard_normal_log_prob(z: Tensor) -> Tensor:
    """log N(z; 0, I) summed over all but the first dimension: (B,) in nats."""
    return -0.5 * (z.square() + LOG_2PI).flatten(1).sum(dim=1)


class Split(nn.Module):
    """Factor out half of the channels of (B, H, W, C)."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.kept = channels // 2
        self.prior = NarrowConv(self.kept, 2 * (channels - self.kept))
        nn.init.zeros_(self.prior.weight)
        nn.init.zeros_(self.prior.bias)

    def mean_and_log_std(self, kept: Tensor) -> tuple[Tensor, Tensor]:
        """Parameters of p(left | kept), each (B, H, W, C - kept)."""
        mean, log_std = self.prior(kept.permute(0, 3, 1, 2)).permute(0, 2, 3, 1).chunk(2, dim=-1)
        return mean, MAX_LOG_STD * tanh(log_std / MAX_LOG_STD)

    def forward(self, x: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """Return the kept half (B, H, W, kept), z (B, H, W, C - kept), and log p(left | kept), (B,) in nats."""
        kept, left = x[..., : self.kept].contiguous(), x[..., self.kept :]
        mean, log_std = self.mean_and_log_std(kept)
        z = (left - mean) * torch.exp(-log_std)
        return kept, z, standard_normal_log_prob(z) - log_std.sum(dim=(1, 2, 3))

    def inverse(self, kept: Tensor, z: Tensor) -> Tensor:
        """Put back the half that left, from its standard normal code z (B, H, W, C - kept)."""
        mean, log_std = self.mean_and_log_std(kept)
        return torch.cat([kept, mean + log_std.exp() * z], dim=-1)
