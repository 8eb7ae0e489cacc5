"""What takes gradients of an image: how strongly it pulls at each layer of a model, and how much better a VAE could explain it.

    g_l(x) = log || ∇_θl 1/K Σ_k f(x, e_k) ||²,     f = what training maximises, e_k its own noise, θl the weights of layer l

is the diagonal, layer by layer, of an approximate Fisher metric [1]: a model that knows images like x has little to learn from x.
A layer is a module that owns parameters. One gradient an image, many images at a time, by vectorised automatic differentiation.
Our deviation: f is the bound that training maximises where the log-likelihood itself has none.

    S(x) = Σ_i g_i(x)² / (F_i + DAMPING · mean F),     F_i = mean of g_i² over training images

is the statistic of Rao's score test with the diagonal of the Fisher information, g_i the derivative of f by one weight [3]. Our
deviation: F is damped, as some weights have hardly any gradient on training images, and must not decide about another image.

    LR(x) = max_q L(x; q) - L(x; q_φ(z | x)),     L(x; q) = E_q[log P(x | z)] - KL(q || p(z)),     q = N(mean, diag(exp(logvar)))

is the likelihood regret [2]: the encoder has learnt to serve images of the in-set; a foreign one it serves badly. Our deviations:
mean and log-variance of q are fitted themselves, where [2] fits a copy of the encoder to the image; L has its KL in closed form,
and the same noise before and after. Of the steps 0.003, 0.01, 0.03 and 0.1, STEP raises L of Fashion-MNIST's validation images
most.

References:
    [1] Approximations to the Fisher information metric of deep generative models for out-of-distribution detection
        (Dauncey et al., 2024), https://arxiv.org/abs/2403.01485
    [2] Likelihood regret: an out-of-distribution detection score for variational auto-encoder (Xiao et al., 2020),
        https://arxiv.org/abs/2003.02977
    [3] Model-agnostic out-of-distribution detection using combined statistical tests (Bergamin et al., 2022),
        https://arxiv.org/abs/2203.01097
"""

from collections.abc import Iterator

import torch
from torch import Tensor
from torch.func import functional_call, grad, vmap

from likelihood.models.shared.base import LikelihoodModel, image_generator, total
from likelihood.models.vae.model import LOGVAR_RANGE, VAE

SMALLEST = 1e-30  # a squared norm; the gradient of a layer without influence is zero
DAMPING = 0.01
MEMORY = 2**25  # bytes of gradients at a time; no number depends on it
STEPS, STEP = 100, 0.03  # of Adam
DRAWS = 16  # that L is measured with; a step of the fit takes one of its own


def layer_of(parameter: str) -> str:
    """The layer that a parameter of that name belongs to."""
    return parameter.rpartition(".")[0] or parameter


def squares(model: LikelihoodModel, x: Tensor, draws: int) -> Iterator[dict[str, Tensor]]:
    """Squared gradients of uint8 images x (B, C, H, W) by parameter, a few images at a time: (b, …) in nats² per weight²."""
    weights = {name: weight.detach() for name, weight in model.named_parameters()}
    buffers = dict(model.named_buffers())

    def objective(weights: dict[str, Tensor], image: Tensor, noise: Tensor) -> Tensor:
        repeated = image.expand(draws, *image.shape)  # (K, C, H, W)
        return model.objective(functional_call(model, (weights, buffers), (repeated, noise))).mean()

    noise = torch.stack([model.noise(draws, image_generator(image)) for image in x.cpu().numpy()])  # (B, K, ...)
    device = next(iter(weights.values())).device
    together = max(1, MEMORY // sum(4 * weight.numel() for weight in weights.values()))
    of_each = vmap(grad(objective), in_dims=(None, 0, 0))
    for images, noises in zip(x.to(device).split(together), noise.to(device).split(together), strict=True):
        yield {name: gradient.double().square() for name, gradient in of_each(weights, images, noises).items()}


def fisher(model: LikelihoodModel, x: Tensor, draws: int) -> dict[str, Tensor]:
    """F_i + DAMPING · mean F of uint8 images x (B, C, H, W), by parameter."""
    found: dict[str, Tensor] = {}
    for part in squares(model, x, draws):
        for name, square in part.items():
            found[name] = found.get(name, 0.0) + square.sum(dim=0) / len(x)
    mean = sum(each.sum() for each in found.values()) / sum(each.numel() for each in found.values())
    return {name: each + DAMPING * mean for name, each in found.items()}


def probe(model: LikelihoodModel, x: Tensor, draws: int, information: dict[str, Tensor]) -> dict[str, Tensor]:
    """What the gradients of uint8 images x (B, C, H, W) say: `gradient_norm` and `gradient_norm.<layer>`, `score_statistic`.

    Each is (B,), a logarithm: g_l and that of a squared norm of all weights in nats² per weight²; and log S. `draws` is K,
    `information` what `fisher` gives.
    """
    parts = []
    for part in squares(model, x, draws):
        layers: dict[str, Tensor] = {}
        for name, square in part.items():
            layers[layer_of(name)] = layers.get(layer_of(name), 0.0) + square.flatten(1).sum(dim=1)
        statistic = sum((square / information[name]).flatten(1).sum(dim=1) for name, square in part.items())
        norms = {f"gradient_norm.{layer}": square for layer, square in layers.items()}
        parts.append({"gradient_norm": sum(layers.values()), **norms, "score_statistic": statistic})
    return {name: torch.cat([part[name] for part in parts]).clamp(min=SMALLEST).log() for name in parts[0]}


def elbo(model: VAE, x: Tensor, mean: Tensor, logvar: Tensor, noise: Tensor) -> Tensor:
    """L of uint8 images x (B, C, H, W) under q's mean and log-variance (B, latent) and noise (K, B, latent): (B,) in nats."""
    z = model.reparameterize(mean, logvar, noise)  # (K, B, latent)
    reconstruction = [total(model.reconstruction(x, draw)) for draw in z]
    return torch.stack(reconstruction).mean(dim=0) - model.kl(mean, logvar)


def regret(model: VAE, x: Tensor) -> Tensor:
    """LR of uint8 images x (B, C, H, W): (B,) in nats. No image's depends on the others'."""
    noise = torch.stack([model.noise(STEPS + DRAWS, image_generator(image)) for image in x.cpu().numpy()], dim=1)
    device = next(model.parameters()).device
    x, (fitting, measuring) = x.to(device), noise.to(device).split([STEPS, DRAWS])  # each (K, B, latent)
    with torch.no_grad():
        first = model.encode(x)
        before = elbo(model, x, *first, measuring)
    q = [part.clone().requires_grad_() for part in first]
    adam = torch.optim.Adam(q, lr=STEP)
    for draw in fitting:
        loss = -elbo(model, x, *q, draw[None]).sum()  # Adam treats every number by itself, so images do not meet
        for part, gradient in zip(q, torch.autograd.grad(loss, q), strict=True):
            part.grad = gradient
        adam.step()
        with torch.no_grad():
            q[1].clamp_(*LOGVAR_RANGE)
    with torch.no_grad():
        return elbo(model, x, *q, measuring) - before
