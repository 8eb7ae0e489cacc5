"""Lengths of an image under lossless codecs: upper bounds of its complexity that need no model [1].

    L_c(x) = 8 log 2 · bytes of x coded by c      in nats, as likelihoods are; headers included

Every codec is set so that it takes about as long as an image's likelihood: stronger settings save a percent or two and take ten
times as long.

References:
    [1] Input complexity and out-of-distribution detection with likelihood-based generative models (Serrà et al., 2020),
        https://arxiv.org/abs/1909.11480
"""

import io
import math
from collections.abc import Callable

import imagecodecs
import numpy as np
import pandas as pd
import PIL
from PIL import Image, features

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
