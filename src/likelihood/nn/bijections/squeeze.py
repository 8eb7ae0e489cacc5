"""Squeeze: every 2×2 block of pixels becomes one pixel with four times the channels [1]. A permutation, so ladj = 0.

References:
    [1] Density estimation using Real NVP (Dinh et al., 2017), https://arxiv.org/abs/1605.08803, section 3.6
"""

from torch import Tensor

from likelihood.nn.bijections.base import Bijection


class Squeeze(Bijection):
    """(B, H, W, C) to (B, H/2, W/2, 4C); H and W must be even."""

    def forward(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """See Bijection."""
        b, h, w, c = x.shape
        blocks = x.view(b, h // 2, 2, w // 2, 2, c).permute(0, 1, 3, 2, 4, 5)  # (B, H/2, W/2, 2, 2, C)
        return blocks.reshape(b, h // 2, w // 2, 4 * c), x.new_zeros(b)

    def inverse(self, y: Tensor) -> tuple[Tensor, Tensor]:
        """See Bijection."""
        b, h, w, c = y.shape
        blocks = y.view(b, h, w, 2, 2, c // 4).permute(0, 1, 3, 2, 4, 5)  # (B, H, 2, W, 2, C)
        return blocks.reshape(b, 2 * h, 2 * w, c // 4), y.new_zeros(b)
