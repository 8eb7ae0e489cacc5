"""The contract every model keeps.

    log P(x) >= log 1/K sum_k w(x, e_k),   e_k ~ p(e),   E_e[w(x, e)] = P(x)

A model says how one draw of noise e gives one unbiased estimate w of the probability of the discrete image x; everything else
follows here once. For a VAE e is the latent's noise and the right side is the importance-weighted bound [1]; for a flow e is
the dequantisation noise [2]; an autoregressive model needs no noise and is exact. Training maximises the bound of one draw.

When scoring, the noise of an image comes from a generator keyed by a hash of that image's pixels, so the same image has the
same score in any batch, order or process.

References:
    [1] Importance weighted autoencoders (Burda et al., 2016), https://arxiv.org/abs/1509.00519
    [2] A note on the evaluation of generative models (Theis et al., 2016), https://arxiv.org/abs/1511.01844
"""

import hashlib
import math
from abc import ABC, abstractmethod
from typing import ClassVar

import numpy as np
import torch
from torch import Tensor, nn

from likelihood.common.units import Unit

Shape = tuple[int, int, int]  # channels, height, width


def total(term: Tensor) -> Tensor:
    """A term of a log-likelihood summed over its places: (B, …) to (B,)."""
    return term.flatten(1).sum(dim=1) if term.dim() > 1 else term


def image_generator(image: np.ndarray) -> np.random.Generator:
    """A random generator keyed by the pixels of one uint8 image (C, H, W) and by nothing else."""
    digest = hashlib.blake2b(np.ascontiguousarray(image).tobytes(), digest_size=16).digest()
    return np.random.Generator(np.random.Philox(key=int.from_bytes(digest, "little")))


class LikelihoodModel(nn.Module, ABC):
    """A model of discrete images with a per-image likelihood.

    Arguments:
        shape: (C, H, W) of the images.
        levels: number of grey levels a pixel can take; 256 for 8-bit images.

    A subclass implements `noise`, `forward` and `sample`, and sets `lower_bound`.
    """

    core_batch: ClassVar[int] = 100  # images that one CPU core scores fastest at a time; no score depends on it
    lower_bound: ClassVar[bool]  # True: log_prob is a lower bound; False: it is exact
    unit: Unit = "bits_per_dim"  # what the model's likelihoods are reported in
    constant_volume: bool = False  # True for a flow whose log-determinant is the same for every image

    def __init__(self, shape: Shape, levels: int = 256) -> None:
        super().__init__()
        self.shape = tuple(shape)
        self.dims = math.prod(shape)
        self.levels = levels

    @abstractmethod
    def noise(self, n: int, rng: np.random.Generator) -> Tensor:
        """Draw e for n images: floats (n, ...). Row k must not depend on n, so that more draws extend fewer."""

    @abstractmethod
    def forward(self, x: Tensor, noise: Tensor) -> dict[str, Tensor]:
        """One-draw estimate of images x (B, C, H, W): `log_weight` = log w(x, e) and its parts, each (B,) in nats.

        x holds grey levels, as uint8 or, for gradients with respect to the image, as floats.
        """

    def terms(self, x: Tensor, noise: Tensor) -> dict[str, Tensor]:
        """The terms that add up to `log_weight`, each with its place: (B, h, w) in nats, or (B,) if it has none.

        (h, w) may be coarser than the image: a place then stands for a block of pixels.
        """
        return {"log_weight": self(x, noise)["log_weight"]}

    @abstractmethod
    def sample(self, n: int, generator: torch.Generator) -> Tensor:
        """Draw n images: uint8 (n, C, H, W). `generator` lives on the CPU, so every device draws the same noise."""

    def picture(self, n: int, generator: torch.Generator) -> Tensor:
        """n images as a figure shows them, uint8 (n, C, H, W): samples, unless a family has a more telling picture of one."""
        return self.sample(n, generator)

    def objective(self, parts: dict[str, Tensor]) -> Tensor:
        """What training maximises, (B,) in nats: the bound of one draw."""
        return parts["log_weight"]

    def initialize(self, x: Tensor, noise: Tensor) -> None:
        """Set data-dependent parameters from training images (B, C, H, W), once, before the first step; most models have none."""

    @torch.inference_mode()
    def statistics(self, x: Tensor, draws: int = 1) -> dict[str, Tensor]:
        """Per-image statistics of uint8 images x (B, C, H, W), each (B,) in nats.

        `log_prob` is the log-mean-exp of `draws` estimates; every other part is its mean over them.
        """
        device = next(self.parameters()).device
        noise = torch.stack([self.noise(draws, image_generator(image)) for image in x.cpu().numpy()], dim=1)  # (K, B, ...)
        x, noise = x.to(device), noise.to(device)
        runs = [self(x, noise[k]) for k in range(draws)]
        parts = {name: torch.stack([run[name] for run in runs]) for name in runs[0]}  # (K, B)
        log_weight = parts.pop("log_weight")
        log_prob = torch.logsumexp(log_weight.double(), dim=0) - math.log(draws)
        return {"log_prob": log_prob, **{name: values.double().mean(dim=0) for name, values in parts.items()}}

    def log_prob(self, x: Tensor, draws: int = 1) -> Tensor:
        """Log-probability of uint8 images x (B, C, H, W): (B,) in nats of the discrete image; never a batch mean."""
        return self.statistics(x, draws)["log_prob"]


class PixelLikelihoodModel(LikelihoodModel):
    """A model that has a distribution of each value of an image, given those before it or given the noise."""

    @abstractmethod
    def levels_log_prob(self, x: Tensor, noise: Tensor) -> Tensor:
        """log P of every level of every value of images x (B, C, H, W): (B, C, H, W, levels) in nats.

        pixels.py reads distribution function, entropy and variance off it. It is large: a few images at a time.
        """
