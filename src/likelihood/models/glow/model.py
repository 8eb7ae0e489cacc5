"""Glow [1] on images at their own size: 28×28 becomes 14×14 and 7×7, without padding.

    log p(v) = log p(z) + log |det ∂z/∂v|,     log P(x) >= E_u[log p((x + u) / 256)] - D log 256,    u ~ U[0, 1)^D

The right inequality is uniform dequantisation [2]; several draws of u are combined by log-mean-exp. Each level squeezes, runs
`steps` flow steps, and all but the last give half of their channels to the latents.

Our deviations: `preprocessing="logit"` lets the flow work on logits of the pixels, its log-determinant counted ("scale" only
centres); the bounded scale of the couplings (coupling.py); the last latents' prior is standard normal.

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
from likelihood.models.glow.split import Split, standard_normal_log_prob
from likelihood.models.shared.base import LikelihoodModel, Shape

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
        """Initialise the activation normalisation from batch x; return f(x)."""
        self.actnorm.initialize(x)
        return self(x)[0]


class Level(nn.Module):
    """Squeeze and `steps` flow steps; (B, H, W, C) to (B, H/2, W/2, 4C)."""

    def __init__(self, channels: int, steps: int, hidden: int, coupling: str) -> None:
        super().__init__()
        self.squeeze = Squeeze()
        self.steps = nn.ModuleList(FlowStep(4 * channels, COUPLINGS[coupling](4 * channels, hidden)) for _ in range(steps))

    def forward(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """Return y and ladj, (B,) in nats."""
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
        levels: int = 256,
    ) -> None:
        super().__init__(shape, levels)
        channels, height, width = shape
        if height % 2**scales or width % 2**scales:
            raise InputError(f"glow.scales: images of {height}×{width} cannot be halved {scales} times; choose fewer scales")
        self.constant_volume = coupling == "additive" and preprocessing == "scale"
        self.preprocess = PREPROCESSINGS[preprocessing]()
        self.scales, self.splits = nn.ModuleList(), nn.ModuleList()
        for scale in range(scales):
            self.scales.append(Level(channels, steps, hidden, coupling))
            channels *= 4
            if scale < scales - 1:
                self.splits.append(Split(channels))
                channels //= 2

    def noise(self, n: int, rng: np.random.Generator) -> Tensor:
        """Uniform dequantisation noise in [0, 1), (n, C, H, W)."""
        return torch.from_numpy(rng.random((n, *self.shape), dtype=np.float32)).to(torch.get_default_dtype())

    def dequantize(self, x: Tensor, noise: Tensor) -> Tensor:
        """(x + u) / levels in [0, 1), (B, H, W, C)."""
        return ((x + noise) / self.levels).permute(0, 2, 3, 1).contiguous()

    def forward(self, x: Tensor, noise: Tensor) -> dict[str, Tensor]:
        """`log_weight` = `log_pz` + `ladj` + `ladj_preprocess` - D log 256, those parts in nats, and `latent_norm` ‖z‖: (B,)."""
        h, ladj_preprocess = self.preprocess(self.dequantize(x, noise))
        log_pz = ladj = squared_norm = torch.zeros_like(ladj_preprocess)
        for scale, level in enumerate(self.scales):
            h, level_ladj = level(h)
            ladj = ladj + level_ladj
            if scale < len(self.splits):
                h, z, left_log_prob = self.splits[scale](h)
                log_pz, squared_norm = log_pz + left_log_prob, squared_norm + z.square().sum(dim=(1, 2, 3))
        log_pz, squared_norm = log_pz + standard_normal_log_prob(h), squared_norm + h.square().sum(dim=(1, 2, 3))
        log_weight = log_pz + ladj + ladj_preprocess - self.dims * math.log(self.levels)
        return {
            "log_weight": log_weight,
            "log_pz": log_pz,
            "ladj": ladj,
            "ladj_preprocess": ladj_preprocess,
            "latent_norm": squared_norm.sqrt(),
        }

    @torch.no_grad()
    def initialize(self, x: Tensor, noise: Tensor) -> None:
        """Data-dependent initialisation of every activation normalisation from training images (B, C, H, W)."""
        h = self.preprocess.initialize(self.dequantize(x, noise))
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

        h = normal(channels, height, width)
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
