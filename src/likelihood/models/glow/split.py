"""The prior of Glow's latents: of the half of the channels that leaves at a split, given the other half [1, 2], and of the last.

    z = (h - mean) / exp(log_std) ~ N(0, I),   log p(h) = log N(z; 0, I) - Σ log_std

At a split mean and log_std come of the other half by a 3×3 convolution; those of the last latents are learned, one of each for
every place and channel. All are zero at the start, so that the prior starts standard normal. Our deviation: log_std is bounded
smoothly, so that an image far from the training images cannot overflow.

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
    """log N(z; 0, I) of z (B, H, W, C) at every place: (B, H, W) in nats."""
    return -0.5 * (z.square() + LOG_2PI).sum(dim=3)


def bounded(log_std: Tensor) -> Tensor:
    """Log standard deviations between -MAX_LOG_STD and MAX_LOG_STD."""
    return MAX_LOG_STD * tanh(log_std / MAX_LOG_STD)


class LastPrior(nn.Module):
    """The prior of the last latents (B, H, W, C)."""

    def __init__(self, height: int, width: int, channels: int) -> None:
        super().__init__()
        self.mean = nn.Parameter(torch.zeros(height, width, channels))
        self.log_std = nn.Parameter(torch.zeros(height, width, channels))

    def forward(self, h: Tensor) -> tuple[Tensor, Tensor]:
        """Return z (B, H, W, C), and log p(h) at every place, (B, H, W) in nats."""
        log_std = bounded(self.log_std)
        z = (h - self.mean) * torch.exp(-log_std)
        return z, standard_normal_log_prob(z) - log_std.sum(dim=2)

    def inverse(self, z: Tensor) -> Tensor:
        """The latents of a standard normal code z (B, H, W, C)."""
        return self.mean + bounded(self.log_std).exp() * z


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
        return mean, bounded(log_std)

    def forward(self, x: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """Return the kept half (B, H, W, kept), z (B, H, W, C - kept), and log p(left | kept) by places, (B, H, W) in nats."""
        kept, left = x[..., : self.kept].contiguous(), x[..., self.kept :]
        mean, log_std = self.mean_and_log_std(kept)
        z = (left - mean) * torch.exp(-log_std)
        return kept, z, standard_normal_log_prob(z) - log_std.sum(dim=3)

    def inverse(self, kept: Tensor, z: Tensor) -> Tensor:
        """Put back the half that left, from its standard normal code z (B, H, W, C - kept)."""
        mean, log_std = self.mean_and_log_std(kept)
        return torch.cat([kept, mean + log_std.exp() * z], dim=-1)
