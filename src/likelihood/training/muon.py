"""Muon [1]: momentum whose matrices are made orthogonal, for the weights of linear layers and convolutions.

    b ← m b + (1 - m) g,    u = m b + (1 - m) g              Nesterov's momentum of the gradient g
    W ← (1 - lr λ) W - lr · √max(1, rows / columns) · UVᵀ    where u = U S Vᵀ

Every direction of a matrix then learns at the same rate, where Adam's steps follow the few with large gradients. UVᵀ comes of
five Newton–Schulz steps X ← aX + (bA + cA²)X, A = XXᵀ, whose singular values end near 1, not at it. A kernel is the matrix of
its outputs and all else. Matrices of one shape are stepped together: for small ones the calls cost more than the products.

Our deviation: the momentum is a mean, not a sum, of gradients; the direction is the same.

References:
    [1] Muon: an optimizer for hidden layers in neural networks (Jordan et al., 2024), https://kellerjordan.github.io/posts/muon/
"""

from collections.abc import Iterable

import torch
from torch import Tensor, nn
from torch.optim import Optimizer

COEFFICIENTS = (3.4445, -4.7750, 2.0315)  # a, b, c of [1]: the steepest start that stays near 1
STEPS = 5
MOMENTUM = 0.95
SMALLEST = (8, 16)  # rows and columns; in smaller matrices there is little to make orthogonal


def matrices(model: nn.Module) -> list[nn.Parameter]:
    """The weights that Muon trains, as [1] recommends: of linear layers and convolutions, but those named `stem` or `head`.

    A stem reads pixels and a head gives the parameters of their distribution. They, biases, scales and the like stay with Adam.
    """
    layers = [
        (name, layer)
        for name, layer in model.named_modules()
        if isinstance(layer, nn.Linear | nn.Conv2d | nn.ConvTranspose2d) and name.rsplit(".")[-1] not in ("stem", "head")
    ]
    shapes = [(layer.weight.shape[0], layer.weight[0].numel()) for _, layer in layers]
    return [
        layer.weight
        for (_, layer), (rows, columns) in zip(layers, shapes, strict=True)
        if rows >= SMALLEST[0] and columns >= SMALLEST[1]
    ]


def orthogonal(x: Tensor) -> Tensor:
    """UVᵀ of matrices U S Vᵀ, about: (n, rows, columns) to the same."""
    if x.shape[1] > x.shape[2]:
        return orthogonal(x.mT).mT
    a, b, c = COEFFICIENTS
    x = x / (x.norm(dim=(1, 2), keepdim=True) + 1e-12)
    for _ in range(STEPS):
        square = x @ x.mT
        x = a * x + (b * square + c * square @ square) @ x
    return x


class Muon(Optimizer):
    """Muon of the given matrices, kernels included.

    Arguments:
        matrices: parameters of at least two dimensions.
        lr: learning rate.
        weight_decay: λ.
    """

    def __init__(self, matrices: Iterable[nn.Parameter], lr: float, weight_decay: float) -> None:
        super().__init__(matrices, {"lr": lr, "weight_decay": weight_decay})

    @torch.no_grad()
    def step(self, closure: None = None) -> None:
        """Take one step; parameters without a gradient stay."""
        for group in self.param_groups:
            alike: dict[tuple[int, int], list[nn.Parameter]] = {}
            for parameter in group["params"]:
                if parameter.grad is not None:
                    alike.setdefault((parameter.shape[0], parameter[0].numel()), []).append(parameter)
            for (rows, columns), parameters in alike.items():
                gradients = torch.stack([parameter.grad.flatten(1) for parameter in parameters])
                update = orthogonal(self.nesterov(parameters, gradients))
                change = update * (-group["lr"] * max(1.0, rows / columns) ** 0.5)
                for parameter, part in zip(parameters, change, strict=True):
                    parameter.mul_(1.0 - group["lr"] * group["weight_decay"]).add_(part.view_as(parameter))

    def nesterov(self, parameters: list[nn.Parameter], gradients: Tensor) -> Tensor:
        """Update the momentum of parameters of one shape; return u, (n, rows, columns) as the gradients are."""
        for parameter, gradient in zip(parameters, gradients, strict=True):
            state = self.state[parameter]
            if not state:
                state["momentum"] = torch.zeros_like(gradient)
            state["momentum"].lerp_(gradient, 1.0 - MOMENTUM)
        momentum = torch.stack([self.state[parameter]["momentum"] for parameter in parameters])
        return momentum.lerp(gradients, 1.0 - MOMENTUM)
