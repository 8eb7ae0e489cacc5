"""The second-order analysis of a flow's likelihood [1]: what the means and variances of two data sets predict of their gap.

    E_q[log p] - E_p[log p]  ≈  gᵀ (E_q[x] - x0)  +  ½ Tr H (S_q - S_p),     g, H = gradient and Hessian of log p at x0 = E_p[x]
                                 first order          second order            S = E[(x - x0)(x - x0)ᵀ]

[1] takes E_q[x] = x0, so that the first order vanishes, and variances alone, the diagonal of S. Where log p is concave along the
pixels, a set of less variance about the same mean then gets a higher likelihood whatever was learnt. Our deviation: H is that of
the network itself by automatic differentiation, where [1] has a closed form of constant-volume flows.

References:
    [1] Do deep generative models know what they don't know? (Nalisnick et al., 2019), https://arxiv.org/abs/1810.09136, section 5
"""

from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
import pandas as pd
import torch
from torch import Tensor
from torch.func import grad, jvp, vmap

if TYPE_CHECKING:  # a stage that scores another family loads no flow
    from likelihood.models.glow.model import Glow

COLUMNS_AT_ONCE = 32  # of the Hessian

DIGITS = 4
HALF = 0.5  # the mean of dequantisation noise, in grey levels


class Expansion(NamedTuple):
    """log p about a point x0, in nats and grey levels."""

    point: np.ndarray  # (D,)
    gradient: np.ndarray  # (D,)
    hessian: np.ndarray  # (D, D)


def expand(model: "Glow", point: np.ndarray) -> Expansion:
    """Gradient and Hessian of the density of continuous images, of grey levels in [0, 256), at `point` (D,), in C, H, W order."""

    def log_density(x: Tensor) -> Tensor:
        return model.log_density((x + HALF).view(1, *model.shape)).squeeze(0)

    x = torch.from_numpy(point).to(next(model.parameters()))
    first = grad(log_density)

    def column(direction: Tensor) -> Tensor:
        return jvp(first, (x,), (direction,))[1]

    identity = torch.eye(len(x), dtype=x.dtype, device=x.device)
    columns = [vmap(column)(part).detach() for part in identity.split(COLUMNS_AT_ONCE)]
    return Expansion(point, first(x).detach().cpu().double().numpy(), torch.cat(columns).cpu().double().numpy())


def predicted_gap(at: Expansion, inside: np.ndarray, outside: np.ndarray) -> dict[str, float]:
    """What the expansion predicts of the mean log p of uint8 images `outside` less that of `inside`, each (N, C, H, W), in nats.

    Returns `first`, `second` of all second moments, and `variances`, the second order of [1]: variances alone, about own means.
    """
    x, y = (images.reshape(len(images), -1).astype(np.float64) for images in (inside, outside))
    moments = [(z - at.point).T @ (z - at.point) / len(z) for z in (x, y)]
    return {
        "first": float(at.gradient @ (y.mean(axis=0) - x.mean(axis=0))),
        "second": float(0.5 * np.sum(at.hessian * (moments[1] - moments[0]))),
        "variances": float(0.5 * np.diag(at.hessian) @ (y.var(axis=0) - x.var(axis=0))),
    }


def total_variance(x: np.ndarray) -> float:
    """Σ of the pixels' variances over uint8 images (N, C, H, W), of pixels in [0, 1]."""
    return round(float((x.astype(np.float32) / 255.0).var(axis=0, dtype=np.float64).sum()), DIGITS)


def analysis(
    model: "Glow",
    inside: np.ndarray,
    known: pd.DataFrame,
    outside: dict[str, np.ndarray],
    known_outside: dict[str, pd.DataFrame],
) -> dict[str, Any]:
    """The predicted gaps of a flow against the measured ones.

    Arguments:
        model: the flow.
        inside: the in-set's test images, uint8 (N, C, H, W).
        known: statistics of those that were scored: `log_prob`, `ladj`, `ladj_preprocess` in nats.
        outside, known_outside: the same for each out-set, by name.

    Returns, in nats, for each out-set the measured gap of mean log p, its share that the log-determinant has, and the predicted
    gaps; total variances of the sets; the share of the Hessian's diagonal that is negative; the deviation of the log-determinant.
    """
    at = expand(model, inside.reshape(len(inside), -1).mean(axis=0))
    volume = known[["ladj", "ladj_preprocess"]].sum(axis=1)
    gaps = {}
    for out, table in known_outside.items():
        gap = {
            "measured": table["log_prob"].mean() - known["log_prob"].mean(),
            "ladj": table[["ladj", "ladj_preprocess"]].sum(axis=1).mean() - volume.mean(),
            **predicted_gap(at, inside, outside[out]),
        }
        gaps[out] = {name: round(float(value), DIGITS) for name, value in gap.items()}
    return {
        "negative_diagonal": round(float((np.diag(at.hessian) < 0).mean()), DIGITS),
        "total_variance": {"test": total_variance(inside), **{out: total_variance(x) for out, x in outside.items()}},
        "std_of_ladj": round(float(volume.std()), DIGITS),
        "gaps": gaps,
    }
