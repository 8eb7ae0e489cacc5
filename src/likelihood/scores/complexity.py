"""Lossless codecs, and scores of how long an image's code is, by itself and against its likelihood.

    L_c(x) = 8 log 2 · bytes of x coded by c      in nats, as likelihoods are; headers included

    Complexity     S(x) = -log p(x) - L(x),    L = the smallest of PNG, WebP, JPEG 2000 and JPEG XL [1]
    PngSize        -L_png(x): baseline without a model; a simple image, a small file, is outlying
    PngDistance    | L_png(x) - median of L_png |: baseline without a model; distance from the median of the in-set

Code lengths are upper bounds of an image's complexity that need no model; every codec is set so that it takes about as long as an
image's likelihood: stronger settings save a percent or two and take ten times as long. Input complexity S is a log-likelihood
ratio in which a codec stands for a universal model: what is simple for anyone is forgiven. Our deviation: the codecs, where [1]
has FLIF, which is no longer maintained. Compressed size stands for the entropy of an image [1]; likelihoods of images follow it
closely.

References:
    [1] Input complexity and out-of-distribution detection with likelihood-based generative models (Serrà et al., 2020),
        https://arxiv.org/abs/1909.11480
"""

import io
import math
from collections.abc import Callable
from typing import Self

import imagecodecs
import numpy as np
import pandas as pd
import PIL
from PIL import Image, features

from likelihood.scores.base import Sample, Score

NATS_PER_BYTE = 8.0 * math.log(2.0)


def _pillow(pixels: np.ndarray, **settings: object) -> int:
    file = io.BytesIO()
    Image.fromarray(pixels).save(file, **settings)
    return file.tell()


CODECS: dict[str, Callable[[np.ndarray], int]] = {  # bytes of one image H×W or H×W×3
    "png": lambda pixels: _pillow(pixels, format="PNG", optimize=True),
    "webp": lambda pixels: _pillow(pixels, format="WEBP", lossless=True, quality=100, method=4),
    "jpeg2000": lambda pixels: len(imagecodecs.jpeg2k_encode(pixels, level=0, codecformat="j2k", reversible=True)),
    "jpegxl": lambda pixels: len(imagecodecs.jpegxl_encode(pixels, lossless=True, effort=7)),
}


def pixels_of(image: np.ndarray) -> np.ndarray:
    """One network image (C, H, W) as codecs want it: H×W or H×W×3 in C order."""
    return np.ascontiguousarray(image[0] if len(image) == 1 else image.transpose(1, 2, 0))


def lengths(images: np.ndarray) -> pd.DataFrame:
    """Code lengths of uint8 images (N, C, H, W), in nats: one row per image, one column per codec."""
    rows = [{name: encode(pixels) for name, encode in CODECS.items()} for pixels in map(pixels_of, images)]
    return pd.DataFrame(rows, columns=list(CODECS), dtype=np.float64) * NATS_PER_BYTE


def versions() -> dict[str, str]:
    """What the lengths depend on: library and version by codec."""
    fork = features.version("zlib_ng")  # Pillow's wheels are built with this one
    zlib = f"zlib-ng {fork}" if fork else f"zlib {features.version('zlib')}"
    return {
        "png": f"Pillow {PIL.__version__}, {zlib}",
        "webp": f"Pillow {PIL.__version__}, libwebp {features.version('webp')}",
        "jpeg2000": f"imagecodecs {imagecodecs.__version__}, {imagecodecs.jpeg2k_version()}",
        "jpegxl": f"imagecodecs {imagecodecs.__version__}, {imagecodecs.jpegxl_version()}",
    }


class Complexity(Score):
    """S in nats."""

    title = "input complexity S"
    needs = ("log_prob",)
    coded = tuple(CODECS)

    def score(self, sample: Sample) -> np.ndarray:
        return -sample.column("log_prob") - sample.codes.min(axis=1).to_numpy(np.float64)


class PngSize(Score):
    """Minus the length of the PNG file, in nats."""

    title = "PNG size, small = outlying"
    coded = ("png",)

    def score(self, sample: Sample) -> np.ndarray:
        return -sample.codes["png"].to_numpy(np.float64)


class PngDistance(Score):
    """Distance of the length of the PNG file from the median, in nats; two-sided."""

    title = "PNG size, distance from the median"
    coded = ("png",)

    def fit(self, reference: Sample) -> Self:
        self.median_ = float(reference.codes["png"].median())
        return self

    def score(self, sample: Sample) -> np.ndarray:
        return np.abs(sample.codes["png"].to_numpy(np.float64) - self.median_)
