"""The 1×1 convolution of images in NHWC layout: one matrix product for all of their pixels.

    y = x Wᵀ + b at every pixel

PyTorch leaves products written as such to its library of linear algebra, convolutions to its library of networks, which on
processors that the former was not written for takes half as long over the same product. In NHWC layout a product of pixels is a
convolution without a copy, so images go that way. Rows of features, as the sampler has them, are too few to gain.
"""

from torch import Tensor, nn
from torch.nn import functional as F


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
