"""Published implementations to compare with, installed from their packages (bench/requirements.txt)."""

import math
from typing import ClassVar

import normflows
import numpy as np
import torch
from torch import Tensor

from likelihood.models.shared.base import LikelihoodModel

ALPHA = 0.05  # the flow then sees logit(0.05 + 0.9 x): no speed depends on it
SHAPE = (1, 28, 28)


class NormflowsGlow(LikelihoodModel):
    """normflows' multi-scale Glow of 28×28 grey images: 2 levels, LU 1×1 convolutions, affine couplings with 3-1-3 networks."""

    lower_bound: ClassVar[bool] = True

    def __init__(self, steps: int, hidden: int) -> None:
        super().__init__(SHAPE)
        flows, merges, bases = [], [], []
        shapes = [(8, 7, 7), (2, 14, 14)]  # latents of the inner and the outer level
        for level, (channels, shape) in enumerate(zip((8, 4), shapes, strict=True)):
            blocks = [normflows.flows.GlowBlock(channels, hidden, split_mode="channel", scale=True) for _ in range(steps)]
            flows.append([*blocks, normflows.flows.Squeeze()])
            bases.append(normflows.distributions.DiagGaussian(shape, trainable=False))
            if level > 0:
                merges.append(normflows.flows.Merge())
        transform = normflows.transforms.Logit(alpha=ALPHA)
        self.flow = normflows.MultiscaleFlow(bases, flows, merges, transform, class_cond=False)

    def noise(self, n: int, rng: np.random.Generator) -> Tensor:
        """Uniform dequantisation noise in [0, 1), (n, 1, 28, 28)."""
        return torch.from_numpy(rng.random((n, *SHAPE), dtype=np.float32))

    def forward(self, x: Tensor, noise: Tensor) -> dict[str, Tensor]:
        """`log_weight`, (B,) in nats of the discrete image."""
        return {"log_weight": self.flow.log_prob((x + noise) / self.levels, None) - self.dims * math.log(self.levels)}

    @torch.no_grad()
    def initialize(self, x: Tensor, noise: Tensor) -> None:
        """Data-dependent initialisation: the package does it in the first call."""
        self(x, noise)

    @torch.inference_mode()
    def sample(self, n: int, generator: torch.Generator) -> Tensor:
        """Draw from the flow and round down: uint8 (n, 1, 28, 28)."""
        torch.manual_seed(int(torch.randint(2**31, (1,), generator=generator)))
        return (self.flow.sample(n)[0] * self.levels).clamp(0, self.levels - 1).to(torch.uint8)
