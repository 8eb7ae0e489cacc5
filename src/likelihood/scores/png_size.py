"""Baseline without a model: the size of the image as a PNG file; a simple image, a small file, is outlying.

Compressed size stands for the entropy of an image [1]; likelihoods of images follow it closely.

References:
    [1] Input complexity and out-of-distribution detection with likelihood-based generative models (Serrà et al., 2020),
        https://arxiv.org/abs/1909.11480
"""

import io
from typing import ClassVar

import numpy as np
from PIL import Image

from likelihood.scores.base import Sample, Score


def png_bytes(image: np.ndarray) -> int:
    """Bytes of one uint8 image (C, H, W), C = 1 or 3, as a PNG file at the strongest compression."""
    pixels = image[0] if image.shape[0] == 1 else image.transpose(1, 2, 0)
    file = io.BytesIO()
    Image.fromarray(np.ascontiguousarray(pixels)).save(file, format="PNG", optimize=True)
    return file.tell()


class PngSize(Score):
    """Minus the bytes of the PNG file."""

    needs_model: ClassVar[bool] = False

    def score(self, sample: Sample) -> np.ndarray:
        """See Score."""
        return -np.array([png_bytes(image) for image in sample.images], dtype=np.float64)
