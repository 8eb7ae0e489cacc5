"""The softmax over the levels of the next pixel [1]: P(r, g, b) = P(r) P(g | r) P(b | r, g), a logit for every level of each.

The network itself must keep the colours apart (`order` groups of features, masked.py). The other distribution of a next pixel is
a mixture of discretised logistics (models/shared/pixels.py). For it the network sees whole pixels, one order group. A softmax
learns nothing about level 101 from level 100; the logistics know the order of the levels.

References:
    [1] Pixel recurrent neural networks (van den Oord et al., 2016), https://arxiv.org/abs/1601.06759
"""

from torch import Tensor, nn
from torch.nn import functional as F

from likelihood.models.pixelcnn.masked import MaskedLinear, groups


class Softmax(nn.Module):
    """A logit for each level of each colour; starts at the uniform distribution, 8 bits/dim.

    Arguments:
        features: width of the network's output.
        colors: C of the images, and the number of order groups.
        levels: grey levels of a pixel.
    """

    def __init__(self, features: int, colors: int, levels: int) -> None:
        super().__init__()
        self.order, self.colors, self.levels = colors, colors, levels
        self.head = MaskedLinear(groups(features, colors), groups(colors, colors).repeat_interleave(levels))
        nn.init.zeros_(self.head.weight)
        nn.init.zeros_(self.head.bias)

    def log_prob(self, x: Tensor, h: Tensor) -> Tensor:
        """log P of each colour given those before it, (..., C) in nats, of levels x (..., C); h is (..., features)."""
        logits = self.head(h).reshape(-1, self.levels)
        return -F.cross_entropy(logits, x.reshape(-1).long(), reduction="none").view(x.shape)

    def levels_log_prob(self, x: Tensor, h: Tensor) -> Tensor:
        """log P of every level of each colour, (..., C, levels) in nats; the colours before it are known by h already."""
        return F.log_softmax(self.head(h).unflatten(-1, (self.colors, self.levels)), dim=-1)

    def color_log_prob(self, pixel: Tensor, h: Tensor, color: int) -> Tensor:
        """log P of every level of one colour, (n, levels); h is (n, features)."""
        return self.levels_log_prob(pixel, h)[:, color]
