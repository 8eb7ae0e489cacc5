"""Variational autoencoder [1], dense (784-400-20-400-784 for 28×28 images) or convolutional (networks.py).

    log P(x) >= E_q[log P(x | z)] - KL(q(z | x) || N(0, I)),     q(z | x) = N(mean(x), diag(exp(logvar(x))))

Scored by the importance-weighted bound, w = P(x | z) p(z) / q(z | x) with z = mean + exp(logvar / 2) · e [2].

Our deviations: the pixel likelihood is a proper one of 8-bit values, a discretised logistic with mean and scale from the
decoder [3] (so the last layer has two outputs per pixel), where [1] has Bernoulli units on grey levels, which is no likelihood
of them. `likelihood="bernoulli"` is the classical model made honest: images are binarised first, a pixel is 1 when its value
is at least half of the grey levels (128 of 256), and log_prob is that of the binary image, reported in nats.

References:
    [1] Auto-encoding variational Bayes (Kingma & Welling, 2014), https://arxiv.org/abs/1312.6114
    [2] Importance weighted autoencoders (Burda et al., 2016), https://arxiv.org/abs/1509.00519
    [3] PixelCNN++ (Salimans et al., 2017), https://arxiv.org/abs/1701.05517
"""

import math
from typing import Annotated, ClassVar, Literal

import numpy as np
import torch
from pydantic import Field
from torch import Tensor

from likelihood.models.shared.base import LikelihoodModel, Shape
from likelihood.models.shared.pixels import Bernoulli, DiscretizedLogistic
from likelihood.models.vae.networks import NETWORKS

LOG_2PI = math.log(2.0 * math.pi)
LOGVAR_RANGE = (-20.0, 4.0)  # never met in training; far from its images the encoder asks for variances that overflow


class VAE(LikelihoodModel):
    """VAE.

    Arguments:
        shape: (C, H, W) of the images; any size.
        network: `dense` or `convolutional`.
        hidden: units of the dense networks' hidden layer, or channels of the first convolution.
        latent: dimensions of z.
        likelihood: `logistic` (8-bit pixels) or `bernoulli` (binarised pixels, in nats).
        levels: grey levels of a pixel.
    """

    lower_bound: ClassVar[bool] = True

    def __init__(
        self,
        shape: Shape,
        network: Literal["dense", "convolutional"],
        hidden: Annotated[int, Field(ge=1, le=65_536)],
        latent: Annotated[int, Field(ge=1, le=4096)],
        likelihood: Literal["logistic", "bernoulli"],
        levels: int = 256,
    ) -> None:
        super().__init__(shape, levels)
        self.latent = latent
        self.pixels = DiscretizedLogistic(levels) if likelihood == "logistic" else Bernoulli(levels)
        self.unit = "bits_per_dim" if likelihood == "logistic" else "nats"
        self.encoder, self.decoder = NETWORKS[network](self.shape, hidden, latent, self.pixels.outputs)

    def encode(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """Mean and log-variance of q(z | x), each (B, latent), from uint8 x (B, C, H, W)."""
        mean, logvar = self.encoder(self.pixels.to_input(x)).chunk(2, dim=1)
        return mean, logvar.clamp(*LOGVAR_RANGE)

    def reparameterize(self, mean: Tensor, logvar: Tensor, noise: Tensor) -> Tensor:
        """z = mean + std · noise, (B, latent)."""
        return mean + torch.exp(0.5 * logvar) * noise

    def decode(self, z: Tensor) -> Tensor:
        """Parameters of P(x | z), (B, outputs, C, H, W)."""
        return self.decoder(z).view(-1, self.pixels.outputs, *self.shape)

    def noise(self, n: int, rng: np.random.Generator) -> Tensor:
        """Standard normal (n, latent)."""
        return torch.from_numpy(rng.standard_normal((n, self.latent), dtype=np.float32)).to(torch.get_default_dtype())

    def forward(self, x: Tensor, noise: Tensor) -> dict[str, Tensor]:
        """`log_weight`, and the ELBO's parts `reconstruction` = log P(x | z) and `kl` (closed form), each (B,) in nats."""
        mean, logvar = self.encode(x)
        z = self.reparameterize(mean, logvar, noise)
        reconstruction = self.pixels.log_prob(x, self.decode(z)).sum(dim=(1, 2, 3))
        log_prior = -0.5 * (z.square() + LOG_2PI).sum(dim=1)
        log_posterior = -0.5 * (noise.square() + logvar + LOG_2PI).sum(dim=1)
        kl = 0.5 * (mean.square() + logvar.exp() - 1.0 - logvar).sum(dim=1)
        return {"log_weight": reconstruction + log_prior - log_posterior, "reconstruction": reconstruction, "kl": kl}

    def objective(self, parts: dict[str, Tensor]) -> Tensor:
        """The ELBO with the closed-form KL: the same mean as the one-draw bound, and less variance."""
        return parts["reconstruction"] - parts["kl"]

    @torch.inference_mode()
    def sample(self, n: int, generator: torch.Generator) -> Tensor:
        """Draw z from the prior, then every pixel from P(x | z): uint8 (n, C, H, W)."""
        z = torch.randn(n, self.latent, generator=generator).to(next(self.parameters()))
        return self.pixels.sample(self.decode(z), generator)
