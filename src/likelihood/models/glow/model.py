"""Glow [1] on images at their own size: 28×28 becomes 14×14 and 7×7, without padding.

    log p(v) = log p(z) + log |det ∂z/∂v|,     log P(x) >= E_u[log p((x + u) / 256) - log q(u | x)] - D log 256,    u ~ q(u | x)

The right inequality is dequantisation [2], here variational (dequantization.py); several draws of u are combined by log-mean-exp.
Each level squeezes, runs `steps` flow steps, and all but the last give half of their channels to the latents.

Our deviations: `preprocessing="logit"` lets the flow work on logits of the pixels, its log-determinant counted ("scale" only
centres); the bounded scale of the couplings (coupling.py); the start of the 1×1 convolutions (bijections.py); the last latents'
prior has a mean and a scale for every place.

References:
    [1] Glow (Kingma & Dhariwal, 2018), https://arxiv.org/abs/1807.03039
    [2] A note on the evaluation of generative models (Theis et al., 2016), https://arxiv.org/abs/1511.01844
"""

import math
from typing import Annotated, ClassVar, Literal

import numpy as np
import torch
from pydantic import Field
from torch import Tensor, nn
from torch.nn import functional as F
from tqdm import tqdm

from likelihood.common.errors import InputError
from likelihood.models.glow.bijections import ActNorm, Bijection, Center, InvertibleConv1x1, Logit, Squeeze
from likelihood.models.glow.coupling import AdditiveCoupling, AffineCoupling
from likelihood.models.glow.dequantization import Dequantization
from likelihood.models.glow.split import LastPrior, Split
from likelihood.models.shared.base import LikelihoodModel, Shape, total

COUPLINGS = {"affine": AffineCoupling, "additive": AdditiveCoupling}
PREPROCESSINGS = {"logit": Logit, "scale": Center}


class FlowStep(Bijection):
    """ActNorm, InvertibleConv1x1 and the given coupling of (B, H, W, C).

    The first two are affine in the channels, so `forward` applies them as one matrix product, W (exp(log_scale) · (x + bias)).
    That halves the passes over memory and is the same function.
    """

    def __init__(self, channels: int, coupling: AdditiveCoupling | AffineCoupling) -> None:
        super().__init__()
        self.actnorm = ActNorm(channels)
        self.conv = InvertibleConv1x1(channels)
        self.coupling = coupling

    def forward(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """As Bijection.forward."""
        weight = self.conv.weight() * self.actnorm.log_scale.exp()  # columns scaled: W diag(exp(log_scale))
        h = F.linear(x, weight, weight @ self.actnorm.bias)
        y, ladj = self.coupling(h)
        return y, ladj + self.actnorm.ladj(x) + self.conv.ladj(x)

    def inverse(self, y: Tensor) -> tuple[Tensor, Tensor]:
        """As Bijection.inverse."""
        h, coupling = self.coupling.inverse(y)
        h, conv = self.conv.inverse(h)
        x, actnorm = self.actnorm.inverse(h)
        return x, coupling + conv + actnorm

    def initialize(self, x: Tensor) -> Tensor:
        """Initialise the activation normalisation and the convolution from batch x; return f(x)."""
        self.conv.initialize(self.actnorm.initialize(x))
        return self(x)[0]


class Level(nn.Module):
    """Squeeze and `steps` flow steps; (B, H, W, C) to (B, H/2, W/2, 4C)."""

    def __init__(self, channels: int, steps: int, hidden: int, coupling: str) -> None:
        super().__init__()
        self.squeeze = Squeeze()
        self.steps = nn.ModuleList(FlowStep(4 * channels, COUPLINGS[coupling](4 * channels, hidden)) for _ in range(steps))

    def forward(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """Return y and ladj by places, (B, H/2, W/2) in nats."""
        y, ladj = self.squeeze(x)
        for step in self.steps:
            y, step_ladj = step(y)
            ladj = ladj + step_ladj
        return y, ladj

    def inverse(self, y: Tensor) -> Tensor:
        """Map y back to x."""
        for step in reversed(self.steps):
            y, _ = step.inverse(y)
        return self.squeeze.inverse(y)[0]

    def initialize(self, x: Tensor) -> Tensor:
        """Initialise every step on the output of the one before; return y."""
        y = self.squeeze.initialize(x)
        for step in tqdm(self.steps, desc="initialisation", unit="step", leave=False, disable=None):  # large images take a while
            y = step.initialize(y)
        return y


class Glow(LikelihoodModel):
    """Multi-scale normalising flow.

    Arguments:
        shape: (C, H, W); H and W must be divisible by 2 ** scales.
        scales: how often the image is squeezed (the paper's L).
        steps: flow steps per scale (the paper's K).
        hidden: width of the couplings' networks.
        coupling: `affine`, or `additive` for a flow of constant volume.
        preprocessing: `logit` or `scale`.
        dequantization: couplings of the flow that draws the noise; 0 for uniform noise.
        levels: grey levels of a pixel.
    """

    lower_bound: ClassVar[bool] = True

    def __init__(
        self,
        shape: Shape,
        scales: Annotated[int, Field(ge=1, le=8)],
        steps: Annotated[int, Field(ge=1, le=256)],
        hidden: Annotated[int, Field(ge=1, le=4096)],
        coupling: Literal["affine", "additive"],
        preprocessing: Literal["logit", "scale"],
        dequantization: Annotated[int, Field(ge=0, le=64)],
        levels: int = 256,
    ) -> None:
        super().__init__(shape, levels)
        channels, height, width = shape
        if height % 2**scales or width % 2**scales:
            raise InputError(f"glow.scales: images of {height}×{width} cannot be halved {scales} times; choose fewer scales")
        self.constant_volume = coupling == "additive" and preprocessing == "scale"
        self.dequantization = Dequantization(channels, dequantization, levels)
        self.preprocess = PREPROCESSINGS[preprocessing]()
        self.scales, self.splits = nn.ModuleList(), nn.ModuleList()
        for scale in range(scales):
            self.scales.append(Level(channels, steps, hidden, coupling))
            channels *= 4
            if scale < scales - 1:
                self.splits.append(Split(channels))
                channels //= 2
        self.prior = LastPrior(height >> scales, width >> scales, channels)

    def noise(self, n: int, rng: np.random.Generator) -> Tensor:
        """Standard normal noise of the dequantisation, (n, C, H, W)."""
        return torch.from_numpy(rng.standard_normal((n, *self.shape), dtype=np.float32)).to(torch.get_default_dtype())

    def dequantize(self, x: Tensor, noise: Tensor) -> tuple[Tensor, Tensor]:
        """v = (x + u) / levels in [0, 1], (B, H, W, C), and -log q(u | x) of every block of 2×2, (B, H/2, W/2) in nats."""
        x = x.permute(0, 2, 3, 1).to(noise.dtype).contiguous()
        u, log_q = self.dequantization(x, noise.permute(0, 2, 3, 1).contiguous())
        return (x + u) / self.levels, log_q

    def flow(self, v: Tensor) -> tuple[list[Tensor], dict[str, Tensor]]:
        """The latents of v (B, H, W, C), level by level, each (B, h, w, c) and standard normal, and the terms of log p(v).

        The terms are `ladj_preprocess`, and of each level `ladj_0` … and `log_pz_0` …, (B, h, w) in nats by their places.
        """
        h, ladj = self.preprocess(v)
        latents, terms = [], {"ladj_preprocess": ladj}
        for scale, level in enumerate(self.scales):
            h, terms[f"ladj_{scale}"] = level(h)
            if scale < len(self.splits):
                h, z, terms[f"log_pz_{scale}"] = self.splits[scale](h)
            else:
                z, terms[f"log_pz_{scale}"] = self.prior(h)
            latents.append(z)
        return latents, terms

    def log_density(self, v: Tensor) -> Tensor:
        """Log-density of continuous images v (B, C, H, W), whose grey levels are in [0, 256]: (B,) in nats."""
        v = (v / self.levels).permute(0, 2, 3, 1).contiguous()
        return sum(total(term) for term in self.flow(v)[1].values()) + self.volume(v)

    def terms(self, x: Tensor, noise: Tensor) -> dict[str, Tensor]:
        """The terms of log p(v), `dequantization` = -log q(u | x), and `levels` = -D log 256, which has no place: in nats."""
        v, log_q = self.dequantize(x, noise)
        return {**self.flow(v)[1], "dequantization": log_q, "levels": self.volume(v)}

    def volume(self, v: Tensor) -> Tensor:
        """-D log 256, (B,): the log-volume of a grey level's cell."""
        return v.new_full((len(v),), -self.dims * math.log(self.levels))

    def forward(self, x: Tensor, noise: Tensor) -> dict[str, Tensor]:
        """`log_weight`, its parts `log_pz`, `ladj`, `ladj_preprocess` and `dequantization` in nats, and `latent_norm` ‖z‖: (B,).

        What the parts lack of `log_weight` is -D log 256.
        """
        v, log_q = self.dequantize(x, noise)
        latents, terms = self.flow(v)
        levels = range(len(self.scales))
        parts = {
            "log_pz": sum(total(terms[f"log_pz_{scale}"]) for scale in levels),
            "ladj": sum(total(terms[f"ladj_{scale}"]) for scale in levels),
            "ladj_preprocess": total(terms["ladj_preprocess"]),
            "dequantization": total(log_q),
        }
        norm = sum(total(z.square()) for z in latents).sqrt()
        return {"log_weight": sum(parts.values()) + self.volume(v), **parts, "latent_norm": norm}

    @torch.no_grad()
    def initialize(self, x: Tensor, noise: Tensor) -> None:
        """Data-dependent initialisation of every flow step from training images (B, C, H, W)."""
        h = self.preprocess.initialize(self.dequantize(x, noise)[0])
        for scale, level in enumerate(self.scales):
            h = level.initialize(h)
            if scale < len(self.splits):
                h, _, _ = self.splits[scale](h)

    @torch.inference_mode()
    def sample_continuous(self, n: int, generator: torch.Generator) -> Tensor:
        """Draw latents and invert the flow: v (n, C, H, W), whose density is p(v); a little of it lies outside [0, 1)."""
        channels, height, width = self.shape
        height, width = height >> len(self.scales), width >> len(self.scales)
        channels = channels * 4 ** len(self.scales) >> len(self.splits)

        def normal(channels: int, height: int, width: int) -> Tensor:
            return torch.randn(n, height, width, channels, generator=generator).to(next(self.parameters()))

        h = self.prior.inverse(normal(channels, height, width))
        for scale in reversed(range(len(self.scales))):
            if scale < len(self.splits):
                h = self.splits[scale].inverse(h, normal(channels, height, width))
                channels *= 2
            h = self.scales[scale].inverse(h)
            channels, height, width = channels // 4, 2 * height, 2 * width
        return self.preprocess.inverse(h)[0].permute(0, 3, 1, 2)

    @torch.inference_mode()
    def sample(self, n: int, generator: torch.Generator) -> Tensor:
        """Draw v and round down to grey levels: uint8 (n, C, H, W)."""
        v = self.sample_continuous(n, generator)
        return torch.floor(v * self.levels).clamp(0, self.levels - 1).to(torch.uint8)
