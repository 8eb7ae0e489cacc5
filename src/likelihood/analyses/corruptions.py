"""Test images of the in-set, corrupted step by step: how far from its images does a score see a difference?

Sets that were drawn elsewhere are far from the in-set; a blurred image of its own is near. CORRUPTIONS has the kinds, after those
of [1], each with its severities, mild ones first; of flips and rotations they are different ones.

Our deviation: severities are chosen for images of 28 to 32 pixels, on Fashion-MNIST, and are the same for every set.

References:
    [1] Benchmarking neural network robustness to common corruptions and perturbations (Hendrycks & Dietterich, 2019),
        https://arxiv.org/abs/1903.12261
"""

import io
from collections.abc import Callable, Iterator

import numpy as np
import torch
from PIL import Image
from torch import Tensor
from torchvision.transforms.v2 import functional as F

from likelihood.models.shared.base import image_generator

IMAGES = 200  # of the test set, the same for every severity


def blur(x: Tensor, sigma: float) -> Tensor:
    """By a Gaussian of that standard deviation in pixels."""
    return F.gaussian_blur(x, kernel_size=2 * round(3 * sigma) + 1, sigma=sigma)


def noise(x: Tensor, std: float) -> Tensor:
    """Gaussian noise of that standard deviation in grey levels."""
    drawn = torch.stack([torch.from_numpy(image_generator(image).standard_normal(image.shape)) for image in x.numpy()])
    return (x + std * drawn).round().clamp(0, 255).to(torch.uint8)


def shift(x: Tensor, pixels: int) -> Tensor:
    """Down and to the right; the edge is repeated."""
    return F.pad(x, [pixels, pixels, 0, 0], padding_mode="edge")[..., : x.shape[-2], : x.shape[-1]]


def resample(x: Tensor, share: float) -> Tensor:
    """To that share of height and width, and back."""
    height, width = x.shape[-2:]
    small = F.resize(x, [max(1, round(share * height)), max(1, round(share * width))], antialias=True)
    return F.resize(small, [height, width], antialias=True)


def jpeg(x: Tensor, quality: int) -> Tensor:
    """Through a JPEG file of that quality, of 1 to 100."""
    found = []
    for image in x.numpy():
        file = io.BytesIO()
        Image.fromarray(image[0] if len(image) == 1 else image.transpose(1, 2, 0)).save(file, "JPEG", quality=quality)
        decoded = np.atleast_3d(np.asarray(Image.open(file)))
        found.append(torch.from_numpy(decoded.transpose(2, 0, 1).copy()))
    return torch.stack(found)


CORRUPTIONS: dict[str, tuple[Callable[[Tensor, float], Tensor], tuple[float, ...]]] = {  # what makes it, and how much
    "blur": (blur, (0.4, 0.6, 0.8, 1.2, 1.6)),
    "noise": (noise, (2, 5, 10, 20, 40)),
    "shift": (shift, (1, 2, 3, 4, 6)),
    "contrast": (F.adjust_contrast, (0.9, 0.75, 0.6, 0.4, 0.2)),
    "jpeg": (jpeg, (90, 75, 50, 25, 10)),
    "resampling": (resample, (0.9, 0.75, 0.6, 0.5, 0.33)),
    "rotation": (lambda x, degrees: torch.rot90(x, int(degrees) // 90, (-2, -1)), (90, 180)),
    "flip": (lambda x, dim: x.flip(int(dim)), (-1, -2)),  # left to right, upside down
    "inversion": (lambda x, _: 255 - x, (1,)),
}


def corrupted(x: Tensor) -> Iterator[tuple[str, int, Tensor]]:
    """Kind, severity from 1, and images uint8 (N, C, H, W) like x; a rotation by 90° only of square images."""
    for kind, (corrupt, amounts) in CORRUPTIONS.items():
        for severity, amount in enumerate(amounts, 1):
            changed = corrupt(x, amount)
            if changed.shape == x.shape:
                yield kind, severity, changed.contiguous()
