"""How strongly an image pulls at each layer of a model: the diagonal, layer by layer, of an approximate Fisher metric [1].

    g_l(x) = log || ∇_θl 1/K Σ_k f(x, e_k) ||²,     f = what training maximises, e_k its own noise, θl the weights of layer l

A model that knows images like x has little to learn from x. A layer is a module that owns parameters. One gradient an image, many
images at a time, by vectorised automatic differentiation. Our deviation: f is the bound that training maximises where the
log-likelihood itself has none.

References:
    [1] Approximations to the Fisher information metric of deep generative models for out-of-distribution detection
        (Dauncey et al., 2024), https://arxiv.org/abs/2403.01485
"""

import torch
from torch import Tensor
from torch.func import functional_call, grad, vmap

from likelihood.models.shared.base import LikelihoodModel, image_generator

SMALLEST = 1e-30  # a squared norm; the gradient of a layer without influence is zero
MEMORY = 2**25  # bytes of gradients at a time; no number depends on it


def layer_of(parameter: str) -> str:
    """The layer that a parameter of that name belongs to."""
    return parameter.rpartition(".")[0] or parameter


def log_norms(model: LikelihoodModel, x: Tensor, draws: int) -> dict[str, Tensor]:
    """Log squared gradient norms of uint8 images x (B, C, H, W): `gradient_norm` of all weights, `gradient_norm.<layer>` of each.

    Each is (B,), the logarithm of a squared norm in nats² per weight²; `draws` is K.
    """
    weights = {name: weight.detach() for name, weight in model.named_parameters()}
    buffers = dict(model.named_buffers())

    def objective(weights: dict[str, Tensor], image: Tensor, noise: Tensor) -> Tensor:
        repeated = image.expand(draws, *image.shape)  # (K, C, H, W)
        return model.objective(functional_call(model, (weights, buffers), (repeated, noise))).mean()

    noise = torch.stack([model.noise(draws, image_generator(image)) for image in x.cpu().numpy()])  # (B, K, ...)
    device = next(iter(weights.values())).device
    together = max(1, MEMORY // sum(4 * weight.numel() for weight in weights.values()))
    of_each = vmap(grad(objective), in_dims=(None, 0, 0))
    parts = []
    for images, noises in zip(x.to(device).split(together), noise.to(device).split(together), strict=True):
        gradients = of_each(weights, images, noises)
        squares = {name: gradient.flatten(1).double().square().sum(dim=1) for name, gradient in gradients.items()}
        parts.append(squares)
    squares = {name: torch.cat([part[name] for part in parts]) for name in parts[0]}
    layers: dict[str, Tensor] = {}
    for name, square in squares.items():
        layers[layer_of(name)] = layers.get(layer_of(name), 0.0) + square
    found = {"gradient_norm": sum(layers.values()), **{f"gradient_norm.{layer}": square for layer, square in layers.items()}}
    return {name: square.clamp(min=SMALLEST).log() for name, square in found.items()}
