"""The bijections of Glow but its couplings: y = f(x), and the log-determinant of its Jacobian by the places of y.

    log |det ∂f/∂x| = Σ ladj, and at every pixel:
    Center               y = x - 1/2                                    ladj = 0
    Logit [1]            y = logit(s),  s = α + (1 - 2α) x              ladj = Σ log(1 - 2α) - log s - log(1 - s)
    Squeeze [1]          a 2×2 block of pixels becomes one pixel        ladj = 0
    ActNorm [2]          y = (x + bias) · exp(log_scale)                ladj = Σ log_scale
    InvertibleConv1x1 [2]    y = W x                                    ladj = Σ log_s,    W = P L (U + diag(s))

All maps are of images in NHWC layout, (B, H, W, C), in which a 1×1 convolution is one matrix product. In W, P is a fixed
permutation, L unit lower and U strictly upper triangular, s = sign · exp(log_s), so the log-determinant costs nothing. The
log-determinant of the logit is part of the likelihood. A flow converges several times faster on logits, because mass piles up at
the ends of the grey scale. Our deviation: W starts at a rotation of the first images' principal axes, each scaled to variance 1,
where [2] starts at a rotation: neighbouring pixels are nearly equal.

References:
    [1] Density estimation using Real NVP (Dinh et al., 2017), https://arxiv.org/abs/1605.08803, sections 3.6 and 4.1
    [2] Glow (Kingma & Dhariwal, 2018), https://arxiv.org/abs/1807.03039, section 3
"""

import math
from abc import ABC, abstractmethod

import torch
from torch import Tensor, nn
from torch.nn import functional as F

ALPHA = 0.025  # of the logit
MIN_STD = 1e-3  # a constant channel has no variance to normalise
MIN_VARIANCE = 1e-4  # of a principal axis, for the same reason


class Bijection(nn.Module, ABC):
    """An invertible map of (B, H, W, C) tensors."""

    @abstractmethod
    def forward(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """Map x (B, H, W, C) to y; return y and ladj of this map at x, (B, h, w) in nats by the places of y."""

    @abstractmethod
    def inverse(self, y: Tensor) -> tuple[Tensor, Tensor]:
        """Map y back to x; return x and ladj of the inverse map at y, by the places of y: minus the forward one at x."""

    def initialize(self, x: Tensor) -> Tensor:
        """Set data-dependent parameters from a batch x and return f(x); most bijections have none to set."""
        return self(x)[0]


class Center(Bijection):
    """Elementwise shift of (B, H, W, C) tensors in [0, 1] to [-1/2, 1/2]."""

    def forward(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """As Bijection.forward."""
        return x - 0.5, x.new_zeros(x.shape[:3])

    def inverse(self, y: Tensor) -> tuple[Tensor, Tensor]:
        """As Bijection.inverse."""
        return y + 0.5, y.new_zeros(y.shape[:3])


class Logit(Bijection):
    """Elementwise logit of (B, H, W, C) tensors in [0, 1]."""

    def forward(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """As Bijection.forward."""
        y = torch.logit(ALPHA + (1.0 - 2.0 * ALPHA) * x)
        return y, self.ladj(y)

    def inverse(self, y: Tensor) -> tuple[Tensor, Tensor]:
        """As Bijection.inverse."""
        return (torch.sigmoid(y) - ALPHA) / (1.0 - 2.0 * ALPHA), -self.ladj(y)

    def ladj(self, y: Tensor) -> Tensor:
        """Of the forward map, from its result: -log s - log(1 - s) = |y| + 2 log(1 + exp(-|y|)); (B, H, W)."""
        size = y.abs()
        return (size + 2.0 * torch.log(1.0 + torch.exp(-size)) + math.log(1.0 - 2.0 * ALPHA)).sum(dim=3)


class Squeeze(Bijection):
    """(B, H, W, C) to (B, H/2, W/2, 4C); H and W must be even."""

    def forward(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """As Bijection.forward."""
        b, h, w, c = x.shape
        blocks = x.view(b, h // 2, 2, w // 2, 2, c).permute(0, 1, 3, 2, 4, 5)  # (B, H/2, W/2, 2, 2, C)
        return blocks.reshape(b, h // 2, w // 2, 4 * c), x.new_zeros(b, h // 2, w // 2)

    def inverse(self, y: Tensor) -> tuple[Tensor, Tensor]:
        """As Bijection.inverse."""
        b, h, w, c = y.shape
        blocks = y.view(b, h, w, 2, 2, c // 4).permute(0, 1, 3, 2, 4, 5)  # (B, H, 2, W, 2, C)
        return blocks.reshape(b, 2 * h, 2 * w, c // 4), y.new_zeros(b, h, w)


class ActNorm(Bijection):
    """Per-channel affine map of (B, H, W, C); `channels` is C.

    `initialize` sets its parameters so that a first batch has mean 0 and variance 1 per channel; that this has happened is a
    buffer, saved with the weights, so a loaded model is never initialised again.
    """

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.bias = nn.Parameter(torch.zeros(channels))
        self.log_scale = nn.Parameter(torch.zeros(channels))
        self.register_buffer("initialized", torch.tensor(False))

    @torch.no_grad()
    def initialize(self, x: Tensor) -> Tensor:
        """Normalise batch x unless that was done before; return f(x)."""
        if not self.initialized:
            values = x.flatten(0, -2)  # (B·H·W, C)
            self.bias.copy_(-values.mean(dim=0))
            self.log_scale.copy_(-values.std(dim=0).clamp(min=MIN_STD).log())
            self.initialized.fill_(True)
        return self(x)[0]

    def forward(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """As Bijection.forward."""
        return (x + self.bias) * self.log_scale.exp(), self.ladj(x)

    def inverse(self, y: Tensor) -> tuple[Tensor, Tensor]:
        """As Bijection.inverse."""
        return y * torch.exp(-self.log_scale) - self.bias, -self.ladj(y)

    def ladj(self, x: Tensor) -> Tensor:
        """Σ_c log_scale_c, the same at every place of every image: (B, H, W)."""
        return self.log_scale.sum().expand(x.shape[:3])


class InvertibleConv1x1(Bijection):
    """Learned rotation-like mixing of the channels of (B, H, W, C); `channels` is C. `initialize` whitens a first batch."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.register_buffer("permutation", torch.zeros(channels, channels))
        self.register_buffer("sign", torch.zeros(channels))
        self.register_buffer("initialized", torch.tensor(False))
        self.log_s = nn.Parameter(torch.zeros(channels))
        self.lower = nn.Parameter(torch.zeros(channels, channels))
        self.upper = nn.Parameter(torch.zeros(channels, channels))
        self.rotation = torch.linalg.qr(torch.randn(channels, channels)).Q
        self.start(self.rotation)

    @torch.no_grad()
    def start(self, weight: Tensor) -> None:
        """Set W, (C, C) and regular."""
        permutation, lower, upper = torch.linalg.lu(weight)
        diagonal = upper.diagonal()
        self.permutation.copy_(permutation)
        self.sign.copy_(diagonal.sign())
        self.log_s.copy_(diagonal.abs().log())
        self.lower.copy_(lower.tril(-1))
        self.upper.copy_(upper.triu(1))

    @torch.no_grad()
    def initialize(self, x: Tensor) -> Tensor:
        """Start at a rotation of the principal axes of batch x, scaled to variance 1, unless that was done; return f(x)."""
        if not self.initialized:
            values = x.flatten(0, -2).double().cpu()
            variances, axes = torch.linalg.eigh(torch.cov(values.T, correction=0).view(x.shape[-1], -1))
            whitening = (axes * variances.clamp(min=MIN_VARIANCE).rsqrt()).T  # (C, C)
            self.start(self.rotation.to(whitening) @ whitening)
            self.initialized.fill_(True)
        return self(x)[0]

    def weight(self) -> Tensor:
        """W, (C, C)."""
        lower = self.lower.tril(-1).fill_diagonal_(1.0)
        upper = self.upper.triu(1) + torch.diag(self.sign * self.log_s.exp())
        return self.permutation @ lower @ upper

    def forward(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """As Bijection.forward."""
        return F.linear(x, self.weight()), self.ladj(x)

    def inverse(self, y: Tensor) -> tuple[Tensor, Tensor]:
        """As Bijection.inverse."""
        return F.linear(y, torch.linalg.inv(self.weight())), -self.ladj(y)

    def ladj(self, x: Tensor) -> Tensor:
        """Σ log_s, the same at every place of every image: (B, H, W)."""
        return self.log_s.sum().expand(x.shape[:3])
