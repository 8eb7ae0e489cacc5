"""Plain implementations to compare with, written for this comparison, computing the same functions as ours.

The plain Gated PixelCNN is the textbook one: NCHW convolutions with full kernels whose forbidden taps are multiplied by zero, and
sampling by one full forward pass for each value. The plain VAE consists of linear layers, its loss is written as in PixelCNN++
[1], and a DataLoader of torchvision's data set feeds it, which decodes one picture at a time, as in the usual examples.

References:
    [1] PixelCNN++ (Salimans et al., 2017), https://arxiv.org/abs/1701.05517
"""

from collections.abc import Iterator

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional as F
from torch.utils.data import DataLoader
from torchvision.datasets import MNIST
from torchvision.transforms import ToTensor


class MaskedConv2d(nn.Conv2d):
    """A convolution whose weight is multiplied by a mask: rows above and, in the current row, columns up to `last`."""

    def __init__(self, inputs: int, outputs: int, kernel: tuple[int, int], last: int, dilation: int) -> None:
        padding = (kernel[0] // 2 * dilation, kernel[1] // 2 * dilation)
        super().__init__(inputs, outputs, kernel, padding=padding, dilation=dilation)
        mask = torch.zeros(kernel)
        mask[: kernel[0] // 2] = 1.0
        mask[kernel[0] // 2, :last] = 1.0
        self.register_buffer("mask", mask)

    def forward(self, x: Tensor) -> Tensor:
        """Convolve x (B, inputs, H, W)."""
        return F.conv2d(x, self.weight * self.mask, self.bias, padding=self.padding, dilation=self.dilation)


class PlainLayer(nn.Module):
    """A gated layer of a vertical and a horizontal stack, with full masked kernels."""

    def __init__(self, inputs: int, channels: int, kernel: int, dilation: int, size: tuple[int, int] | None, last: bool) -> None:
        super().__init__()
        self.first, self.final = size is not None, last
        self.position = nn.Parameter(torch.zeros(2, 2 * channels, *size)) if size else None
        self.vertical = MaskedConv2d(inputs, 2 * channels, (kernel, kernel), kernel, dilation)
        self.link = nn.Conv2d(2 * channels, 2 * channels, 1)
        self.horizontal = MaskedConv2d(inputs, 2 * channels, (1, kernel), kernel // 2 + (0 if size else 1), dilation)
        self.residual = None if last else nn.Conv2d(channels, channels, 1)
        self.skip = nn.Conv2d(channels, channels, 1)

    @staticmethod
    def gate(x: Tensor) -> Tensor:
        """tanh times sigmoid of the two halves of the channels."""
        a, b = x.chunk(2, dim=1)
        return torch.tanh(a) * torch.sigmoid(b)

    def forward(self, v: Tensor, h: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """The next v and h, and the skip connection."""
        convolved, horizontal = self.vertical(v), self.horizontal(h)
        if self.position is not None:
            convolved, horizontal = convolved + self.position[0], horizontal + self.position[1]
        link = F.pad(self.link(convolved), (0, 0, 1, 0))[:, :, :-1]
        gated = self.gate(horizontal + link)
        if self.residual is not None:
            out = self.residual(gated)
            v, h = (self.gate(convolved), out) if self.first else (v + self.gate(convolved), h + out)
        return v, h, self.skip(gated)


class PlainPixelCNN(nn.Module):
    """The same function as ours for grey images, with the textbook's convolutions."""

    def __init__(self, layers: int, channels: int, dilation: int, size: tuple[int, int]) -> None:
        super().__init__()
        apart = [1 if k % 2 else min(dilation, 2 ** (k // 2)) for k in range(layers)]
        self.layers = nn.ModuleList(
            PlainLayer(channels if k else 2, channels, 3 if k else 7, apart[k], None if k else size, k == layers - 1)
            for k in range(layers)
        )
        self.hidden, self.head = nn.Conv2d(channels, channels, 1), nn.Conv2d(channels, 256, 1)

    def logits(self, x: Tensor) -> Tensor:
        """Logits of every pixel of uint8 x (B, 1, H, W): (B, 256, H, W)."""
        levels = x.to(self.head.weight)
        v = h = torch.cat([levels / 127.5 - 1.0, (levels == 0.0).to(levels)], dim=1)
        total = 0
        for layer in self.layers:
            v, h, skip = layer(v, h)
            total = total + skip
        return self.head(F.relu(self.hidden(F.relu(total))))

    def forward(self, x: Tensor) -> Tensor:
        """Log-probability of uint8 x (B, 1, H, W): (B,) in nats."""
        return -F.cross_entropy(self.logits(x), x[:, 0].long(), reduction="none").sum(dim=(1, 2))


class PlainVAE(nn.Module):
    """The same function as ours of 28×28 grey images, dense, with a discretised logistic for each pixel."""

    def __init__(self, hidden: int, latent: int) -> None:
        super().__init__()
        self.encoder = nn.Sequential(nn.Flatten(), nn.Linear(784, hidden), nn.ReLU(), nn.Linear(hidden, 2 * latent))
        self.decoder = nn.Sequential(nn.Linear(latent, hidden), nn.ReLU(), nn.Linear(hidden, 2 * 784))

    def forward(self, x: Tensor) -> Tensor:
        """ELBO of uint8 x (B, 1, 28, 28) with one draw of the latent: (B,) in nats."""
        pixels = x / 127.5 - 1.0
        mean, logvar = self.encoder(pixels).chunk(2, dim=1)
        z = mean + torch.exp(0.5 * logvar) * torch.randn_like(mean)
        kl = -0.5 * (1.0 + logvar - mean.square() - logvar.exp()).sum(dim=1)
        return self.log_prob(pixels.flatten(1), *self.decoder(z).chunk(2, dim=1)).sum(dim=1) - kl

    @staticmethod
    def log_prob(pixels: Tensor, mean: Tensor, log_scale: Tensor) -> Tensor:
        """Log-probability of each of pixels in [-1, 1], in nats, given its logistic's mean and log-scale."""
        centered, inverse_scale = pixels - mean, torch.exp(-log_scale)
        upper, lower = inverse_scale * (centered + 1.0 / 255.0), inverse_scale * (centered - 1.0 / 255.0)
        within = torch.log((torch.sigmoid(upper) - torch.sigmoid(lower)).clamp(min=1e-12))
        darkest, brightest = upper - F.softplus(upper), -F.softplus(lower)
        return torch.where(pixels < -0.999, darkest, torch.where(pixels > 0.999, brightest, within))


class Pictures(MNIST):
    """torchvision's own data set of grey pictures, which decodes them one at a time, filled from memory."""

    def __init__(self, images: np.ndarray) -> None:
        self.data = torch.from_numpy(images[:, 0])
        self.targets = torch.zeros(len(images), dtype=torch.long)
        self.transform, self.target_transform = ToTensor(), None

    def __len__(self) -> int:
        return len(self.data)


def loaded_batches(images: np.ndarray, batch_size: int) -> Iterator[Tensor]:
    """One epoch of uint8 batches through a DataLoader."""
    for batch, _ in DataLoader(Pictures(images), batch_size=batch_size, shuffle=True, drop_last=True):
        yield (batch * 255.0).round().to(torch.uint8)
