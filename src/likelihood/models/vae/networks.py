"""The two halves of a VAE: an encoder from images to the parameters of q(z | x), a decoder from z to those of P(x | z).

Dense [1]: one hidden layer on flattened images. Convolutional, of the kind of [2] and [3]: three convolutions of stride 2, each
with twice the channels of the one before, then one linear map; the decoder is their mirror image.

Our deviations: no batch normalisation, which would let an image's likelihood depend on others; sizes that cannot be halved are
rounded up, and the decoder's surplus row or column is cut off.

References:
    [1] Auto-encoding variational Bayes (Kingma & Welling, 2014), https://arxiv.org/abs/1312.6114
    [2] Do deep generative models know what they don't know? (Nalisnick et al., 2019), https://arxiv.org/abs/1810.09136
    [3] Distribution matching in variational inference (Rosca et al., 2018), https://arxiv.org/abs/1802.06847
"""

import math

from torch import Tensor, nn

from likelihood.models.shared.layers import WideLinear

DEPTH = 3  # convolutions


def dense(shape: tuple[int, int, int], hidden: int, latent: int, outputs: int) -> tuple[nn.Module, nn.Module]:
    """Encoder (B, C, H, W) to (B, 2 · latent), decoder (B, latent) to (B, outputs · C, H, W); `hidden` units between."""
    channels, height, width = shape
    dims = math.prod(shape)
    encoder = nn.Sequential(nn.Flatten(), WideLinear(dims, hidden), nn.ReLU(), nn.Linear(hidden, 2 * latent))
    decoder = nn.Sequential(
        nn.Linear(latent, hidden),
        nn.ReLU(),
        WideLinear(hidden, outputs * dims),
        nn.Unflatten(1, (outputs * channels, height, width)),
    )
    return encoder, decoder


def convolutional(shape: tuple[int, int, int], hidden: int, latent: int, outputs: int) -> tuple[nn.Module, nn.Module]:
    """As `dense`; `hidden` is the number of channels of the first convolution and the last but one."""
    channels, *size = shape
    sizes = [size]
    for _ in range(DEPTH):
        sizes.append([math.ceil(length / 2) for length in sizes[-1]])
    widths = [hidden * 2**k for k in range(DEPTH)]
    small = (widths[-1], *sizes[-1])
    encoder: list[nn.Module] = []
    for before, after in zip([channels, *widths], widths, strict=False):
        encoder += [nn.Conv2d(before, after, 3, stride=2, padding=1), nn.ReLU()]
    encoder += [nn.Flatten(), nn.Linear(math.prod(small), 2 * latent)]
    decoder: list[nn.Module] = [nn.Linear(latent, math.prod(small)), nn.Unflatten(1, small)]
    for before, after, target in zip(widths[::-1], [*widths[-2::-1], outputs * channels], sizes[-2::-1], strict=True):
        decoder += [nn.ReLU(), nn.ConvTranspose2d(before, after, 4, stride=2, padding=1), Crop(target)]
    return nn.Sequential(*encoder), nn.Sequential(*decoder)


class Crop(nn.Module):
    """The leading rows and columns of (B, C, H, W)."""

    def __init__(self, size: list[int]) -> None:
        super().__init__()
        self.size = size

    def forward(self, x: Tensor) -> Tensor:
        """Cut to the size."""
        height, width = self.size
        return x[:, :, :height, :width]


NETWORKS = {"dense": dense, "convolutional": convolutional}
