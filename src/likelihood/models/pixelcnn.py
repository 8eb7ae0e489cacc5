"""Gated PixelCNN [1]: an exact likelihood, pixel after pixel, colour after colour.

    log P(x) = Σ_i log P(x_i | x_1 … x_{i-1}),    i over rows, columns, then R, G, B; each factor a 256-way softmax

A vertical stack sees the rows above without a blind spot, a horizontal stack sees the pixels to the left and hears from the
vertical one. Sampling evaluates every activation once (nn/incremental.py).

Our deviations: those of the layers (nn/gated.py); the head reads the sum of the skip connections through two 1×1 layers, and
starts at zero, so that the first prediction is uniform, 8 bits/dim.

References:
    [1] Conditional image generation with PixelCNN decoders (van den Oord et al., 2016), https://arxiv.org/abs/1606.05328
"""

from typing import ClassVar

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from likelihood.models.base import LikelihoodModel, Shape
from likelihood.nn.gated import GatedLayer
from likelihood.nn.incremental import sample_pixels
from likelihood.nn.masked import MaskedLinear, groups
from likelihood.nn.pixels import to_unit_interval


class PixelCNN(LikelihoodModel):
    """Gated PixelCNN with a softmax over the grey levels.

    Arguments:
        shape: (C, H, W) of the images; any size, 1 or 3 channels.
        layers: gated layers.
        channels: features of each stack (at least C).
        levels: grey levels of a pixel.
    """

    core_batch: ClassVar[int] = 16  # the logits of more leave the cache
    lower_bound: ClassVar[bool] = False

    def __init__(self, shape: Shape, layers: int, channels: int, levels: int = 256) -> None:
        super().__init__(shape, levels)
        colors = shape[0]
        features = groups(channels, colors)
        self.layers = nn.ModuleList(
            GatedLayer(groups(colors, colors) if k == 0 else features, channels, colors, first=k == 0, last=k == layers - 1)
            for k in range(layers)
        )
        self.hidden = MaskedLinear(features, features)
        self.head = MaskedLinear(features, groups(colors, colors).repeat_interleave(levels))
        nn.init.zeros_(self.head.weight)
        nn.init.zeros_(self.head.bias)

    def logits(self, skip: Tensor) -> Tensor:
        """Logits of the next pixel values, (..., C, levels), from the summed skip connections (..., channels)."""
        h = self.head(F.relu(self.hidden(F.relu(skip))))
        return h.view(*h.shape[:-1], self.shape[0], self.levels)

    def noise(self, n: int, rng: np.random.Generator) -> Tensor:
        """None is needed: (n, 0)."""
        return torch.zeros(n, 0)

    def forward(self, x: Tensor, noise: Tensor) -> dict[str, Tensor]:
        """`log_weight` = log P(x), and its sum over each colour channel (`channel_0` …), each (B,) in nats."""
        v = h = to_unit_interval(x, self.levels).permute(0, 2, 3, 1).contiguous()  # (B, H, W, C)
        skips = 0
        for layer in self.layers:
            v, h, skip = layer(v, h)
            skips = skips + skip
        logits = self.logits(skips)  # (B, H, W, C, levels)
        target = x.permute(0, 2, 3, 1).long()
        nll = F.cross_entropy(logits.reshape(-1, self.levels), target.reshape(-1), reduction="none").view(target.shape)
        channels = -nll.sum(dim=(1, 2))  # (B, C)
        return {"log_weight": channels.sum(dim=1), **{f"channel_{c}": channels[:, c] for c in range(self.shape[0])}}

    @torch.inference_mode()
    def sample(self, n: int, generator: torch.Generator) -> Tensor:
        """Draw pixel after pixel with cached activations: uint8 (n, C, H, W)."""

        def draw(logits: Tensor, row: int, column: int, color: int) -> Tensor:
            u = torch.rand(n, 1, generator=generator, dtype=torch.float64).to(logits.device)
            cumulative = torch.softmax(logits.double(), dim=-1).cumsum(dim=-1)
            return torch.searchsorted(cumulative, u).clamp(max=self.levels - 1).squeeze(1)

        return sample_pixels(self.layers, self.logits, self.shape, self.levels, n, draw)
