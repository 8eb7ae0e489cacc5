"""Coupling layers: half of the channels move by amounts that a network computes from the other half.

    additive [1]:  y_a = x_a,  y_b = x_b + t(x_a)                       volume-preserving, ladj = 0
    affine [2]:    y_a = x_a,  y_b = x_b · exp(s(x_a)) + t(x_a)         ladj = Σ s(x_a) at every pixel

The network is Glow's [3]: 3×3, 1×1, 3×3 convolutions with ReLU, the last one zero at the start, so that every coupling starts as
the identity, and what it gives times exp(3 · log_scale), so that it leaves that start soon. Our deviation: s is tanh of what the
network gives, where Glow takes log sigmoid(· + 2); it starts at 0, can expand as well as contract, and cannot overflow. Wider
bounds learn no better and let one strange image throw the flow off.

The network's last convolution gives few channels, so it is computed for blocks of 2×2 pixels at once:

    y[o] at pixel (2i + p, 2j + q)  =  channel (p, q, o) at (i, j) of a convolution of stride 2 by K,
    K[(p, q, o)] = the 3×3 kernel of o, shifted by (p, q) in a window of 4×4

A processor multiplies LANES numbers at a time, and a convolution fills them with the channels of one pixel; with four channels
most of its work is wasted. A block that fits takes one step per tap of its window, 16, where its four pixels take 36. It is the
same function of the same weights.

References:
    [1] NICE (Dinh et al., 2015), https://arxiv.org/abs/1410.8516
    [2] Density estimation using Real NVP (Dinh et al., 2017), https://arxiv.org/abs/1605.08803
    [3] Glow (Kingma & Dhariwal, 2018), https://arxiv.org/abs/1807.03039
"""

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from likelihood.models.glow.bijections import Bijection
from likelihood.models.shared.layers import PixelLinear, tanh

LOG_SCALE_FACTOR = 3.0  # of what the network gives, as in the code of [3]
LANES = 16  # floats that a vector unit of 512 bits takes at a time


class NarrowConv(nn.Conv2d):
    """A 3×3 convolution of (B, inputs, H, W) that keeps H and W; fast where they are even and `outputs` are at most LANES / 4."""

    def __init__(self, inputs: int, outputs: int) -> None:
        super().__init__(inputs, outputs, 3, padding=1)

    def forward(self, x: Tensor) -> Tensor:
        """Convolve."""
        height, width = x.shape[2:]
        if 4 * self.out_channels > LANES or height % 2 or width % 2:
            return super().forward(x)
        shifted = [F.pad(self.weight, (q, 1 - q, p, 1 - p)) for p in (0, 1) for q in (0, 1)]  # each (outputs, inputs, 4, 4)
        blocks = F.conv2d(x, torch.cat(shifted), self.bias.repeat(4), stride=2, padding=1)
        blocks = blocks.permute(0, 2, 3, 1).unflatten(3, (2, 2, -1))  # (B, H/2, W/2, p, q, outputs)
        return blocks.permute(0, 1, 3, 2, 4, 5).reshape(-1, height, width, self.out_channels).permute(0, 3, 1, 2)


class CouplingNet(nn.Module):
    """3×3 - 1×1 - 3×3 convolutions on (B, H, W, inputs), giving (B, H, W, outputs), 0 at the start."""

    def __init__(self, inputs: int, hidden: int, outputs: int) -> None:
        super().__init__()
        self.first = nn.Conv2d(inputs, hidden, 3, padding=1)
        self.middle = PixelLinear(hidden, hidden)  # the 1×1 convolution
        self.last = NarrowConv(hidden, outputs)
        self.log_scale = nn.Parameter(torch.zeros(outputs))
        nn.init.zeros_(self.last.weight)
        nn.init.zeros_(self.last.bias)

    def forward(self, x: Tensor) -> Tensor:
        """Apply the network; x and the result are NHWC."""
        h = F.relu(self.first(x.permute(0, 3, 1, 2)), inplace=True).permute(0, 2, 3, 1)  # views: NHWC is channels_last
        h = F.relu(self.middle(h), inplace=True)
        return self.last(h.permute(0, 3, 1, 2)).permute(0, 2, 3, 1) * torch.exp(LOG_SCALE_FACTOR * self.log_scale)


class AdditiveCoupling(Bijection):
    """Shift the second half of the channels; `channels` is C (at least 2), `hidden` the network's width."""

    def __init__(self, channels: int, hidden: int) -> None:
        super().__init__()
        self.kept = channels // 2
        self.net = CouplingNet(self.kept, hidden, channels - self.kept)

    def forward(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """As Bijection.forward."""
        x_a, x_b = x[..., : self.kept], x[..., self.kept :]
        return torch.cat([x_a, x_b + self.net(x_a)], dim=-1), x.new_zeros(x.shape[:3])

    def inverse(self, y: Tensor) -> tuple[Tensor, Tensor]:
        """As Bijection.inverse."""
        y_a, y_b = y[..., : self.kept], y[..., self.kept :]
        return torch.cat([y_a, y_b - self.net(y_a)], dim=-1), y.new_zeros(y.shape[:3])


class AffineCoupling(Bijection):
    """Scale and shift the second half of the channels; `channels` is C (at least 2), `hidden` the network's width."""

    def __init__(self, channels: int, hidden: int) -> None:
        super().__init__()
        self.kept = channels // 2
        self.net = CouplingNet(self.kept, hidden, 2 * (channels - self.kept))

    def scale_and_shift(self, x_a: Tensor) -> tuple[Tensor, Tensor]:
        """s(x_a) and t(x_a), each (B, H, W, C - kept)."""
        raw, shift = self.net(x_a).chunk(2, dim=-1)
        return tanh(raw), shift

    def forward(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """As Bijection.forward."""
        x_a, x_b = x[..., : self.kept], x[..., self.kept :]
        log_scale, shift = self.scale_and_shift(x_a)
        y_b = torch.addcmul(shift, x_b, log_scale.exp())
        return torch.cat([x_a, y_b], dim=-1), log_scale.sum(dim=3)

    def inverse(self, y: Tensor) -> tuple[Tensor, Tensor]:
        """As Bijection.inverse."""
        y_a, y_b = y[..., : self.kept], y[..., self.kept :]
        log_scale, shift = self.scale_and_shift(y_a)
        x_b = (y_b - shift) * torch.exp(-log_scale)
        return torch.cat([y_a, x_b], dim=-1), -log_scale.sum(dim=3)
