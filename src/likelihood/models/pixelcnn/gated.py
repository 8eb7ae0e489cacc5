"""The gated layer of PixelCNN [1]: a vertical and a horizontal stack, side by side.

    v' = v + g(V * v + p)                              V: vertical convolution, sees this row and the rows above
    u  = g(H * h + q + L (V * v + p shifted down a row))     H: masked horizontal convolution, L: 1×1 link
    h' = h + R u,   skip = S u                         g(a, b) = tanh(a) · σ(b) of the two halves of the channels

Activations are NHWC, so that all but the vertical convolution are matrix products. Our deviations: the vertical stack has
residual connections too; kernels are 7 wide in the first layer and 3 after it, and may be dilated [2], so that the same weights
see farther; the first layer has learned maps p and q, by which the network knows where in the image it is.

References:
    [1] Conditional image generation with PixelCNN decoders (van den Oord et al., 2016), https://arxiv.org/abs/1606.05328
    [2] Multi-scale context aggregation by dilated convolutions (Yu & Koltun, 2016), https://arxiv.org/abs/1511.07122
"""

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from likelihood.models.pixelcnn.masked import HorizontalConv, MaskedLinear, VerticalConv
from likelihood.models.shared.layers import PixelLinear, tanh

FIRST_KERNEL, KERNEL = 7, 3
VERTICAL, HORIZONTAL = 0, 1


def gate(x: Tensor) -> Tensor:
    """tanh(a) · σ(b) of the two halves of the last dimension."""
    a, b = x.chunk(2, dim=-1)
    return tanh(a) * torch.sigmoid(b)


class GatedLayer(nn.Module):
    """One layer of both stacks.

    The first layer has no residual connections, for its input is the image; the last one gives nothing but its skip connection.

    Arguments:
        inputs, features: the colour groups of the channels it reads and gives.
        size: (H, W) of the images.
        dilation: distance of a kernel's taps.
        first, last: whether it is the first layer, or the last one.
    """

    def __init__(self, inputs: Tensor, features: Tensor, size: tuple[int, int], dilation: int, first: bool, last: bool) -> None:
        super().__init__()
        channels, gated = len(features), features.repeat(2)
        kernel = FIRST_KERNEL if first else KERNEL
        self.first, self.last = first, last
        self.vertical = VerticalConv(len(inputs), 2 * channels, kernel, dilation)
        self.link = PixelLinear(2 * channels, 2 * channels)  # every row above is known: no mask
        self.horizontal = HorizontalConv(inputs, gated, kernel // 2 + 1, "A" if first else "B", dilation)
        self.position = nn.Parameter(torch.zeros(2, *size, 2 * channels)) if first else None  # p and q
        self.residual = None if last else MaskedLinear(features, features)
        self.skip = MaskedLinear(features, features)

    def placed(self, stack: int, convolved: Tensor, *place: int | slice) -> Tensor:
        """What a stack's convolution gave, (…, 2 · channels), plus its map at that place: all of it, a row, or a pixel."""
        return convolved if self.position is None else convolved + self.position[(stack, *place)]

    def vertical_out(self, placed: Tensor, v: Tensor) -> Tensor:
        """The vertical stack's next features from its placed convolution and its input v."""
        if self.last:
            return v
        return gate(placed) if self.first else v + gate(placed)

    def horizontal_out(self, placed: Tensor, link: Tensor, h: Tensor) -> tuple[Tensor, Tensor]:
        """The horizontal stack's next features and the skip connection, from its placed convolution, the link and its input h."""
        gated = gate(placed + link)
        if self.residual is None:
            return h, self.skip(gated)
        out = self.residual(gated)
        return (out if self.first else h + out), self.skip(gated)

    def forward(self, v: Tensor, h: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """Whole images: v and h (B, H, W, inputs) to the next v, h and skip, each (B, H, W, channels)."""
        placed = self.placed(VERTICAL, self.vertical(v))
        link = F.pad(self.link(placed), (0, 0, 0, 0, 1, -1))  # row r hears of rows up to r - 1
        h, skip = self.horizontal_out(self.placed(HORIZONTAL, self.horizontal(h)), link, h)
        return self.vertical_out(placed, v), h, skip
