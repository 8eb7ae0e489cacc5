"""Variational autoencoder [1], dense (784-400-20-400-784 for 28×28 images) or convolutional, with latents that have a place.

    log P(x) >= E_q[log P(x | z)] - KL(q(z | x) || N(0, I)),     q(z | x) = N(mean(x), diag(exp(logvar(x))))

Scored by the importance-weighted bound, w = P(x | z) p(z) / q(z | x) with z = mean + exp(logvar / 2) · e [2].

Our deviations: the pixel likelihood is a proper one of 8-bit values, where [1] has Bernoulli units on grey levels, which is no
likelihood of them. It is a discretised logistic with mean and scale from the decoder [3] (so the last layer has two outputs per
value), or a mixture of them over whole colours, so that the colours of a pixel know each other (models/shared/pixels.py).
`likelihood="bernoulli"` is the classical model made honest: images are binarised first, a pixel is 1 when its value is at least
half of the grey levels (128 of 256), and log_prob is that of the binary image; a uniform model has 1 bit/dim.

A grid of pictures shows, as is usual, the mean of P(x | z): drawn pixels have the noise of every pixel's own distribution.

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

from likelihood.models.shared.base import PixelLikelihoodModel, Shape, total
from likelihood.models.shared.pixels import Bernoulli, DiscretizedLogistic, MixtureOfLogistics
from likelihood.models.vae.networks import NETWORKS

PIXELS = {"logistic": DiscretizedLogistic, "bernoulli": Bernoulli}
LOG_2PI = math.log(2.0 * math.pi)
LOGVAR_RANGE = (-20.0, 4.0)  # never met in training; far from its images the encoder asks for variances that overflow


class VAE(PixelLikelihoodModel):
    """VAE.

    Arguments:
        shape: (C, H, W) of the images; any size.
        network: `dense` or `convolutional`.
        hidden: units of the dense networks' hidden layer, or channels of the first convolution.
        latent: dimensions of z; of a convolutional network, at each place of a grid of a quarter of the image's sides.
        likelihood: `logistic` or `mixture` (8-bit pixels), or `bernoulli` (binarised pixels).
        levels: grey levels of a pixel.
    """

    lower_bound: ClassVar[bool] = True

    def __init__(
        self,
        shape: Shape,
        network: Literal["dense", "convolutional"],
        hidden: Annotated[int, Field(ge=1, le=65_536)],
        latent: Annotated[int, Field(ge=1, le=4096)],
        likelihood: Literal["logistic", "mixture", "bernoulli"],
        levels: int = 256,
    ) -> None:
        super().__init__(shape, levels)
        self.unit = "binary_bits_per_dim" if likelihood == "bernoulli" else "bits_per_dim"
        outputs = None if likelihood == "mixture" else shape[0] * PIXELS[likelihood].features
        self.encoder, self.decoder, self.place = NETWORKS[network](self.shape, hidden, latent, outputs)
        self.pixels = MixtureOfLogistics(hidden, shape[0], levels) if likelihood == "mixture" else PIXELS[likelihood](levels)

    def encode(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """Mean and log-variance of q(z | x), each (B, latent, …), from levels x (B, C, H, W)."""
        mean, logvar = self.encoder(self.pixels.to_input(x)).chunk(2, dim=1)
        return mean, logvar.clamp(*LOGVAR_RANGE)

    def reparameterize(self, mean: Tensor, logvar: Tensor, noise: Tensor) -> Tensor:
        """z = mean + std · noise, of the shape of `mean`."""
        return mean + torch.exp(0.5 * logvar) * noise

    def decode(self, z: Tensor) -> Tensor:
        """What P(x | z) is read from, (B, H, W, features)."""
        return self.decoder(z).permute(0, 2, 3, 1)

    def reconstruction(self, x: Tensor, z: Tensor) -> Tensor:
        """log P(x | z) of each value of levels x (B, C, H, W): (B, C, H, W) in nats."""
        return self.pixels.log_prob(x.permute(0, 2, 3, 1), self.decode(z)).permute(0, 3, 1, 2)

    def noise(self, n: int, rng: np.random.Generator) -> Tensor:
        """Standard normal (n, latent) or (n, latent, h, w)."""
        return torch.from_numpy(rng.standard_normal((n, *self.place), dtype=np.float32)).to(torch.get_default_dtype())

    def terms(self, x: Tensor, noise: Tensor) -> dict[str, Tensor]:
        """`reconstruction` (B, H, W), `log_prior` and `log_posterior` = -log q(z | x), (B, h, w) or, of a dense network, (B,)."""
        mean, logvar = self.encode(x)
        z = self.reparameterize(mean, logvar, noise)
        return {
            "reconstruction": self.reconstruction(x, z).sum(dim=1),
            "log_prior": -0.5 * (z.square() + LOG_2PI).sum(dim=1),
            "log_posterior": 0.5 * (noise.square() + logvar + LOG_2PI).sum(dim=1),
        }

    def forward(self, x: Tensor, noise: Tensor) -> dict[str, Tensor]:
        """`log_weight`, and the ELBO's parts `reconstruction` = log P(x | z) and `kl` (closed form), each (B,) in nats."""
        mean, logvar = self.encode(x)
        z = self.reparameterize(mean, logvar, noise)
        reconstruction = total(self.reconstruction(x, z))
        log_ratio = 0.5 * total(noise.square() + logvar - z.square())  # log p(z) / q(z | x)
        return {"log_weight": reconstruction + log_ratio, "reconstruction": reconstruction, "kl": self.kl(mean, logvar)}

    def kl(self, mean: Tensor, logvar: Tensor) -> Tensor:
        """KL(q || N(0, I)) in closed form, (B,) in nats."""
        return 0.5 * total(mean.square() + logvar.exp() - 1.0 - logvar)

    def objective(self, parts: dict[str, Tensor]) -> Tensor:
        """The ELBO with the closed-form KL: the same mean as the one-draw bound, and less variance."""
        return parts["reconstruction"] - parts["kl"]

    def levels_log_prob(self, x: Tensor, noise: Tensor) -> Tensor:
        """As PixelLikelihoodModel.levels_log_prob, given z."""
        h = self.decode(self.reparameterize(*self.encode(x), noise))
        return self.pixels.levels_log_prob(x.permute(0, 2, 3, 1), h).permute(0, 3, 1, 2, 4)

    def prior(self, n: int, generator: torch.Generator) -> Tensor:
        """Draw n latents from the prior."""
        return torch.randn(n, *self.place, generator=generator).to(next(self.parameters()))

    @torch.inference_mode()
    def sample(self, n: int, generator: torch.Generator) -> Tensor:
        """Draw z from the prior, then every pixel from P(x | z): uint8 (n, C, H, W)."""
        return self.pixels.sample(self.decode(self.prior(n, generator)), generator).permute(0, 3, 1, 2).contiguous()

    @torch.inference_mode()
    def picture(self, n: int, generator: torch.Generator) -> Tensor:
        """Draw z from the prior; show the mean of P(x | z): uint8 (n, C, H, W)."""
        return self.pixels.mean(self.decode(self.prior(n, generator))).permute(0, 3, 1, 2).contiguous()
