"""The two halves of a VAE: an encoder from images to the parameters of q(z | x), a decoder from z to those of P(x | z).

Dense [1]: one hidden layer on flattened images. Convolutional: two convolutions of stride 2 and residual blocks [2] between them,
so that z is a grid with a quarter of the image's sides, each of whose places tells of its own part of the image; the decoder is
their mirror image. A z without places has to squeeze a picture through one vector, which costs a picture of nature most of its
detail.

Our deviations: no batch normalisation, which would let an image's likelihood depend on others; sizes that cannot be halved are
rounded up, and the decoder's surplus row or column is cut off.

References:
    [1] Auto-encoding variational Bayes (Kingma & Welling, 2014), https://arxiv.org/abs/1312.6114
    [2] Deep residual learning for image recognition (He et al., 2016), https://arxiv.org/abs/1512.03385
"""

import math
from collections import OrderedDict

from torch import Tensor, nn
from torch.nn import functional as F

from likelihood.models.shared.layers import WideLinear

Halves = tuple[nn.Module, nn.Module, tuple[int, ...]]


def dense(shape: tuple[int, int, int], hidden: int, latent: int, outputs: int | None) -> Halves:
    """Encoder (B, C, H, W) to (B, 2 · latent), decoder (B, latent) to (B, outputs, H, W), and the shape of z.

    There are `hidden` units between; without a number of outputs, as many features.
    """
    _, *size = shape
    outputs = outputs or hidden
    encoder = OrderedDict(
        flatten=nn.Flatten(), stem=WideLinear(math.prod(shape), hidden), relu=nn.ReLU(), latent=nn.Linear(hidden, 2 * latent)
    )
    decoder = OrderedDict(
        hidden=nn.Linear(latent, hidden),
        relu=nn.ReLU(),
        head=WideLinear(hidden, outputs * math.prod(size)),
        unflatten=nn.Unflatten(1, (outputs, *size)),
    )
    return nn.Sequential(encoder), nn.Sequential(decoder), (latent,)


def convolutional(shape: tuple[int, int, int], hidden: int, latent: int, outputs: int | None) -> Halves:
    """As `dense`, with z (B, latent, H/4, W/4); `hidden` is the number of channels at half of the sides."""
    channels, *size = shape
    half, quarter = ([math.ceil(length / part) for length in size] for part in (2, 4))
    encoder = OrderedDict(
        stem=nn.Conv2d(channels, hidden, 3, stride=2, padding=1),
        fine=ResidualBlock(hidden, hidden),
        down=nn.Conv2d(hidden, 2 * hidden, 3, stride=2, padding=1),
        coarse=ResidualBlock(2 * hidden, hidden),
        latent=nn.Conv2d(2 * hidden, 2 * latent, 1),
    )
    decoder = OrderedDict(
        hidden=nn.Conv2d(latent, 2 * hidden, 3, padding=1),
        coarse=ResidualBlock(2 * hidden, hidden),
        up=Enlarged(2 * hidden, hidden, half),
        fine=ResidualBlock(hidden, hidden),
        full=Enlarged(hidden, hidden, size),
        features=nn.Sequential(nn.SiLU(), nn.Conv2d(hidden, hidden, 1), nn.SiLU()),
    )
    if outputs:
        decoder["head"] = nn.Conv2d(hidden, outputs, 1)
    return nn.Sequential(encoder), nn.Sequential(decoder), (latent, *quarter)


class ResidualBlock(nn.Module):
    """x + f(x), f a 1×1, a 3×3 and a 1×1 convolution with SiLU before each; the identity at the start."""

    def __init__(self, channels: int, inner: int) -> None:
        super().__init__()
        self.first = nn.Conv2d(channels, inner, 1)
        self.middle = nn.Conv2d(inner, inner, 3, padding=1)
        self.last = nn.Conv2d(inner, channels, 1)
        nn.init.zeros_(self.last.weight)
        nn.init.zeros_(self.last.bias)

    def forward(self, x: Tensor) -> Tensor:
        """Apply to x (B, channels, H, W)."""
        return x + self.last(F.silu(self.middle(F.silu(self.first(F.silu(x))))))


class Enlarged(nn.ConvTranspose2d):
    """A transposed convolution that doubles the sides of an image, cut to `size`."""

    def __init__(self, inputs: int, outputs: int, size: list[int]) -> None:
        super().__init__(inputs, outputs, 4, stride=2, padding=1)
        self.size = size

    def forward(self, x: Tensor) -> Tensor:
        """Apply to x (B, inputs, h, w)."""
        height, width = self.size
        return super().forward(F.silu(x))[:, :, :height, :width]


NETWORKS = {"dense": dense, "convolutional": convolutional}
