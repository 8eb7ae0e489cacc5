"""What others read of a model: the terms of log p with their places, distributions of pixels, and gradients of the image."""

import math

import numpy as np
import pytest
import torch

from likelihood.models.shared.base import PixelLikelihoodModel, total
from likelihood.models.shared.pixels import cdf, entropy, mean_and_variance
from tests.builders import IDS, VARIANTS, build, images

SHAPES = [(1, 8, 8), (3, 4, 8)]
every_model = pytest.mark.parametrize(("name", "arguments"), VARIANTS, ids=IDS)
every_shape = pytest.mark.parametrize("shape", SHAPES, ids=["grey", "colour"])
PIXEL_MODELS = [
    (name, arguments) for name, arguments in VARIANTS if isinstance(build(name, arguments, (1, 4, 4)), PixelLikelihoodModel)
]
every_pixel_model = pytest.mark.parametrize(
    ("name", "arguments"), PIXEL_MODELS, ids=[i for i, variant in zip(IDS, VARIANTS, strict=True) if variant in PIXEL_MODELS]
)


@every_shape
@every_model
def test_the_terms_have_places_and_add_up_to_the_weight_of_a_draw(name, arguments, shape):
    model, x = build(name, arguments, shape), images(3, shape)
    noise = model.noise(3, np.random.default_rng(0))
    terms = model.terms(x, noise)
    for key, term in terms.items():
        assert len(term) == 3, key
        assert term.dim() in (1, 3), key
        if term.dim() == 3:
            assert shape[1] % term.shape[1] == shape[2] % term.shape[2] == 0, key
    torch.testing.assert_close(sum(total(term) for term in terms.values()), model(x, noise)["log_weight"])
    assert any(term.dim() == 3 for term in terms.values())


@every_shape
@every_model
def test_the_weight_has_a_gradient_with_respect_to_the_image(name, arguments, shape):
    model, x = build(name, arguments, shape), images(3, shape).double()
    noise = model.noise(3, np.random.default_rng(0))
    torch.testing.assert_close(model(x, noise)["log_weight"], model(x.to(torch.uint8), noise)["log_weight"])
    if getattr(model, "unit", "") == "binary_bits_per_dim":
        return  # the binarised image does not move with the grey one
    x.requires_grad_()
    (gradient,) = torch.autograd.grad(model(x, noise)["log_weight"].sum(), x)
    assert torch.isfinite(gradient).all()
    assert (gradient != 0.0).float().mean() > 0.9


@every_shape
@every_pixel_model
def test_the_distribution_of_every_pixel_has_the_probability_of_the_one_that_is_there(name, arguments, shape):
    model, x = build(name, arguments, shape), images(2, shape)
    noise = model.noise(2, np.random.default_rng(0))
    every = model.levels_log_prob(x, noise)
    levels = every.shape[-1]
    assert every.shape == (2, *shape, levels)
    torch.testing.assert_close(every.exp().sum(dim=-1), torch.ones(2, *shape))
    seen = x.long() * levels // 256
    there = every.gather(-1, seen[..., None])[..., 0].sum(dim=(1, 2, 3))
    terms = model.terms(x, noise)
    own = [total(term) for key, term in terms.items() if key == "reconstruction" or key.startswith("channel_")]
    torch.testing.assert_close(there, sum(own))


@pytest.mark.slow
@every_pixel_model
def test_residuals_of_samples_are_uniform(name, arguments):
    """The distribution function at a drawn pixel, at random within its step, is uniform: whatever the pixels before or z were."""
    shape, n = (3, 2, 2), 1500
    model = build(name, arguments, shape, levels=16)
    generator = torch.Generator().manual_seed(0)
    with torch.no_grad():
        if hasattr(model, "prior"):  # given z
            h = model.decode(model.prior(n, generator))
            x = model.pixels.sample(h, generator)
            every = model.pixels.levels_log_prob(x, h)
        else:
            x = model.sample(n, generator)
            every = model.levels_log_prob(x, model.noise(n, None))
    level = (x.long() * every.shape[-1] // model.levels)[..., None]
    upper, p = cdf(every).gather(-1, level), every.exp().gather(-1, level)
    u = (upper - torch.rand(upper.shape, generator=generator) * p).flatten(1)  # (n, values)
    for value in u.T:
        share = torch.histc(value, bins=8, min=0.0, max=1.0) / n
        torch.testing.assert_close(share, torch.full((8,), 1 / 8), atol=0.04, rtol=0.0)
    correlation = torch.corrcoef(u.T)
    assert (correlation - torch.eye(len(correlation))).abs().max() < 0.11


def test_latents_of_samples_of_a_flow_are_standard_normal():
    model = build("glow", {**dict(VARIANTS[[n for n, _ in VARIANTS].index("glow")][1]), "scales": 2}, (1, 8, 8))
    v = model.sample_continuous(500, torch.Generator().manual_seed(0)).permute(0, 2, 3, 1)
    latents, terms = model.flow(v.contiguous())
    assert [tuple(z.shape[1:]) for z in latents] == [(4, 4, 2), (2, 2, 8)]
    assert {f"log_pz_{k}" for k in range(2)} | {f"ladj_{k}" for k in range(2)} | {"ladj_preprocess"} == set(terms)
    z = torch.cat([z.flatten(1) for z in latents], dim=1)
    assert abs(z.mean().item()) < 0.02
    assert z.std().item() == pytest.approx(1.0, abs=0.02)


def test_entropy_mean_and_variance_of_known_distributions():
    uniform = torch.full((256,), -math.log(256))
    certain = torch.full((256,), -1e3)
    certain[7] = 0.0
    every = torch.stack([uniform, certain])
    torch.testing.assert_close(entropy(every), torch.tensor([math.log(256), 0.0]))
    mean, variance = mean_and_variance(every)
    torch.testing.assert_close(mean, torch.tensor([127.5, 7.0]))
    torch.testing.assert_close(variance, torch.tensor([(256**2 - 1) / 12, 0.0]))
    torch.testing.assert_close(cdf(uniform), torch.arange(1, 257) / 256)


@every_shape
@pytest.mark.parametrize("likelihood", ["logistic", "mixture", "bernoulli"])
def test_a_vae_s_picture_is_the_mean_of_the_pixels_given_its_latents(likelihood, shape):
    arguments = {"network": "dense", "hidden": 12, "latent": 3, "likelihood": likelihood}
    model = build("vae", arguments, shape)
    with torch.no_grad():
        for parameter in model.decoder.head.parameters():
            parameter.mul_(0.1)  # away from the ends of the grey scale, which cut a mean
        if likelihood == "logistic":
            model.decoder.head.bias.view(2, -1)[1].fill_(-3.0)  # and narrow
        picture = model.picture(2, torch.Generator().manual_seed(0))
        h = model.decode(model.prior(2, torch.Generator().manual_seed(0)))
        drawn = model.pixels.sample(h[None].expand(500, *h.shape), torch.Generator().manual_seed(1)).double().mean(dim=0)
    assert picture.shape == (2, *shape)
    assert picture.dtype == torch.uint8
    assert (picture.permute(0, 2, 3, 1) - drawn).abs().mean() < 12.0
