"""A 3×3 convolution that gives a few channels, computed for blocks of 2×2 pixels at once.

    y[o] at pixel (2i + p, 2j + q)  =  channel (p, q, o) at (i, j) of a convolution of stride 2 by K,
    K[(p, q, o)] = the 3×3 kernel of o, shifted by (p, q) in a window of 4×4

A processor multiplies LANES numbers at a time, and a convolution fills them with the channels that one pixel gets; with four of
them most of its work is for nothing. A block that fits takes a step for each of the 16 taps of its window, where its four pixels
take 36. It is the same function of the same weights.
"""

import torch
from torch import Tensor, nn
from torch.nn import functional as F

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
