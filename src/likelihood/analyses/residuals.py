"""What is left of an image when a model has explained it, and what else a model says of one.

A model that explains an image turns it into residuals r_i, independent and standard normal: of a flow its latents; of a model of
pixels the quantiles of the probability integral transform [1], at random within the step of a discrete value,

    u_i = F(x_i - 1) + v_i P(x_i),    v_i ~ U(0, 1),    r_i = Φ^-1(u_i)

with F and P of a value given those before it, or given z, the mean of q(z | x). Per image, D values:

    residual_ks                  sup_t | #{u_i <= t} / D - t |,  u_i = Φ(r_i): the distance of Kolmogorov and Smirnov [2]
    residual_mean, _variance     of all r_i
    residual_white               Σ n c², over neighbours to the right, below and on both diagonals, and over the latents of every
                                 level; c is their correlation and n their number: Box and Pierce's test of white noise [3]
    input_gradient               log ‖∂ log w(x, e) / ∂x‖², of one draw, x in grey levels [4]

of models of pixels, H_i the entropy and V_i the variance of -log P given those before,

    expected                     Σ H_i: how surprised the model expects to be, in nats
    surprise                     (-Σ log P(x_i) - Σ H_i) / sqrt(Σ V_i): how many standard deviations more it is
    spread                       Σ of the variances of the value, in grey levels²

of a flow `log_pz_<k>` and `ladj_<k>` of every level, in nats, and their sum `last_level` at the last [5]; and of a VAE, with x'
the mean of P(x | z),

    error, mean_norm, std_norm   ‖x - x'‖ in grey levels, and the norms of mean and standard deviation of q(z | x) [6]
    perfect                      Σ_i max log P(x_i), over all parameters that a pixel's distribution can have, in nats [7]

Our deviations: residuals of pixels take the place of a flow's in [2, 3]; distributions of all levels of a mixture come from its
distribution function, which is 20 times as fast as levels_log_prob and as exact as sums over levels ask for.

References:
    [1] Remarks on a multivariate transformation (Rosenblatt, 1952)
    [2] Revisiting flow generative models for out-of-distribution detection (Jiang et al., 2022),
        https://openreview.net/forum?id=9sW_kx0Ngmg
    [3] Further analysis of outlier detection with deep generative models (Wang et al., 2020), https://arxiv.org/abs/2010.13064
    [4] Your classifier is secretly an energy based model and you should treat it like one (Grathwohl et al., 2020),
        https://arxiv.org/abs/1912.03263, section 5.3.2
    [5] Understanding anomaly detection with deep invertible networks through hierarchies of distributions and features
        (Schirrmeister et al., 2020), https://arxiv.org/abs/2006.10848
    [6] Rethinking test-time likelihood: the likelihood path principle and its application to OOD detection (Huang et al., 2024),
        https://arxiv.org/abs/2401.04933
    [7] Robust outlier detection by de-biasing VAE likelihoods (Chauhan et al., 2022), https://arxiv.org/abs/2108.08760
"""

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional as F

from likelihood.models.glow.model import Glow
from likelihood.models.shared.base import LikelihoodModel, PixelLikelihoodModel, image_generator, total
from likelihood.models.shared.pixels import (
    LOG_SCALE_LIMIT,
    MixtureOfLogistics,
    entropy,
    logistic_log_prob,
    mean_and_variance,
    to_unit_interval,
)
from likelihood.models.vae.model import VAE

SMALLEST = 1e-6  # a quantile; the normal that belongs to it is -4.8
TINY = 1e-30  # a squared norm
RARE = 1e-12  # a probability; what is rarer adds nothing to an entropy
IMAGES, PIXELS = 8, 1024  # at a time: probabilities of all levels are large
NEIGHBOURS = ((0, 1), (1, 0), (1, 1), (1, -1))  # rows down, columns to the right


def measure(model: LikelihoodModel, x: Tensor) -> dict[str, Tensor]:
    """All of the above of uint8 images x (B, C, H, W) that the model has, each (B,); no image's depends on the others'."""
    parts = [_measure(model, part) for part in x.split(IMAGES)]
    return {name: torch.cat([part[name] for part in parts]) for name in parts[0]}


def _measure(model: LikelihoodModel, x: Tensor) -> dict[str, Tensor]:
    device = next(model.parameters()).device
    generators = [image_generator(image) for image in x.cpu().numpy()]
    noise = torch.cat([model.noise(1, generator) for generator in generators]).to(device)
    x = x.to(device)
    found = {} if model.unit != "bits_per_dim" else {"input_gradient": input_gradient(model, x, noise)}
    with torch.no_grad():
        if isinstance(model, Glow):
            latents, terms = model.flow(model.dequantize(x, noise)[0])
            last = len(latents) - 1
            found |= {name: total(term) for name, term in terms.items() if name != "ladj_preprocess"}
            found["last_level"] = found[f"log_pz_{last}"] + found[f"ladj_{last}"]
            found |= of_residuals([z.permute(0, 3, 1, 2) for z in latents])
        elif isinstance(model, PixelLikelihoodModel):
            every, nats = distributions(model, x, torch.zeros_like(noise))
            within = torch.from_numpy(np.stack([generator.random(model.shape) for generator in generators])).to(nats)
            found |= of_pixels(every, nats, x.long() * every.shape[-1] // model.levels, within)
        if isinstance(model, VAE):
            found |= of_latents(model, x)
    return found


def input_gradient(model: LikelihoodModel, x: Tensor, noise: Tensor) -> Tensor:
    """log ‖∂ log w(x, e) / ∂x‖² of images (B, C, H, W) and one draw of each one's noise: (B,)."""
    x = x.to(noise.dtype).requires_grad_()
    with torch.enable_grad():
        (gradient,) = torch.autograd.grad(model(x, noise)["log_weight"].sum(), x, materialize_grads=True)
    return total(gradient.square()).clamp(min=TINY).log()


def of_residuals(groups: list[Tensor]) -> dict[str, Tensor]:
    """The numbers of residuals in groups (B, c, h, w), which are standard normal of the in-set: (B,) each."""
    every = torch.cat([group.flatten(1) for group in groups], dim=1).double()  # (B, D)
    count = every.shape[1]
    u = torch.special.ndtr(every).sort(dim=1).values
    steps = torch.arange(count + 1, device=u.device) / count
    return {
        "residual_ks": torch.maximum(steps[1:] - u, u - steps[:-1]).amax(dim=1),
        "residual_mean": every.mean(dim=1),
        "residual_variance": every.var(dim=1),
        "residual_white": sum(white(group.double()) for group in groups),
    }


def white(r: Tensor) -> Tensor:
    """Box and Pierce's statistic of residuals (B, c, h, w), over their neighbours in the image: (B,)."""
    height, width = r.shape[2:]
    found = r.new_zeros(len(r))
    for down, right in NEIGHBOURS:
        if down >= height or abs(right) >= width:
            continue
        columns = width - abs(right)
        first = r[:, :, : height - down].narrow(3, max(0, -right), columns).flatten(1)
        second = r[:, :, down:].narrow(3, max(0, right), columns).flatten(1)
        first, second = first - first.mean(dim=1, keepdim=True), second - second.mean(dim=1, keepdim=True)
        norm = (first.square().sum(dim=1) * second.square().sum(dim=1)).sqrt().clamp(min=RARE)
        found = found + first.shape[1] * ((first * second).sum(dim=1) / norm).square()
    return found


def distributions(model: PixelLikelihoodModel, x: Tensor, noise: Tensor) -> tuple[Tensor, Tensor]:
    """P of every level of each value of images x (B, C, H, W), (B, C, H, W, levels), and log P of the one that is there, in nats.

    Given the values before or, of a VAE, the z of that noise.
    """
    if isinstance(getattr(model, "pixels", None), MixtureOfLogistics):
        levels = x.permute(0, 2, 3, 1)
        h = model.decode(model.reparameterize(*model.encode(x), noise)) if isinstance(model, VAE) else model.features(levels)
        flat, rows = levels.reshape(-1, model.shape[0]), h.flatten(0, 2)
        parts = [mixture_levels(model.pixels, *part) for part in zip(flat.split(PIXELS), rows.split(PIXELS), strict=True)]
        every = torch.cat(parts).view(*levels.shape, model.levels).permute(0, 3, 1, 2, 4)
        return every, model.pixels.log_prob(levels, h).permute(0, 3, 1, 2)
    log_prob = model.levels_log_prob(x, noise)
    level = x.long() * log_prob.shape[-1] // model.levels
    return log_prob.exp(), log_prob.gather(-1, level[..., None])[..., 0]


def mixture_levels(pixels: MixtureOfLogistics, x: Tensor, h: Tensor) -> Tensor:
    """P of every level of each colour of levels x (n, C) given those before it, (n, C, levels); h is (n, features).

    Differences, exact to 1e-6, of the distribution function at the ends of the cells; the colours before weigh the components.
    """
    weight, mean, log_scale, coefficients = pixels.parameters_of(h)
    joint, value = pixels.joint(x, h, pixels.colors), to_unit_interval(x, pixels.levels)[..., None]
    ends = to_unit_interval(torch.arange(pixels.levels - 1, device=h.device), pixels.levels) + 1.0 / (pixels.levels - 1)
    found = []
    for color in range(pixels.colors):
        share = torch.softmax(joint[:, color - 1] if color else weight[:, 0], dim=-1)
        center = pixels.shifted(mean, coefficients, color, value)
        inverse = torch.exp(-log_scale[:, color].clamp(-LOG_SCALE_LIMIT, LOG_SCALE_LIMIT))
        below = torch.sigmoid((ends[:, None] - center[:, None]) * inverse[:, None]) @ share[..., None]  # (n, levels - 1, 1)
        found.append(torch.diff(F.pad(F.pad(below[..., 0], (1, 0)), (0, 1), value=1.0), dim=-1).clamp(min=0.0))
    return torch.stack(found, dim=1)


def of_pixels(every: Tensor, nats: Tensor, level: Tensor, within: Tensor) -> dict[str, Tensor]:
    """The numbers of a model of pixels, (B,) each.

    Arguments:
        every: P of every level of each value, (B, C, H, W, levels).
        nats: log P of the one that is there, (B, C, H, W).
        level: which one that is.
        within: v, uniform in [0, 1).
    """
    grid = torch.arange(every.shape[-1], device=every.device)
    under = torch.where(grid < level[..., None], every, 0.0).sum(dim=-1)
    u = under + within * nats.exp()
    log_prob = every.clamp(min=RARE).log()
    surprise = entropy(log_prob)
    variance = (every * log_prob.square()).sum(dim=-1) - surprise.square()
    expected, uncertainty = total(surprise.double()), total(variance.double()).clamp(min=RARE)
    return {
        "expected": expected,
        "surprise": (-total(nats.double()) - expected) / uncertainty.sqrt(),
        "spread": total(mean_and_variance(log_prob)[1].double()),
        **of_residuals([torch.special.ndtri(u.clamp(SMALLEST, 1.0 - SMALLEST))]),
    }


def of_latents(model: VAE, x: Tensor) -> dict[str, Tensor]:
    """The numbers of a VAE's latents and of its reconstruction, (B,) each."""
    mean, logvar = model.encode(x)
    picture = model.pixels.mean(model.decode(mean)).permute(0, 3, 1, 2)
    grey = model.unit == "bits_per_dim"
    seen = x if grey else model.pixels.to_input(x) * (model.levels - 1)
    found = {
        "error": total((seen.float() - picture.float()).square()).sqrt(),
        "mean_norm": total(mean.square()).sqrt(),
        "std_norm": total(logvar.exp()).sqrt(),
    }
    narrow = torch.tensor(-LOG_SCALE_LIMIT, device=x.device)
    best = logistic_log_prob(x, to_unit_interval(x, model.levels), narrow, model.levels)
    certain = (x == 0) | (x == model.levels - 1) if grey else torch.ones_like(x, dtype=torch.bool)  # with a mean beyond the scale
    return {**found, "perfect": total(torch.where(certain, 0.0, best))}
