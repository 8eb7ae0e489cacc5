"""Activation normalisation [1]: y = (x + bias) · exp(log_scale), one pair of parameters a channel.

`initialize` sets them so that a first batch comes out with mean 0 and variance 1 a channel; that this has happened is a
buffer, saved with the weights, so a loaded model is never initialised again.

References:
    [1] Glow (Kingma & Dhariwal, 2018), https://arxiv.org/abs/1807.03039
"""

import torch
from torch import Tensor, nn

from likelihood.nn.bijections.base import Bijection

MIN_STD = 1e-3  # a constant channel has no variance to normalise


class ActNorm(Bijection):
    """Per-channel affine map of (B, H, W, C); `channels` is C."""

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
        """See Bijection."""
        return (x + self.bias) * self.log_scale.exp(), self.ladj(x)

    def inverse(self, y: Tensor) -> tuple[Tensor, Tensor]:
        """See Bijection."""
        return y * torch.exp(-self.log_scale) - self.bias, -self.ladj(y)

    def ladj(self, x: Tensor) -> Tensor:
        """H · W · Σ_c log_scale_c, the same for every image: (B,)."""
        return (x.shape[1] * x.shape[2] * self.log_scale.sum()).expand(x.shape[0])
