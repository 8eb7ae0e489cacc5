"""Images of which a share of the values is replaced by uniform random ones: what a background model is trained on [1].

    x'_i = u_i with probability μ, else x_i,    u_i uniform on 0 … 255

What distinguishes a class of images is lost before the statistics of the background are [1]. Our deviation: an image has one
mutation, keyed by (seed, position), where [1] draws a new one whenever it comes by.

References:
    [1] Likelihood ratios for out-of-distribution detection (Ren et al., 2019), https://arxiv.org/abs/1906.02845
"""

import numpy as np


class Mutated:
    """Mutated images, made when they are asked for: nothing grows with the data set.

    Arguments:
        images: uint8 (N, C, H, W), may be memory-mapped.
        rate: μ, the share of values replaced, 0 to 1.
        seed: of the mutations.
    """

    def __init__(self, images: np.ndarray, rate: float, seed: int) -> None:
        self.images, self.rate, self.seed = images, rate, seed
        self.shape = images.shape

    def __len__(self) -> int:
        """N."""
        return len(self.images)

    def __getitem__(self, rows: np.ndarray | slice) -> np.ndarray:
        """The images of some rows: uint8 (n, C, H, W), each the same whenever it is asked for."""
        positions = np.arange(len(self))[rows]
        x = np.array(self.images[positions])
        for image, position in zip(x, positions, strict=True):
            rng = np.random.default_rng((self.seed, 2, position))
            uniform = rng.integers(0, 256, image.shape, dtype=np.uint8)
            np.copyto(image, uniform, where=rng.random(image.shape) < self.rate)
        return x
