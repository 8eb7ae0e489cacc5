"""Variational dequantisation [1]: a small flow draws the noise that spreads a grey level over its cell, given the image.

    u = Φ(e_K),   e_k = f_k(e_{k-1}; x),   e_0 ~ N(0, I),     -log q(u | x) = Σ_k log |det ∂f_k| + (‖e_0‖² - ‖e_K‖²) / 2

Φ is the distribution function of the standard normal. Without a coupling u is uniform and the term is 0: uniform dequantisation,
which asks the flow for densities that are flat within a cell. With some the bound is tighter.

The couplings act on blocks of 2×2 pixels. They read the image through two 3×3 convolutions that they share, and the rest by 1×1
ones: [1] has deep networks in each, which cost as much as the flow.

References:
    [1] Flow++ (Ho et al., 2019), https://arxiv.org/abs/1902.00275, section 3.1
"""

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from likelihood.models.glow.bijections import Squeeze
from likelihood.models.shared.layers import PixelLinear, tanh
from likelihood.models.shared.pixels import to_unit_interval

HIDDEN = 32


class NoiseCoupling(nn.Module):
    """An affine coupling of noise (B, H, W, C) given a context (B, H, W, HIDDEN); the identity at the start."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.kept = channels // 2
        self.hidden = PixelLinear(self.kept + HIDDEN, HIDDEN)
        self.last = PixelLinear(HIDDEN, 2 * (channels - self.kept))
        nn.init.zeros_(self.last.weight)
        nn.init.zeros_(self.last.bias)

    def forward(self, e: Tensor, context: Tensor) -> tuple[Tensor, Tensor]:
        """Return the next noise, its channels dealt anew so that each is moved sooner or later, and ladj (B, H, W) in nats."""
        e_a, e_b = e[..., : self.kept], e[..., self.kept :]
        raw, shift = self.last(F.relu(self.hidden(torch.cat([e_a, context], dim=-1)))).chunk(2, dim=-1)
        log_scale = tanh(raw)
        moved = torch.cat([torch.addcmul(shift, e_b, log_scale.exp()), e_a], dim=-1)
        return torch.cat([moved[..., 0::2], moved[..., 1::2]], dim=-1), log_scale.sum(dim=-1)


class Dequantization(nn.Module):
    """q(u | x) of images with C channels and even sides, of so many couplings; `levels` grey levels."""

    def __init__(self, channels: int, couplings: int, levels: int) -> None:
        super().__init__()
        self.levels, self.squeeze = levels, Squeeze()
        self.couplings = nn.ModuleList(NoiseCoupling(4 * channels) for _ in range(couplings))
        if couplings:
            self.first = nn.Conv2d(4 * channels, HIDDEN, 3, padding=1)
            self.second = nn.Conv2d(HIDDEN, HIDDEN, 3, padding=1)

    def context(self, x: Tensor) -> Tensor:
        """What the couplings see of levels x (B, H, W, C): (B, H/2, W/2, HIDDEN)."""
        h = self.squeeze(to_unit_interval(x, self.levels))[0].permute(0, 3, 1, 2)
        return F.relu(self.second(F.relu(self.first(h)))).permute(0, 2, 3, 1)

    def forward(self, x: Tensor, noise: Tensor) -> tuple[Tensor, Tensor]:
        """The noise u in [0, 1], as levels x (B, H, W, C), and -log q(u | x) of every block, (B, H/2, W/2) in nats."""
        e, _ = self.squeeze(noise)
        ladj = 0.5 * e.square().sum(dim=-1)
        if self.couplings:
            context = self.context(x)
            for coupling in self.couplings:
                e, moved = coupling(e, context)
                ladj = ladj + moved
        return self.squeeze.inverse(torch.special.ndtr(e))[0], ladj - 0.5 * e.square().sum(dim=-1)
