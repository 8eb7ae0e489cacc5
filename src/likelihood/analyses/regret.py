"""Likelihood regret [1]: how much better a VAE explains an image when its posterior is fitted to that image alone.

    LR(x) = max_q L(x; q) - L(x; q_φ(z | x)),     L(x; q) = E_q[log P(x | z)] - KL(q || p(z)),     q = N(mean, diag(exp(logvar)))

The encoder has learnt to serve images of the in-set; a foreign one it serves badly. Our deviations: mean and log-variance of q
are fitted themselves, where [1] fits a copy of the encoder to the image; L has its KL in closed form, and the same noise before
and after. Of the steps 0.003, 0.01, 0.03 and 0.1, STEP raises L of Fashion-MNIST's validation images most.

References:
    [1] Likelihood regret: an out-of-distribution detection score for variational auto-encoder (Xiao et al., 2020),
        https://arxiv.org/abs/2003.02977
"""

import torch
from torch import Tensor

from likelihood.models.shared.base import image_generator, total
from likelihood.models.vae.model import LOGVAR_RANGE, VAE

STEPS, STEP = 100, 0.03  # of Adam
DRAWS = 16  # that L is measured with; a step of the fit takes one of its own


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
