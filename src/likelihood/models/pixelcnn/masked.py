"""Masked convolutions as cropped convolutions on NHWC tensors, and the channel masks of the current pixel.

A pixel may depend on those before it in raster order: rows above, then pixels to the left, then earlier colour channels of its
own. Where all of a kernel's taps are allowed the kernel is cropped instead of masked (2×3 instead of a masked 3×3), so no
multiplication is wasted on zeros. With k = 3 the two stacks of [1] see, at the pixel marked #:

    vertical (rows above and this one)      horizontal, mask A      horizontal, mask B
            x x x                                  x o                     x #
            x # x                             (o: earlier colours)    (#: these and earlier)

The current pixel needs a mask only among channels: features and colours are dealt into groups, R < G < B; mask A lets group g
see colours before g, mask B groups up to g. Masks are applied functionally; weights are never overwritten.

References:
    [1] Conditional image generation with PixelCNN decoders (van den Oord et al., 2016), https://arxiv.org/abs/1606.05328
"""

from typing import Literal

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from likelihood.models.shared.layers import PixelLinear, pixelwise


def groups(features: int, count: int) -> Tensor:
    """Group 0 … count - 1 of each of `features` features, in order: (features,)."""
    return torch.arange(features) * count // features


def channel_mask(inputs: Tensor, outputs: Tensor, mask_type: Literal["A", "B"]) -> Tensor:
    """1.0 where an output's group may see an input's group: (outputs, inputs) from two vectors of groups."""
    seen = inputs[None, :] < outputs[:, None] if mask_type == "A" else inputs[None, :] <= outputs[:, None]
    return seen.to(torch.get_default_dtype())


class MaskedLinear(PixelLinear):
    """A 1×1 convolution whose channels obey the order of the colours; arguments are the groups."""

    def __init__(self, inputs: Tensor, outputs: Tensor, mask_type: Literal["A", "B"] = "B") -> None:
        super().__init__(len(inputs), len(outputs))
        mask = channel_mask(inputs, outputs, mask_type)
        self.register_buffer("mask", mask, persistent=False)
        self.masked = not bool(mask.all())

    def forward(self, x: Tensor) -> Tensor:
        """Apply to images (B, H, W, inputs) or rows (n, inputs)."""
        return pixelwise(x, self.weight * self.mask if self.masked else self.weight, self.bias)


class HorizontalConv(MaskedLinear):
    """1×k convolution over k - 1 pixels to the left, `dilation` apart, and the current one, (B, H, W, inputs) to (…, outputs)."""

    def __init__(self, inputs: Tensor, outputs: Tensor, kernel: int, mask_type: Literal["A", "B"], dilation: int = 1) -> None:
        past = torch.full((len(inputs) * (kernel - 1),), -1)  # before every group: always visible
        super().__init__(torch.cat([past, inputs]), outputs, mask_type)
        self.kernel, self.dilation = kernel, dilation
        self.reach = (kernel - 1) * dilation  # columns to the left

    def forward(self, x: Tensor) -> Tensor:
        """Apply to all pixels of x at once."""
        moves = [min(k * self.dilation, x.shape[2]) for k in range(self.kernel - 1, 0, -1)]
        past = [F.pad(x, (0, 0, k, -k)) for k in moves]  # moved k columns to the right
        return super().forward(torch.cat([*past, x], dim=-1))

    def at(self, window: Tensor) -> Tensor:
        """One pixel column: window (B, reach + 1, inputs) holds the columns to its left and itself; (B, outputs)."""
        return super().forward(window[:, :: self.dilation].flatten(1))


class VerticalConv(nn.Conv2d):
    """Convolution over this row and kernel // 2 rows above, kernel columns wide, all `dilation` apart; NHWC in and out."""

    def __init__(self, inputs: int, outputs: int, kernel: int, dilation: int = 1) -> None:
        super().__init__(inputs, outputs, (kernel // 2 + 1, kernel), dilation=dilation)
        self.reach = kernel // 2 * dilation  # rows above, and columns to either side

    def forward(self, x: Tensor) -> Tensor:
        """Apply to x (B, H, W, inputs); rows above the image are zero."""
        return self.valid(F.pad(x, (0, 0, 0, 0, self.reach, 0)))

    def valid(self, x: Tensor) -> Tensor:
        """Apply without rows of padding: (B, H, W, inputs) to (B, H - reach, W, outputs)."""
        weight = self.weight.contiguous(memory_format=torch.channels_last)
        y = F.conv2d(x.permute(0, 3, 1, 2), weight, self.bias, padding=(0, self.reach), dilation=self.dilation)
        return y.permute(0, 2, 3, 1)
