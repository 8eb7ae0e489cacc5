"""Published implementations to compare with, installed from their packages (bench/requirements.txt)."""

import normflows
import torch
from torch import Tensor, nn

ALPHA = 0.05  # the flow then sees logit(0.05 + 0.9 x): no speed depends on it


class NormflowsGlow(nn.Module):
    """normflows' multi-scale Glow of 28×28 grey images: 2 levels, LU 1×1 convolutions, affine couplings with 3-1-3 networks."""

    def __init__(self, steps: int, hidden: int) -> None:
        super().__init__()
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

    def forward(self, x: Tensor) -> Tensor:
        """Log-density of dequantised uint8 x (B, 1, 28, 28): (B,) in nats."""
        return self.flow.log_prob((x + torch.rand(x.shape)) / 256.0, None)
