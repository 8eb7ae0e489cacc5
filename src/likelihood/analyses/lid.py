"""Local intrinsic dimension: in how many directions could a flow have drawn an image otherwise?

    LID(x) = #{ i : log σ_i > t },     σ_i the singular values of ∂G/∂z at z = G^-1(x), in grey levels

with G the map from standard normal latents to images [1, 2]. Where a flow can move an image in few directions only, there is
little probability mass around it, however high its density: this is how simple images are likely and yet never drawn [1].

What is computed is the Jacobian J of G^-1 at the dequantised image, whose singular values are 1 / σ_i: copies of the image go
through the flow once, and every pass back takes another row of J from each. That is faster here than forward mode, which
multiplies the tangents of all weights, zeros, too.

t is where the mean LID of in-set images is their dimension by local PCA [1]: the mean number of eigenvalues of the covariance of
an image's NEIGHBOURS nearest training images that are above SHARE of the largest one [3]. No out-set has a part in it. The tables
hold percentiles of log σ_i, which give the LID at any other t to within one percent of the dimensions.

Our deviations: t is fitted on validation images, where [1] takes training images; [2] gives SHARE but no number of neighbours, so
NEIGHBOURS is ours; and G includes the preprocessing, whose derivative is small at pixels near black and white: [2] leaves it out.

References:
    [1] A geometric explanation of the likelihood OOD detection paradox (Kamkari et al., 2024), https://arxiv.org/abs/2403.18910
    [2] Its code, https://github.com/layer6ai-labs/dgm_ood_detection, lid/flows and ood/intrinsic_dimension
    [3] An algorithm for finding intrinsic dimensionality of data (Fukunaga & Olsen, 1971)
"""

import math

import numpy as np
import pandas as pd
import torch
from torch import Tensor

from likelihood.models.glow.model import Glow
from likelihood.models.shared.base import image_generator

IMAGES = 200  # of a set
CORE_BATCH = 4  # images that a core takes at a time; a grey one takes it some 3 s, a colour one over a minute
ROWS = 28  # of the Jacobian at a time
NEIGHBOURS, SHARE = 1000, 0.001
TOGETHER = 5000  # training images whose distances are computed at a time
SMALLEST = 1e-30  # a squared singular value


def jacobian(model: Glow, x: Tensor) -> Tensor:
    """J of a uint8 image x (C, H, W), its derivatives by grey levels: (D, D), a row a latent; the columns are by H, W, C."""
    weight = next(model.parameters())
    noise = model.noise(1, image_generator(x.cpu().numpy())).to(weight)
    with torch.no_grad():
        v, _ = model.dequantize(x[None].to(weight.device), noise)
    copies = v.repeat(ROWS, 1, 1, 1).requires_grad_()
    with torch.enable_grad():
        z = torch.cat([latents.flatten(1) for latents in model.flow(copies)[0]], dim=1)  # (ROWS, D)
    every = torch.eye(ROWS * math.ceil(model.dims / ROWS), model.dims, device=z.device, dtype=z.dtype)  # the last ones are zero
    parts = [torch.autograd.grad(z, copies, picked, retain_graph=True)[0].flatten(1) for picked in every.split(ROWS)]
    return torch.cat(parts)[: model.dims] / model.levels


def measure(model: Glow, x: Tensor) -> dict[str, Tensor]:
    """log σ_i of uint8 images x (B, C, H, W), `0`, the smallest, to `D - 1`: (B,) each; no image's depend on the others'."""
    squares = []
    for image in x:
        found = jacobian(model, image).double()
        squares.append(torch.linalg.eigvalsh(found @ found.T))  # 1 / σ², rising
    log_sigma = -0.5 * torch.stack(squares).clamp(min=SMALLEST).log().flip(1)
    return {str(k): column for k, column in enumerate(log_sigma.T)}


def local_dimension(x: Tensor, train: Tensor) -> float:
    """The mean dimension by local PCA of uint8 images x (N, C, H, W) among training images (M, C, H, W)."""
    flat = x.flatten(1).float()
    distance = torch.cat([torch.cdist(flat, part.flatten(1).float()) for part in train.split(TOGETHER)], dim=1)
    found = []
    for nearest in distance.topk(min(NEIGHBOURS, len(train)), largest=False).indices:
        near = train[nearest].flatten(1).double()
        near -= near.mean(dim=0)
        variances = torch.linalg.eigvalsh(near @ near.T if len(near) < near.shape[1] else near.T @ near)  # but for a factor
        found.append(int((variances > SHARE * variances[-1]).sum()))
    return float(np.mean(found))


def threshold(log_sigma: np.ndarray, dimension: float) -> float:
    """t for which the mean LID of images with these log σ_i, (N, D), is that dimension, from 0 to D."""
    return float(np.quantile(log_sigma, 1.0 - dimension / log_sigma.shape[1], method="lower"))


def table(log_sigma: np.ndarray, t: float) -> pd.DataFrame:
    """`lid`, and `log_sigma_0` to `log_sigma_100`, the percentiles, of images with these log σ_i, (N, D)."""
    percentiles = np.percentile(log_sigma, np.arange(101), axis=1).astype(np.float32)
    return pd.DataFrame({"lid": (log_sigma > t).sum(axis=1), **{f"log_sigma_{k}": row for k, row in enumerate(percentiles)}})
