"""Centring: y = x - 1/2, the plain preprocessing of pixels in [0, 1]; ladj = 0."""

from torch import Tensor

from likelihood.nn.bijections.base import Bijection


class Center(Bijection):
    """Elementwise shift of (B, H, W, C) tensors in [0, 1] to [-1/2, 1/2]."""

    def forward(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """See Bijection."""
        return x - 0.5, x.new_zeros(x.shape[0])

    def inverse(self, y: Tensor) -> tuple[Tensor, Tensor]:
        """See Bijection."""
        return y + 0.5, y.new_zeros(y.shape[0])
