"""Residuals: uniform and white for what a model draws itself; the fast distribution of a mixture; invariance; every model.

And what else a model says of an image, worked out another way.
"""

import math

import numpy as np
import pytest
import torch
from scipy.stats import kstest
from torch.distributions import Normal

from likelihood.analyses import residuals
from likelihood.models.glow.split import MAX_LOG_STD
from likelihood.models.shared.base import PixelLikelihoodModel, image_generator
from tests.builders import IDS, VARIANTS, build, images

SHAPES = [(1, 8, 8), (3, 4, 8)]
every_model = pytest.mark.parametrize(("name", "arguments"), VARIANTS, ids=IDS)
every_shape = pytest.mark.parametrize("shape", SHAPES, ids=["grey", "colour"])
VAES = [arguments for name, arguments in VARIANTS if name == "vae"]


@every_shape
@every_model
def test_every_model_has_finite_numbers_that_do_not_depend_on_the_other_images(name, arguments, shape):
    model, x = build(name, arguments, shape), images(11, shape)  # more than go together
    found = residuals.measure(model, x)
    assert ("input_gradient" in found) == (model.unit == "bits_per_dim")  # binarised images have no gradient
    if isinstance(model, PixelLikelihoodModel):
        assert {"residual_ks", "residual_white", "expected", "surprise", "spread"} <= set(found)
    order = torch.randperm(11, generator=torch.Generator().manual_seed(0))
    again = residuals.measure(model, x[order])
    for key, values in found.items():
        assert values.shape == (11,), key
        assert torch.isfinite(values).all(), key
        torch.testing.assert_close(again[key], values[order], rtol=1e-4, atol=1e-4, msg=key)


@every_shape
@every_model
def test_distributions_are_those_of_the_model(name, arguments, shape):
    """Of a mixture they take another way than levels_log_prob, which is slower and exact."""
    model, x = build(name, arguments, shape), images(3, shape)
    if not isinstance(model, PixelLikelihoodModel):
        pytest.skip("the model has no distribution of a pixel")
    noise = model.noise(3, np.random.default_rng(0))
    with torch.no_grad():
        every, nats = residuals.distributions(model, x, noise)
        expected = model.levels_log_prob(x, noise)
    torch.testing.assert_close(every, expected.exp(), atol=2e-6, rtol=0.0)
    level = x.long() * expected.shape[-1] // model.levels
    torch.testing.assert_close(nats, expected.gather(-1, level[..., None])[..., 0], atol=1e-4, rtol=1e-4)


@pytest.mark.slow
@every_model
def test_what_an_exact_model_draws_is_as_surprising_as_it_expects_and_leaves_noise(name, arguments):
    if name != "pixelcnn":
        pytest.skip("only of an exact model of pixels are the residuals independent")
    model = build(name, arguments, (1, 6, 6))
    x = model.sample(600, torch.Generator().manual_seed(0))
    found = residuals.measure(model, x)
    assert abs(found["surprise"].mean().item()) < 0.15
    assert found["surprise"].std().item() == pytest.approx(1.0, abs=0.12)
    assert abs(found["residual_mean"].mean().item()) < 0.03
    assert found["residual_variance"].mean().item() == pytest.approx(1.0, abs=0.04)
    assert found["residual_white"].mean().item() == pytest.approx(len(residuals.NEIGHBOURS), abs=0.5)  # of chi-squared's mean


def test_the_numbers_of_residuals_are_those_of_scipy_and_of_the_definition():
    r = torch.from_numpy(np.random.RandomState(0).normal(0.3, 1.2, (4, 2, 5, 6)))
    found = residuals.of_residuals([r])
    for k in range(4):
        flat = r[k].flatten().numpy()
        assert found["residual_ks"][k].item() == pytest.approx(kstest(flat, "norm").statistic)
        assert found["residual_mean"][k].item() == pytest.approx(flat.mean())
        assert found["residual_variance"][k].item() == pytest.approx(flat.var(ddof=1))
        pairs = {
            (0, 1): (r[k, :, :, :-1], r[k, :, :, 1:]),
            (1, 0): (r[k, :, :-1], r[k, :, 1:]),
            (1, 1): (r[k, :, :-1, :-1], r[k, :, 1:, 1:]),
            (1, -1): (r[k, :, :-1, 1:], r[k, :, 1:, :-1]),
        }
        white = sum(a.numel() * np.corrcoef(a.flatten(), b.flatten())[0, 1] ** 2 for a, b in pairs.values())
        assert found["residual_white"][k].item() == pytest.approx(white)


def test_residuals_of_a_few_places_have_no_neighbours():
    assert residuals.white(torch.randn(3, 8, 1, 1)).tolist() == [0.0, 0.0, 0.0]
    assert (residuals.white(torch.randn(3, 8, 1, 4)) > 0.0).all()


@every_model
def test_the_gradient_is_that_of_one_image(name, arguments):
    model, x = build(name, arguments, (1, 8, 8)), images(3, (1, 8, 8))
    noise = model.noise(3, np.random.default_rng(0))
    found = residuals.input_gradient(model, x, noise)
    for k in range(3):
        image = x[k : k + 1].float().requires_grad_()
        model(image, noise[k : k + 1])["log_weight"].sum().backward()
        square = 0.0 if image.grad is None else image.grad.double().square().sum().item()
        assert found[k].item() == pytest.approx(np.log(max(square, 1e-30)), abs=1e-4)


@pytest.mark.parametrize("likelihood", ["logistic", "mixture", "bernoulli"])
def test_nothing_is_more_probable_than_a_perfect_reconstruction(likelihood):
    arguments = {"network": "dense", "hidden": 12, "latent": 3, "likelihood": likelihood}
    model, x = build("vae", arguments, (1, 8, 8)), images(5, (1, 8, 8))
    x[0] = 255
    x[1] = 0  # of which a distribution whose mean is beyond the scale can be certain
    found = residuals.measure(model, x)
    assert found["perfect"][:2].tolist() == [0.0, 0.0]
    with torch.no_grad():
        _, nats = residuals.distributions(model, x, torch.zeros(5, 3))
    assert (nats.flatten(1).sum(dim=1) <= found["perfect"] + 1e-3).all()
    mean, logvar = model.encode(x)
    torch.testing.assert_close(found["mean_norm"], mean.norm(dim=1))
    torch.testing.assert_close(found["std_norm"], (0.5 * logvar).exp().norm(dim=1))


@pytest.mark.parametrize("scales", [1, 3])
@pytest.mark.parametrize("coupling", ["affine", "additive"])
def test_the_last_level_of_a_flow_is_the_density_of_what_reaches_it(coupling, scales):
    arguments = {"steps": 2, "hidden": 8, "preprocessing": "logit", "dequantization": 2}
    model, x = build("glow", {**arguments, "scales": scales, "coupling": coupling}, (1, 8, 8)), images(3, (1, 8, 8))
    found = residuals.measure(model, x)
    last = scales - 1
    torch.testing.assert_close(found["last_level"], found[f"log_pz_{last}"] + found[f"ladj_{last}"])
    for k in range(3):
        with torch.no_grad():
            noise = model.noise(1, image_generator(x[k].numpy()))
            h = model.preprocess(model.dequantize(x[k : k + 1], noise)[0])[0]
            for level, split in zip(model.scales[:-1], model.splits, strict=True):
                h = split(level(h)[0])[0]
            z = model.scales[-1](h)[0]
        jacobian = torch.autograd.functional.jacobian(lambda h: model.scales[-1](h)[0], h).reshape(h.numel(), -1)
        log_std = MAX_LOG_STD * torch.tanh(model.prior.log_std / MAX_LOG_STD)
        density = Normal(model.prior.mean, log_std.exp()).log_prob(z).sum() + torch.linalg.slogdet(jacobian).logabsdet
        assert found["last_level"][k].item() == pytest.approx(density.item())


@pytest.mark.slow
@every_shape
@every_model
def test_the_spread_is_the_sum_of_the_variances_of_the_grey_levels(name, arguments, shape):
    model, x = build(name, arguments, shape), images(2, shape)
    if not isinstance(model, PixelLikelihoodModel) or model.unit != "bits_per_dim":
        pytest.skip("the model has no distribution of a grey level")
    found = residuals.measure(model, x)
    with torch.no_grad():  # without noise: given the mean of q(z | x)
        p = model.levels_log_prob(x, torch.zeros_like(model.noise(2, np.random.default_rng(0)))).exp().numpy()
    levels = np.arange(256.0)
    variance = (p * levels**2).sum(axis=-1) - (p * levels).sum(axis=-1) ** 2
    np.testing.assert_allclose(found["spread"], variance.reshape(2, -1).sum(axis=1), rtol=1e-4)


@every_shape
@pytest.mark.parametrize("arguments", VAES, ids=["-".join(map(str, arguments.values())) for arguments in VAES])
def test_the_path_of_a_vae_is_the_size_of_its_code_and_the_distance_of_its_picture(arguments, shape):
    model, x = build("vae", arguments, shape), images(3, shape)
    found = residuals.measure(model, x)
    for k in range(3):
        with torch.no_grad():
            mean, logvar = model.encode(x[k : k + 1])
            picture = model.pixels.mean(model.decode(mean))[0].permute(2, 0, 1)
        seen = x[k].long() if model.unit == "bits_per_dim" else 255 * (x[k] >= 128).long()
        assert found["error"][k].item() == pytest.approx(math.sqrt((seen - picture.long()).square().sum()))
        assert found["mean_norm"][k].item() == pytest.approx(math.sqrt((mean**2).sum()))
        assert found["std_norm"][k].item() == pytest.approx(math.sqrt(torch.exp(logvar).sum()))
