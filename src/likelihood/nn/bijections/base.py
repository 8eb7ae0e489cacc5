"""The contract of a bijection: y = f(x) with the log-determinant of its Jacobian, ladj = log |det ∂f/∂x|."""

from abc import ABC, abstractmethod

from torch import Tensor, nn


class Bijection(nn.Module, ABC):
    """An invertible map of (B, H, W, C) tensors."""

    @abstractmethod
    def forward(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """Map x (B, H, W, C) to y; return y and ladj of this map at x, (B,) in nats."""

    @abstractmethod
    def inverse(self, y: Tensor) -> tuple[Tensor, Tensor]:
        """Map y back to x; return x and ladj of the inverse map at y, (B,) in nats: minus the forward one at x."""

    def initialize(self, x: Tensor) -> Tensor:
        """Set data-dependent parameters from a batch x and return f(x); most bijections have none to set."""
        return self(x)[0]
