"""Distributions of the next pixel of an autoregressive model, R → G → B, given what a network has seen of the pixels before it.

    P(r, g, b) = P(r) P(g | r) P(b | r, g)

Softmax: each factor has a logit for every level, so the network itself must keep the colours apart (`order` groups of
features, masked.py). Mixture of discretised logistics [1]: the network sees whole pixels, one order group, and colours
speak to each other through the means,

    P(r, g, b) = Σ_k w_k  P_k(r) P_k(g | r) P_k(b | r, g),    mean_g = m_g + α r,    mean_b = m_b + β r + γ g

A softmax learns nothing about level 101 from level 100. The logistics know the order of the levels, and learn natural colours
with far fewer images; on grey pictures with a flat background the softmax wins.

Our deviation: [1] puts a half-open cell at the ends of the grey scale and falls back on the density where a cell underflows; here
the cells' probabilities are computed without cancellation (models/shared/pixels.py) and need no fall-back.

References:
    [1] PixelCNN++ (Salimans et al., 2017), https://arxiv.org/abs/1701.05517
"""

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from likelihood.models.pixelcnn.masked import MaskedLinear, groups
from likelihood.models.shared.layers import PixelLinear, tanh
from likelihood.models.shared.pixels import logistic_log_prob, to_unit_interval

COMPONENTS = 10  # of the mixture, as in [1]
START_LOG_SCALE = -1.5  # the components start side by side along the grey scale, each about as wide as its share of it


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
        """log P of each colour given those before it, (B, H, W, C) in nats, of uint8 x (B, H, W, C); h is (B, H, W, features)."""
        logits = self.head(h).reshape(-1, self.levels)
        return -F.cross_entropy(logits, x.reshape(-1).long(), reduction="none").view(x.shape)

    def levels_log_prob(self, pixel: Tensor, h: Tensor, color: int) -> Tensor:
        """log P of every level of one colour, (n, levels); the colours before it are known by h already."""
        return F.log_softmax(self.head(h).view(-1, self.colors, self.levels)[:, color], dim=-1)


class MixtureOfLogistics(nn.Module):
    """A mixture over whole pixels; arguments as those of Softmax."""

    def __init__(self, features: int, colors: int, levels: int) -> None:
        super().__init__()
        self.order, self.colors, self.levels = 1, colors, levels
        self.pairs = [(color, earlier) for color in range(colors) for earlier in range(color)]
        self.sizes = [1, colors, colors, len(self.pairs)]  # logits of the weights, means, log-scales, coefficients
        self.head = PixelLinear(features, sum(self.sizes) * COMPONENTS)
        nn.init.zeros_(self.head.weight)
        nn.init.zeros_(self.head.bias)
        with torch.no_grad():
            _, mean, log_scale, _ = self.head.bias.view(-1, COMPONENTS).split(self.sizes)
            mean.copy_(torch.linspace(-1.0, 1.0, COMPONENTS))
            log_scale.fill_(START_LOG_SCALE)

    def joint(self, x: Tensor, h: Tensor, colors: int) -> Tensor:
        """log w_k + log P_k of the first c colours, for c = 1 … colors: (..., colors, components).

        x is (..., C) levels, of which the colours up to `colors` are read; h is (..., features).
        """
        weight, mean, log_scale, coefficients = self.head(h).unflatten(-1, (-1, COMPONENTS)).split(self.sizes, dim=-2)
        value = to_unit_interval(x, self.levels)
        means = list(mean.unbind(-2))  # each (..., components)
        for number, (color, earlier) in enumerate(self.pairs):
            means[color] = means[color] + tanh(coefficients[..., number, :]) * value[..., earlier, None]
        mean = torch.stack(torch.broadcast_tensors(*means[:colors]), dim=-2)
        nats = logistic_log_prob(x[..., :colors, None], mean, log_scale[..., :colors, :], self.levels)
        return F.log_softmax(weight, dim=-1) + nats.cumsum(dim=-2)

    def log_prob(self, x: Tensor, h: Tensor) -> Tensor:
        """As Softmax.log_prob; a colour's is the growth of the joint log-probability by it."""
        joint = torch.logsumexp(self.joint(x, h, self.colors), dim=-1)  # (B, H, W, C)
        return torch.diff(joint, dim=-1, prepend=torch.zeros_like(joint[..., :1]))

    def levels_log_prob(self, pixel: Tensor, h: Tensor, color: int) -> Tensor:
        """As Softmax.levels_log_prob; the colours before `color` are read from pixel (n, C), uint8."""
        tried = pixel[:, None].repeat(1, self.levels, 1)  # (n, levels, C)
        tried[..., color] = torch.arange(self.levels, device=pixel.device).to(tried.dtype)
        joint = self.joint(tried, h[:, None], color + 1)[..., color, :]
        return F.log_softmax(torch.logsumexp(joint, dim=-1), dim=-1)
