"""Distance of a flow's latents from the shell where a standard normal has its mass [1].

    | ‖z‖ - √D |

References:
    [1] WAIC, but why? Generative ensembles for robust anomaly detection (Choi et al., 2018), https://arxiv.org/abs/1810.01392
"""

import math
from typing import ClassVar

import numpy as np

from likelihood.scores.base import Sample, Score


class LatentNorm(Score):
    """Distance of the latents' norm from √D."""

    title: ClassVar[str] = "latent norm"
    needs: ClassVar[tuple[str, ...]] = ("latent_norm",)

    def score(self, sample: Sample) -> np.ndarray:
        """See Score."""
        norm = sample.statistics["latent_norm"].to_numpy(np.float64)
        return np.abs(norm - math.sqrt(sample.images[0].size))
