"""How pixels enter a network, and distributions of one discrete pixel given a network's outputs h, in NHWC layout.

Discretised logistic [1]: with σ the logistic function and the cell of level k reaching from k - 1/2 to k + 1/2 (the first and
last cells reach to infinity, so that the levels' probabilities sum to 1),

    P(k) = σ((k + 1/2 - mean) / scale) - σ((k - 1/2 - mean) / scale)

computed as log σ(upper) + log σ(-lower) + log(1 - exp(-(upper - lower))), which neither cancels nor underflows. One logarithm
does for the three: below TAIL, where σ is an exponential, its argument is taken out of it. Both ends are measured on pixels
scaled to [-1, 1].

A mixture of them [1] is one over whole pixels, and its colours speak to each other through the means:

    P(r, g, b) = Σ_k w_k  P_k(r) P_k(g | r) P_k(b | r, g),    mean_g = m_g + α r,    mean_b = m_b + β r + γ g

Our deviation: [1] falls back on the density where a cell underflows; cells computed as above need no fall-back.

References:
    [1] PixelCNN++ (Salimans et al., 2017), https://arxiv.org/abs/1701.05517
"""

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from likelihood.models.shared.layers import PixelLinear, tanh

COMPONENTS = 10  # of a mixture, as in [1]
START_LOG_SCALE = -1.5  # the components start side by side along the grey scale, each about as wide as its share of it
# Of pixels in [-1, 1]. Below, a scale of 0.1 grey levels of 256: narrower gains nothing. Above, a pixel is black or white by a
# coin's toss: wider gains nothing, and far from the training images the probability of a cell would underflow to 0.
LOG_SCALE_LIMIT = 7.0
TAIL = -30.0  # from here down log σ(t) = t in floats
FAR = 1e6  # as good as infinity for the end of a cell, and times 0 still 0


def to_level(value: Tensor, levels: int) -> Tensor:
    """The nearest level of values in [-1, 1], uint8; values beyond are black or white."""
    return torch.round((value + 1.0) * (0.5 * (levels - 1))).clamp(0, levels - 1).to(torch.uint8)


def logistic_sample(mean: Tensor, log_scale: Tensor, generator: torch.Generator) -> Tensor:
    """Draw from logistic distributions by inverting the distribution function, of the shape of `mean`."""
    u = torch.rand(mean.shape, generator=generator).to(mean).clamp(1e-6, 1.0 - 1e-6)
    return mean + torch.exp(log_scale.clamp(-LOG_SCALE_LIMIT, LOG_SCALE_LIMIT)) * torch.logit(u)


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


def cdf(log_prob: Tensor) -> Tensor:
    """P(level <= k) for every k, from log P of every level, (..., levels) to the same."""
    return log_prob.double().exp().cumsum(dim=-1).clamp(max=1.0).to(log_prob.dtype)


def entropy(log_prob: Tensor) -> Tensor:
    """Entropy in nats, from log P of every level: (..., levels) to (...)."""
    return -(log_prob.exp() * log_prob).sum(dim=-1)


def mean_and_variance(log_prob: Tensor) -> tuple[Tensor, Tensor]:
    """Mean and variance of the level, from log P of every level: (..., levels) to (...) each."""
    levels = torch.arange(log_prob.shape[-1], device=log_prob.device).to(log_prob.dtype)
    mean = (log_prob.exp() * levels).sum(dim=-1)
    return mean, (log_prob.exp() * (levels - mean[..., None]).square()).sum(dim=-1)


class DiscretizedLogistic(nn.Module):
    """A logistic distribution rounded to `levels` grey levels. Of each colour h holds a mean, then of each a log-scale."""

    features = 2  # per colour

    def __init__(self, levels: int) -> None:
        super().__init__()
        self.levels = levels

    def to_input(self, x: Tensor) -> Tensor:
        """What the encoder sees of levels x: floats in [-1, 1]."""
        return to_unit_interval(x, self.levels)

    def log_prob(self, x: Tensor, h: Tensor) -> Tensor:
        """log P of each value of x (..., C) given h (..., 2 C): (..., C) in nats."""
        mean, log_scale = h.chunk(2, dim=-1)
        return logistic_log_prob(x, mean, log_scale, self.levels)

    def levels_log_prob(self, x: Tensor, h: Tensor) -> Tensor:
        """log P of every level of each value: (..., C, levels) in nats."""
        mean, log_scale = h[..., None].chunk(2, dim=-2)
        return logistic_log_prob(torch.arange(self.levels, device=h.device), mean, log_scale, self.levels)

    def mean(self, h: Tensor) -> Tensor:
        """The mean of each value as a level, but for what the ends of the grey scale cut off: uint8 (..., C)."""
        return to_level(h.chunk(2, dim=-1)[0], self.levels)

    def sample(self, h: Tensor, generator: torch.Generator) -> Tensor:
        """Draw each value: uint8 (..., C)."""
        return to_level(logistic_sample(*h.chunk(2, dim=-1), generator), self.levels)


class Bernoulli(nn.Module):
    """Binary values; grey levels are binarised by x >= levels / 2. Of each colour h holds the logit of 1."""

    features = 1  # per colour

    def __init__(self, levels: int) -> None:
        super().__init__()
        self.levels = levels

    def to_input(self, x: Tensor) -> Tensor:
        """What the encoder sees of levels x: the binarised image, as floats."""
        return (2.0 * x >= self.levels).to(torch.get_default_dtype())

    def log_prob(self, x: Tensor, h: Tensor) -> Tensor:
        """log P of each binarised value of x (..., C) given h (..., C): (..., C) in nats."""
        return -F.binary_cross_entropy_with_logits(h, self.to_input(x), reduction="none")

    def levels_log_prob(self, x: Tensor, h: Tensor) -> Tensor:
        """log P of 0 and of 1 of each value: (..., C, 2) in nats."""
        return torch.stack([F.logsigmoid(-h), F.logsigmoid(h)], dim=-1)

    def mean(self, h: Tensor) -> Tensor:
        """The probability of 1 of each value, as a level: uint8 (..., C)."""
        return torch.round(torch.sigmoid(h) * (self.levels - 1)).to(torch.uint8)

    def sample(self, h: Tensor, generator: torch.Generator) -> Tensor:
        """Draw each value: uint8 (..., C), 0 or levels - 1."""
        u = torch.rand(h.shape, generator=generator).to(h)
        return (u < torch.sigmoid(h)).to(torch.uint8) * (self.levels - 1)


class MixtureOfLogistics(nn.Module):
    """A mixture over whole pixels, whose colours know each other; h holds `features` numbers that a linear head reads.

    Arguments:
        features: width of h.
        colors: C of the images.
        levels: grey levels of a value.
    """

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

    def to_input(self, x: Tensor) -> Tensor:
        """What an encoder sees of levels x: floats in [-1, 1]."""
        return to_unit_interval(x, self.levels)

    def parameters_of(self, h: Tensor) -> tuple[Tensor, Tensor, Tensor, Tensor]:
        """Logits of the weights, means, log-scales and coefficients: (..., 1, C, C or pairs, components)."""
        return self.head(h).unflatten(-1, (-1, COMPONENTS)).split(self.sizes, dim=-2)

    def shifted(self, mean: Tensor, coefficients: Tensor, color: int, values: Tensor) -> Tensor:
        """The components' means of one colour given the colours before it, values (..., earlier, 1 or components)."""
        own = [(number, earlier) for number, (of, earlier) in enumerate(self.pairs) if of == color]
        return mean[..., color, :] + sum(tanh(coefficients[..., number, :]) * values[..., earlier, :] for number, earlier in own)

    def joint(self, x: Tensor, h: Tensor, colors: int) -> Tensor:
        """log w_k + log P_k of the first c colours, for c = 1 … colors: (..., colors, components).

        x is (..., C) levels, of which the colours up to `colors` are read; h is (..., features).
        """
        weight, mean, log_scale, coefficients = self.parameters_of(h)
        value = to_unit_interval(x, self.levels)[..., None]
        means = [self.shifted(mean, coefficients, color, value) for color in range(colors)]
        mean = torch.stack(torch.broadcast_tensors(*means), dim=-2)
        nats = logistic_log_prob(x[..., :colors, None], mean, log_scale[..., :colors, :], self.levels)
        return F.log_softmax(weight, dim=-1) + nats.cumsum(dim=-2)

    def log_prob(self, x: Tensor, h: Tensor) -> Tensor:
        """log P of each colour given those before it, (..., C) in nats, of levels x (..., C)."""
        joint = torch.logsumexp(self.joint(x, h, self.colors), dim=-1)
        return torch.diff(joint, dim=-1, prepend=torch.zeros_like(joint[..., :1]))  # a colour's is what it adds

    def color_log_prob(self, pixel: Tensor, h: Tensor, color: int) -> Tensor:
        """log P of every level of one colour, (n, levels), given the colours before it in pixel (n, C); h is (n, features)."""
        tried = pixel[:, None].repeat(1, self.levels, 1)  # (n, levels, C)
        tried[..., color] = torch.arange(self.levels, device=pixel.device).to(tried.dtype)
        joint = self.joint(tried, h[:, None], color + 1)[..., color, :]
        return F.log_softmax(torch.logsumexp(joint, dim=-1), dim=-1)

    def levels_log_prob(self, x: Tensor, h: Tensor) -> Tensor:
        """log P of every level of each colour given those before it in x (..., C): (..., C, levels) in nats."""
        pixel, rows = x.reshape(-1, self.colors), h.reshape(-1, h.shape[-1])
        found = [self.color_log_prob(pixel, rows, color) for color in range(self.colors)]
        return torch.stack(found, dim=1).view(*x.shape, self.levels)

    def mean(self, h: Tensor) -> Tensor:
        """The mean of each value as a level, but for what the ends of the grey scale cut off: uint8 (..., C)."""
        weight, mean, _, coefficients = self.parameters_of(h)
        values: list[Tensor] = []
        for color in range(self.colors):
            before = torch.stack(values, dim=-2) if values else mean[..., :0, :]
            values.append(self.shifted(mean, coefficients, color, before).clamp(-1.0, 1.0))
        return to_level((torch.softmax(weight, dim=-1) * torch.stack(values, dim=-2)).sum(dim=-1), self.levels)

    def sample(self, h: Tensor, generator: torch.Generator) -> Tensor:
        """Draw a component of each pixel, then colour after colour: uint8 (..., C)."""
        weight, mean, log_scale, coefficients = self.parameters_of(h)
        gumbel = -torch.log(-torch.log(torch.rand(weight.shape, generator=generator).clamp(1e-12, 1.0 - 1e-7))).to(weight)
        chosen = (weight + gumbel).argmax(dim=-1, keepdim=True)  # (..., 1, 1)
        mean, log_scale, coefficients = (
            part.gather(-1, chosen.expand(*part.shape[:-1], 1)) for part in (mean, log_scale, coefficients)
        )
        levels = torch.zeros(*h.shape[:-1], self.colors, dtype=torch.uint8, device=h.device)
        for color in range(self.colors):
            shifted = self.shifted(mean, coefficients, color, to_unit_interval(levels, self.levels)[..., None])
            value = logistic_sample(shifted, log_scale[..., color, :], generator)
            levels[..., color] = to_level(value, self.levels)[..., 0]
        return levels
