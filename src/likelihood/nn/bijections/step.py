"""One step of Glow [1]: activation normalisation, invertible 1×1 convolution, coupling.

The first two are affine in the channels, so forward applies them as one matrix product, W (scale · (x + bias)); that halves
the passes over memory and is the same function.

References:
    [1] Glow (Kingma & Dhariwal, 2018), https://arxiv.org/abs/1807.03039, table 1
"""

from torch import Tensor
from torch.nn import functional as F

from likelihood.nn.bijections.actnorm import ActNorm
from likelihood.nn.bijections.base import Bijection
from likelihood.nn.bijections.coupling import AdditiveCoupling, AffineCoupling
from likelihood.nn.bijections.invertible_conv import InvertibleConv1x1


class FlowStep(Bijection):
    """ActNorm, InvertibleConv1x1 and the given coupling of (B, H, W, C)."""

    def __init__(self, channels: int, coupling: AdditiveCoupling | AffineCoupling) -> None:
        super().__init__()
        self.actnorm = ActNorm(channels)
        self.conv = InvertibleConv1x1(channels)
        self.coupling = coupling

    def forward(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """See Bijection."""
        weight = self.conv.weight() * self.actnorm.log_scale.exp()  # columns scaled: W diag(exp(log_scale))
        h = F.linear(x, weight, weight @ self.actnorm.bias)
        y, ladj = self.coupling(h)
        return y, ladj + self.actnorm.ladj(x) + self.conv.ladj(x)

    def inverse(self, y: Tensor) -> tuple[Tensor, Tensor]:
        """See Bijection."""
        h, coupling = self.coupling.inverse(y)
        h, conv = self.conv.inverse(h)
        x, actnorm = self.actnorm.inverse(h)
        return x, coupling + conv + actnorm

    def initialize(self, x: Tensor) -> Tensor:
        """Initialise the activation normalisation from batch x; return f(x)."""
        self.actnorm.initialize(x)
        return self(x)[0]
