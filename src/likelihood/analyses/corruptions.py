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
from PIL import Image, ImageEnhance
from scipy.ndimage import gaussian_filter

IMAGES = 200  # of the test set, the same for every severity


def by_pillow(x: np.ndarray, change: Callable[[Image.Image], Image.Image]) -> np.ndarray:
    """Images uint8 (N, C, H, W), each changed as a picture."""
    pictures = (Image.fromarray(image[0] if len(image) == 1 else image.transpose(1, 2, 0)) for image in x)
    return np.stack([np.atleast_3d(np.asarray(change(picture))).transpose(2, 0, 1) for picture in pictures])


def blur(x: np.ndarray, sigma: float) -> np.ndarray:
    """By a Gaussian of that standard deviation in pixels."""
    return gaussian_filter(x.astype(np.float64), (0, 0, sigma, sigma), mode="nearest").round().astype(np.uint8)


def noise(x: np.ndarray, std: float) -> np.ndarray:
    """Gaussian noise of that standard deviation in grey levels, the same for every image."""
    drawn = np.random.RandomState(0).normal(size=x.shape[1:])
    return (x + std * drawn).round().clip(0, 255).astype(np.uint8)


def shift(x: np.ndarray, pixels: int) -> np.ndarray:
    """Down and to the right; the edge is repeated."""
    return np.pad(x, ((0, 0), (0, 0), (pixels, 0), (pixels, 0)), mode="edge")[..., : x.shape[-2], : x.shape[-1]]


def contrast(x: np.ndarray, share: float) -> np.ndarray:
    """That share of the distance from the image's mean grey level."""
    return by_pillow(x, lambda picture: ImageEnhance.Contrast(picture).enhance(share))


def resample(x: np.ndarray, share: float) -> np.ndarray:
    """To that share of height and width, and back."""
    size = x.shape[-1], x.shape[-2]
    small = max(1, round(share * size[0])), max(1, round(share * size[1]))
    way = Image.Resampling.BILINEAR
    return by_pillow(x, lambda picture: picture.resize(small, way).resize(size, way))


def jpeg(x: np.ndarray, quality: int) -> np.ndarray:
    """Through a JPEG file of that quality, of 1 to 100."""

    def through(picture: Image.Image) -> Image.Image:
        file = io.BytesIO()
        picture.save(file, "JPEG", quality=quality)
        return Image.open(file, formats=["JPEG"])

    return by_pillow(x, through)


CORRUPTIONS: dict[str, tuple[Callable[[np.ndarray, float], np.ndarray], tuple[float, ...]]] = {  # what makes it, and how much
    "blur": (blur, (0.4, 0.6, 0.8, 1.2, 1.6)),
    "noise": (noise, (2, 5, 10, 20, 40)),
    "shift": (shift, (1, 2, 3, 4, 6)),
    "contrast": (contrast, (0.9, 0.75, 0.6, 0.4, 0.2)),
    "jpeg": (jpeg, (90, 75, 50, 25, 10)),
    "resampling": (resample, (0.9, 0.75, 0.6, 0.5, 0.33)),
    "rotation": (lambda x, degrees: np.rot90(x, degrees // 90, (-2, -1)), (90, 180)),
    "flip": (np.flip, (-1, -2)),  # left to right, upside down
    "inversion": (lambda x, _: 255 - x, (1,)),
}


def corrupted(x: np.ndarray) -> Iterator[tuple[str, int, np.ndarray]]:
    """Kind, severity from 1, and images uint8 (N, C, H, W) like x; a rotation by 90° only of square images."""
    for kind, (corrupt, amounts) in CORRUPTIONS.items():
        for severity, amount in enumerate(amounts, 1):
            changed = corrupt(x, amount)
            if changed.shape == x.shape:
                yield kind, severity, np.ascontiguousarray(changed)
