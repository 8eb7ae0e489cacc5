"""Where in an image its likelihood comes from: nats per pixel that add up to log_prob, exactly.

    log_prob(x) = Σ_ij map_ij(x),     map(x) = Σ_k a_k m_k(x) + r(x) / (H W)

m_k has the terms of draw k where they arise (`terms` of every model): the factors of a PixelCNN at their pixels; of a VAE the
reconstruction at its pixels, and log p(z) - log q(z | x) where the latents have places; of a flow latents and log-determinants of
every level, preprocessing and dequantisation. A term whose places are coarser than pixels is spread evenly over the block that a
place stands for, and one without places over the image. Draws are combined by their share of the estimate [1],

    a_k = w_k / Σ_l w_l,     r = log 1/K Σ_k w_k - Σ_k a_k log w_k

A pixel is one of REGIONS by the range of grey levels in the 3×3 pixels around it, the largest of its colours: `flat`, they are
all equal; `edges`, the range is at least EDGE; `shaded`, any other.

References:
    [1] Importance weighted autoencoders (Burda et al., 2016), https://arxiv.org/abs/1509.00519, section 3: the weights a_k
"""

import functools
import math

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional as F

from likelihood.common.errors import InputError
from likelihood.models.shared.base import LikelihoodModel, image_generator
from likelihood.statistics.measure import device, measured

REGIONS = ("flat", "shaded", "edges")
EDGE = 64  # grey levels, a quarter of the scale


def has_places(model: LikelihoodModel) -> bool:
    """Whether a model says where its terms arise."""
    return type(model).terms is not LikelihoodModel.terms


def spread(term: Tensor, height: int, width: int) -> Tensor:
    """A term (B, h, w), or (B,), at every pixel of images of that size: (B, H, W) with the same sum.

    A place stands for a block of pixels: its sides are powers of 2, and smaller at the lower and right end, as halving leaves
    them; where such blocks do not fit, they are as even as can be.
    """
    if term.dim() == 1:
        term = term[:, None, None]
    for dim, size in ((1, height), (2, width)):
        count, pixel = term.shape[dim], torch.arange(size, device=term.device)
        place = pixel // 2 ** math.ceil(math.log2(size / count))
        if place[-1] + 1 != count:
            place = pixel * count // size
        shared = torch.bincount(place)[place].to(term.dtype)  # how many pixels share a place along this side
        term = term.index_select(dim, place) / shared.view(-1, *[1] * (2 - dim))
    return term


@torch.inference_mode()
def log_prob_map(model: LikelihoodModel, x: Tensor, draws: int = 1) -> Tensor:
    """Contributions of the pixels to log_prob of uint8 images x (B, C, H, W): (B, H, W) in nats, on the model's device.

    Their sum is `model.log_prob(x, draws)`, of the same noise. Raises InputError for a model without places.
    """
    if not has_places(model):
        raise InputError(f"{type(model).__name__} does not say where its likelihood arises, so it has no map")
    device = next(model.parameters()).device
    noise = torch.stack([model.noise(draws, image_generator(image)) for image in x.cpu().numpy()], dim=1)  # (K, B, …)
    x, noise = x.to(device), noise.to(device)
    height, width = x.shape[2:]
    maps = torch.stack([sum(spread(term, height, width) for term in model.terms(x, each).values()) for each in noise])
    log_weight = maps.double().sum(dim=(2, 3))  # (K, B)
    share = torch.softmax(log_weight, dim=0)
    counts = share > 0.0  # a draw of weight 0 has no map
    combined = torch.where(counts[..., None, None], share[..., None, None] * maps, 0.0).sum(dim=0)
    spent = torch.where(counts, share * log_weight, 0.0).sum(dim=0)
    rest = torch.logsumexp(log_weight, dim=0) - math.log(draws) - spent
    return combined + rest[:, None, None] / (height * width)


def maps_of(model: LikelihoodModel, x: np.ndarray, draws: int, name: str) -> np.ndarray:
    """Maps of many images uint8 (N, C, H, W): (N, H, W) float64 in nats. `name` is that of the bar that shows how far it is."""
    found = measured(functools.partial(_columns, model.to(device()), draws), model.core_batch, x, name)
    return found.to_numpy().reshape(len(x), *x.shape[2:])


def _columns(model: LikelihoodModel, draws: int, x: Tensor) -> dict[str, Tensor]:
    return {str(place): nats for place, nats in enumerate(log_prob_map(model, x, draws).flatten(1).T)}


def regions(x: np.ndarray) -> np.ndarray:
    """The region of every pixel of uint8 images (N, C, H, W), as its position in REGIONS: uint8 (N, H, W)."""
    levels = torch.from_numpy(np.array(x)).float()
    highest, lowest = F.max_pool2d(levels, 3, stride=1, padding=1), -F.max_pool2d(-levels, 3, stride=1, padding=1)
    around = (highest - lowest).amax(dim=1)
    return ((around > 0).to(torch.uint8) + (around >= EDGE).to(torch.uint8)).numpy()
