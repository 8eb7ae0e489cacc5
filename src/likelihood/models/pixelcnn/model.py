"""Gated PixelCNN [1]: an exact likelihood, pixel after pixel, colour after colour.

    log P(x) = Σ_i log P(x_i | x_1 … x_{i-1}),    i over rows, columns, then R, G, B

Each factor is a 256-way softmax (next_pixel.py) [1] or comes of a mixture of discretised logistics (models/shared/pixels.py) [2].

A vertical stack sees the rows above without a blind spot, a horizontal stack sees the pixels to the left and hears from the
vertical one. Sampling evaluates every activation once (incremental.py).

Our deviations: those of the layers (gated.py); the network sees of each value whether it is black, beside its level, for most
pixels of pictures on a background are; the head reads the sum of the skip connections through two 1×1 layers, the
last of which starts at zero, so that the first prediction is the same for every pixel.

References:
    [1] Conditional image generation with PixelCNN decoders (van den Oord et al., 2016), https://arxiv.org/abs/1606.05328
    [2] PixelCNN++ (Salimans et al., 2017), https://arxiv.org/abs/1701.05517
"""

from typing import Annotated, ClassVar, Literal

import numpy as np
import torch
from pydantic import Field
from torch import Tensor, nn
from torch.nn import functional as F

from likelihood.models.pixelcnn.gated import GatedLayer
from likelihood.models.pixelcnn.incremental import sample_pixels
from likelihood.models.pixelcnn.masked import MaskedLinear, groups
from likelihood.models.pixelcnn.next_pixel import Softmax
from likelihood.models.shared.base import PixelLikelihoodModel, Shape, total
from likelihood.models.shared.pixels import MixtureOfLogistics, to_unit_interval

PIXELS = {"softmax": Softmax, "mixture": MixtureOfLogistics}


class PixelCNN(PixelLikelihoodModel):
    """Gated PixelCNN.

    Arguments:
        shape: (C, H, W) of the images; any size, 1 or 3 channels.
        layers: gated layers.
        channels: features of each stack (at least C).
        dilation: largest distance of a kernel's taps; layers have 1, 1, 2, 1, 4, 1, 8 … up to it.
        pixels: `softmax`, or `mixture` (of discretised logistics).
        levels: grey levels of a pixel.
    """

    core_batch: ClassVar[int] = 16  # the logits of more leave the cache
    lower_bound: ClassVar[bool] = False

    def __init__(
        self,
        shape: Shape,
        layers: Annotated[int, Field(ge=1, le=100)],
        channels: Annotated[int, Field(ge=3, le=4096)],
        dilation: Annotated[int, Field(ge=1, le=64)],
        pixels: Literal["softmax", "mixture"],
        levels: int = 256,
    ) -> None:
        super().__init__(shape, levels)
        next_pixel = PIXELS[pixels](channels, shape[0], levels)
        inputs, features = groups(shape[0], next_pixel.order).repeat(2), groups(channels, next_pixel.order)
        dilations = [min(dilation, 2 ** (k // 2)) if k % 2 == 0 else 1 for k in range(layers)]
        self.layers = nn.ModuleList(
            GatedLayer(inputs if k == 0 else features, features, shape[1:], dilations[k], k == 0, k == layers - 1)
            for k in range(layers)
        )
        self.hidden = MaskedLinear(features, features)
        self.pixels = next_pixel

    def to_input(self, x: Tensor) -> Tensor:
        """What the first layer sees of levels (..., C): each in [-1, 1], and for each 1 if it is black, (..., 2 C)."""
        level = to_unit_interval(x, self.levels)
        return torch.cat([level, (x < 1).to(level)], dim=-1)

    def read(self, skips: Tensor) -> Tensor:
        """What the distribution of the next pixel is read from, from the summed skip connections: (..., channels) to the same."""
        return F.relu(self.hidden(F.relu(skips)))

    def features(self, x: Tensor) -> Tensor:
        """What the distribution of every pixel of levels x (B, H, W, C) is read from: (B, H, W, channels)."""
        v = h = self.to_input(x).contiguous()
        skips = 0
        for layer in self.layers:
            v, h, skip = layer(v, h)
            skips = skips + skip
        return self.read(skips)

    def noise(self, n: int, rng: np.random.Generator) -> Tensor:
        """None is needed: (n, 0)."""
        return torch.zeros(n, 0)

    def terms(self, x: Tensor, noise: Tensor) -> dict[str, Tensor]:
        """log P of each value of a colour channel given those before it (`channel_0` …): (B, H, W) in nats."""
        x = x.permute(0, 2, 3, 1)
        nats = self.pixels.log_prob(x, self.features(x))  # (B, H, W, C)
        return {f"channel_{c}": nats[..., c] for c in range(self.shape[0])}

    def forward(self, x: Tensor, noise: Tensor) -> dict[str, Tensor]:
        """`log_weight` = log P(x), and its sum over each colour channel (`channel_0` …), each (B,) in nats."""
        channels = {name: total(term) for name, term in self.terms(x, noise).items()}
        return {"log_weight": sum(channels.values()), **channels}

    def levels_log_prob(self, x: Tensor, noise: Tensor) -> Tensor:
        """As PixelLikelihoodModel.levels_log_prob, given the values before."""
        x = x.permute(0, 2, 3, 1)
        return self.pixels.levels_log_prob(x, self.features(x)).permute(0, 3, 1, 2, 4)

    @torch.inference_mode()
    def sample(self, n: int, generator: torch.Generator) -> Tensor:
        """Draw pixel after pixel with cached activations: uint8 (n, C, H, W)."""

        def draw(skip: Tensor, pixel: Tensor, row: int, column: int, color: int) -> Tensor:
            u = torch.rand(n, 1, generator=generator, dtype=torch.float64).to(skip.device)
            log_prob = self.pixels.color_log_prob(pixel, self.read(skip), color)
            cumulative = torch.softmax(log_prob.double(), dim=-1).cumsum(dim=-1)
            return torch.searchsorted(cumulative, u).clamp(max=self.levels - 1).squeeze(1)

        return sample_pixels(self.layers, self.shape, self.to_input, self.pixels.order, n, draw)
