"""Layers and functions that several families use: 1×1 convolutions of images in NHWC layout, and a fast hyperbolic tangent.

    pixelwise    y = x Wᵀ + b at every pixel
    tanh         tanh(x) = 2 σ(2x) - 1

PyTorch gives products written as such to its library of linear algebra and convolutions to its library of networks. On processors
that the former was not written for, the latter takes half as long over the same product. In NHWC layout a product of pixels is a
convolution without a copy, so images go that way. The rows of features that a sampler has are too few to gain.

PyTorch computes σ on a CPU several numbers at a time, tanh one by one. Near 0 this tanh is exact to 1e-7, not to as many digits
as floats have; where those matter, take torch.tanh.
"""

import torch
from torch import Tensor, nn
from torch.nn import functional as F


def tanh(x: Tensor) -> Tensor:
    """tanh of x, elementwise."""
    return 2.0 * torch.sigmoid(2.0 * x) - 1.0


def pixelwise(x: Tensor, weight: Tensor, bias: Tensor | None) -> Tensor:
    """Multiply images (B, H, W, inputs), or rows (n, inputs), by weight (outputs, inputs): the same shape with `outputs`."""
    if x.dim() != 4:
        return F.linear(x, weight, bias)
    return F.conv2d(x.permute(0, 3, 1, 2), weight[:, :, None, None], bias).permute(0, 2, 3, 1)


class PixelLinear(nn.Linear):
    """A linear layer of the features of every pixel."""

    def forward(self, x: Tensor) -> Tensor:
        """Apply to images (B, H, W, inputs) or rows (n, inputs)."""
        return pixelwise(x, self.weight, self.bias)


class WideLinear(PixelLinear):
    """A linear layer of rows (n, inputs) of hundreds of features, which are taken for the pixels of one image."""

    def forward(self, x: Tensor) -> Tensor:
        """Apply to rows (n, inputs)."""
        return super().forward(x[None, None])[0, 0]
