"""How pixels enter a network, and distributions of one discrete pixel given a network's outputs.

Discretised logistic [1]: with σ the logistic function and the cell of level k reaching from k - 1/2 to k + 1/2 (the first and
last cells reach to infinity, so that the levels' probabilities sum to 1),

    P(k) = σ((k + 1/2 - mean) / scale) - σ((k - 1/2 - mean) / scale)

computed as log σ(upper) + log σ(-lower) + log(1 - exp(-(upper - lower))), which neither cancels nor underflows. One logarithm
does for the three: below TAIL, where σ is an exponential, its argument is taken out of it. Both ends are measured on pixels
scaled to [-1, 1].

References:
    [1] PixelCNN++ (Salimans et al., 2017), https://arxiv.org/abs/1701.05517
"""

import torch
from torch import Tensor
from torch.nn import functional as F

# Of pixels in [-1, 1]. Below, a scale of 0.1 grey levels of 256: narrower gains nothing. Above, a pixel is black or white by a
# coin's toss: wider gains nothing, and far from the training images the probability of a cell would underflow to 0.
LOG_SCALE_LIMIT = 7.0
TAIL = -30.0  # from here down log σ(t) = t in floats
FAR = 1e6  # as good as infinity for the end of a cell, and times 0 still 0


def to_unit_interval(x: Tensor, levels: int) -> Tensor:
    """Map integer levels 0 … levels - 1 to floats in [-1, 1], of the default dtype."""
    return x.to(torch.get_default_dtype()) * (2.0 / (levels - 1)) - 1.0


def logistic_log_prob(x: Tensor, mean: Tensor, log_scale: Tensor, levels: int) -> Tensor:
    """Log-probability of levels x under logistics rounded to `levels` levels, in nats; the shapes broadcast."""
    inverse_scale = torch.exp(-log_scale.clamp(-LOG_SCALE_LIMIT, LOG_SCALE_LIMIT))
    half = 1.0 / (levels - 1)
    center = to_unit_interval(x, levels)
    above = half + FAR * (x == levels - 1)  # from the pixel to the ends of its cell
    below = half + FAR * (x == 0)
    upper = (center + above - mean) * inverse_scale
    lower = (mean - center + below) * inverse_scale  # minus the lower end
    cell = 0.5 * (above + below) * inverse_scale
    inner = torch.tanh(cell) * (1.0 + torch.exp(-2.0 * cell))  # 1 - exp(-2 cell) without cancellation
    within = torch.log(torch.sigmoid(upper.clamp(min=TAIL)) * torch.sigmoid(lower.clamp(min=TAIL)) * inner)
    return within + (upper - TAIL).clamp(max=0.0) + (lower - TAIL).clamp(max=0.0)


class DiscretizedLogistic:
    """A logistic distribution rounded to `levels` grey levels; two outputs per pixel, mean and log-scale."""

    outputs = 2

    def __init__(self, levels: int) -> None:
        self.levels = levels

    def to_input(self, x: Tensor) -> Tensor:
        """What the encoder sees of uint8 x: floats in [-1, 1]."""
        return to_unit_interval(x, self.levels)

    def log_prob(self, x: Tensor, outputs: Tensor) -> Tensor:
        """Log-probability of each pixel of uint8 x (B, C, H, W) given outputs (B, 2, C, H, W): (B, C, H, W) in nats."""
        return logistic_log_prob(x, outputs[:, 0], outputs[:, 1], self.levels)

    def sample(self, outputs: Tensor, generator: torch.Generator) -> Tensor:
        """Draw each pixel by inverting the distribution function, then rounding: uint8 (B, C, H, W)."""
        mean, log_scale = outputs[:, 0], outputs[:, 1].clamp(-LOG_SCALE_LIMIT, LOG_SCALE_LIMIT)
        u = torch.rand(mean.shape, generator=generator).to(mean).clamp(1e-6, 1.0 - 1e-6)
        value = mean + torch.exp(log_scale) * torch.logit(u)
        level = torch.round((value + 1.0) * (0.5 * (self.levels - 1)))
        return level.clamp(0, self.levels - 1).to(torch.uint8)


class Bernoulli:
    """Binary pixels; grey levels are binarised by x >= levels / 2. One output per pixel, the logit of 1."""

    outputs = 1

    def __init__(self, levels: int) -> None:
        self.levels = levels

    def to_input(self, x: Tensor) -> Tensor:
        """What the encoder sees of uint8 x: the binarised image, as floats."""
        return (2 * x.int() >= self.levels).to(torch.get_default_dtype())

    def log_prob(self, x: Tensor, outputs: Tensor) -> Tensor:
        """Log-probability of each binarised pixel of uint8 x (B, C, H, W) given outputs (B, 1, C, H, W): nats."""
        return -F.binary_cross_entropy_with_logits(outputs[:, 0], self.to_input(x), reduction="none")

    def sample(self, outputs: Tensor, generator: torch.Generator) -> Tensor:
        """Draw each pixel: uint8 (B, C, H, W), 0 or levels - 1."""
        u = torch.rand(outputs[:, 0].shape, generator=generator).to(outputs)
        return (u < torch.sigmoid(outputs[:, 0])).to(torch.uint8) * (self.levels - 1)
