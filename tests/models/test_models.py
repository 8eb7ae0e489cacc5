"""Laws that every model keeps, for grey and colour images; models are found by discovery."""

import ast
import math
import os
import subprocess
import sys

import numpy as np
import pytest
import torch

from likelihood.common.errors import InputError
from likelihood.common.units import bits_per_dim
from likelihood.models.shared import checkpoint
from likelihood.models.shared.base import image_generator
from tests.builders import ARGUMENTS, IDS, NAMES, VARIANTS, build, images
from tests.helpers import ROOT

SHAPES = [(1, 8, 8), (3, 4, 8)]
every_model = pytest.mark.parametrize(("name", "arguments"), VARIANTS, ids=IDS)
every_shape = pytest.mark.parametrize("shape", SHAPES, ids=["grey", "colour"])


def test_every_model_of_the_folder_is_under_test():
    assert set(NAMES) == set(ARGUMENTS) >= {"vae", "pixelcnn", "glow"}
    assert all(ARGUMENTS.values())


@every_shape
@every_model
def test_log_prob_is_one_finite_negative_number_an_image(name, arguments, shape):
    model = build(name, arguments, shape)
    log_prob = model.log_prob(images(5, shape), draws=3)
    assert log_prob.shape == (5,)
    assert torch.isfinite(log_prob).all()
    assert (log_prob < 0).all()


@every_shape
@every_model
def test_log_prob_of_the_strangest_images_is_finite_in_single_precision(name, arguments, shape):
    torch.set_default_dtype(torch.float32)
    model = build(name, arguments, shape)
    for parameter in model.parameters():
        parameter.data *= 1.5  # an untidy model: far from its training images a network's outputs are large
    grey = torch.tensor([0, 1, 127, 254, 255], dtype=torch.uint8).view(-1, 1, 1, 1).expand(-1, *shape)
    checkered = images(4, shape) // 128 * 255
    assert torch.isfinite(model.log_prob(torch.cat([grey, checkered]), draws=2)).all()


@every_shape
@every_model
def test_samples_are_images_and_follow_the_generator(name, arguments, shape):
    model = build(name, arguments, shape)
    first, again, other = (model.sample(3, torch.Generator().manual_seed(seed)) for seed in (0, 0, 1))
    assert first.shape == (3, *shape)
    assert first.dtype == torch.uint8
    assert torch.equal(first, again)
    assert not torch.equal(first, other)


@every_shape
@every_model
def test_log_prob_does_not_depend_on_batch_or_order(name, arguments, shape):
    model, x = build(name, arguments, shape), images(6, shape)
    together = model.log_prob(x, draws=2)
    alone = torch.cat([model.log_prob(x[i : i + 1], draws=2) for i in range(6)])
    order = torch.tensor([3, 1, 5, 0, 2, 4])
    torch.testing.assert_close(alone, together, rtol=1e-10, atol=1e-9)
    torch.testing.assert_close(model.log_prob(x[order], draws=2), together[order], rtol=1e-10, atol=1e-9)


@pytest.mark.slow
def test_log_prob_does_not_depend_on_the_process():
    code = """
import torch
from tests.builders import VARIANTS, build, images
torch.set_default_dtype(torch.float64)
for variant in VARIANTS:
    print([value.hex() for value in build(*variant, (1, 8, 8)).log_prob(images(3, (1, 8, 8)), draws=2).tolist()])
"""
    environment = {**os.environ, "PYTHONPATH": f"{ROOT / 'src'}{os.pathsep}{ROOT}", "PYTHONHASHSEED": "5"}
    run = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, env=environment, check=True)
    for variant, line in zip(VARIANTS, run.stdout.splitlines(), strict=True):
        log_prob = build(*variant, (1, 8, 8)).log_prob(images(3, (1, 8, 8)), draws=2)
        theirs = torch.tensor([float.fromhex(value) for value in ast.literal_eval(line)])
        torch.testing.assert_close(theirs, log_prob, rtol=1e-12, atol=0.0)


@every_model
def test_draws_are_combined_by_log_mean_exp(name, arguments):
    model, x = build(name, arguments, SHAPES[0]), images(6, SHAPES[0])
    noise = torch.stack([model.noise(5, image_generator(image)) for image in x.numpy()], dim=1)  # (5, 6, ...)
    each = torch.stack([model(x, noise[k])["log_weight"] for k in range(5)])
    torch.testing.assert_close(model.log_prob(x, draws=5), torch.logsumexp(each, dim=0) - math.log(5))
    torch.testing.assert_close(model.log_prob(x, draws=2), torch.logsumexp(each[:2], dim=0) - math.log(2))
    assert model.lower_bound == bool((each.std(dim=0) > 0).all())  # exact: every draw says the same


@every_shape
@every_model
def test_every_parameter_gets_a_gradient(name, arguments, shape):
    model, x = build(name, arguments, shape), images(8, shape)
    model.objective(model(x, model.noise(8, np.random.default_rng(0)))).mean().backward()
    for key, parameter in model.named_parameters():
        assert parameter.grad is not None, key
        assert parameter.grad.abs().sum() > 0, key


@every_shape
@every_model
def test_saving_and_loading_keeps_log_prob_and_statistics(name, arguments, shape, tmp_path):
    model, x = build(name, arguments, shape), images(4, shape)
    checkpoint.save(tmp_path / "m.safetensors", model.state_dict(), name, {"shape": list(shape), **arguments})
    loaded_name, loaded = checkpoint.load(tmp_path / "m.safetensors")
    assert loaded_name == name
    assert [p.name for p in tmp_path.iterdir()] == ["m.safetensors"]
    for key, value in model.statistics(x, draws=2).items():
        assert torch.equal(loaded.statistics(x, draws=2)[key], value), key
    loaded.initialize(images(8, shape, seed=9), loaded.noise(8, np.random.default_rng(1)))
    assert torch.equal(loaded.log_prob(x), model.log_prob(x))  # a trained model is never initialised again


@pytest.mark.parametrize(("packed", "bits"), [(checkpoint.halved, 0.01), (checkpoint.compact, 0.2)])
@every_model
def test_packed_weights_take_less_space_and_keep_the_likelihood(name, arguments, packed, bits, tmp_path):
    shape = (1, 8, 8)
    model, x = build(name, arguments, shape), images(4, shape)
    for file, state in (("whole", model.state_dict()), ("packed", packed(model.state_dict()))):
        checkpoint.save(tmp_path / file, state, name, {"shape": list(shape), **arguments})
    _, loaded = checkpoint.load(tmp_path / "packed")
    moved = (loaded.log_prob(x) - model.log_prob(x)).abs().max() / (model.dims * math.log(2.0))
    assert 0.0 < moved < bits
    assert (tmp_path / "packed").stat().st_size < (tmp_path / "whole").stat().st_size


def tiny(name, arguments, colors):
    """A model of images of 2×2 pixels with two grey levels, and every such image."""
    model = build(name, {**arguments, **({"scales": 1} if name == "glow" else {})}, (colors, 2, 2), levels=2)
    x = torch.cartesian_prod(*[torch.arange(2, dtype=torch.uint8)] * model.dims).view(-1, *model.shape)
    assert len(x) == 2**model.dims
    return model, x


def test_the_same_weights_always_give_the_same_bytes(tmp_path):
    arguments = ARGUMENTS["glow"][0]
    state = build("glow", arguments, (1, 4, 4)).state_dict()
    for k in range(10):
        checkpoint.save(tmp_path / f"{k}", state, "glow", {"shape": [1, 4, 4], **arguments})
    assert len({path.read_bytes() for path in tmp_path.iterdir()}) == 1


def weights(model, x, noise):
    """The log-weights of images under many draws of noise (K, B, …): (K, B)."""
    with torch.no_grad():
        return model(x.repeat(len(noise), 1, 1, 1), noise.flatten(0, 1))["log_weight"].view(len(noise), -1)


def exact(model, x, draws):
    """What log_prob is with many draws, in one pass."""
    noise = torch.stack([model.noise(draws, image_generator(image)) for image in x.numpy()], dim=1)
    return weights(model, x, noise).logsumexp(dim=0) - math.log(draws)


@pytest.mark.slow
@pytest.mark.parametrize("colors", [1, 3], ids=["grey", "colour"])
@every_model
def test_probabilities_of_a_tiny_discrete_space_sum_to_one(name, arguments, colors):
    model, x = tiny(name, arguments, colors)
    if not model.lower_bound or colors == 3:
        log_prob = model.log_prob(x, draws=25 if model.lower_bound else 1)
    else:
        log_prob = exact(model, x, 3000)
    total = log_prob.exp().sum().item()
    # The mean of exp(log_prob) is P(x), so the sum's mean is 1; only what a flow puts outside the images' cube is missing.
    expected = 1.0
    if name == "glow":
        v = model.sample_continuous(20_000, torch.Generator().manual_seed(0))
        expected = ((v >= 0) & (v < 1)).flatten(1).all(dim=1).double().mean().item()
        assert 0.01 < expected < 1.0
    assert total == pytest.approx(expected, rel=0.1 if model.lower_bound else 1e-12)


@pytest.mark.slow
@every_model
def test_a_bound_lies_below_the_log_probability_and_rises_to_it(name, arguments):
    model, x = tiny(name, arguments, 1)
    if not model.lower_bound:
        torch.testing.assert_close(model.log_prob(x, draws=1), model.log_prob(x, draws=3))
        return
    torch.testing.assert_close(exact(model, x, 3), model.log_prob(x, draws=3))
    best = exact(model, x, 2000)
    singles = weights(model, x, torch.stack([model.noise(len(x), np.random.default_rng(k)) for k in range(300)]))
    assert (singles.mean(dim=0) < best + 0.02).all()
    assert (singles.mean(dim=0) < best - 1e-3).any()


@pytest.mark.parametrize("shape", SHAPES, ids=["grey", "colour"])
def test_a_constant_head_gives_eight_bits_per_dim(shape):
    model = build("pixelcnn", ARGUMENTS["pixelcnn"][0], shape)
    torch.nn.init.zeros_(model.pixels.head.weight)
    torch.nn.init.constant_(model.pixels.head.bias, 0.7)
    torch.testing.assert_close(bits_per_dim(model.log_prob(images(3, shape)), model.dims), torch.full((3,), 8.0))


@pytest.mark.parametrize("scales", [1, 2])
def test_the_latent_norm_of_glow_is_that_of_the_latents_its_prior_sees(scales):
    model = build("glow", {**ARGUMENTS["glow"][0], "scales": scales}, (3, 8, 8))
    for parameter in (*model.splits.parameters(), *model.prior.parameters()):
        torch.nn.init.zeros_(parameter)  # a standard normal prior
    parts = model.statistics(images(3, (3, 8, 8)))
    expected = -0.5 * (parts["latent_norm"] ** 2 + model.dims * math.log(2.0 * math.pi))
    torch.testing.assert_close(parts["log_pz"], expected)


def test_a_uniform_model_has_eight_bits_per_dim():
    for dims in (1, 784, 3072):
        assert bits_per_dim(-dims * math.log(256), dims) == pytest.approx(8.0, abs=1e-12)


def test_a_damaged_or_foreign_checkpoint_is_refused_in_one_sentence(tmp_path):
    path = tmp_path / "m.safetensors"
    with pytest.raises(InputError, match="is not here: train the model"):
        checkpoint.load(path)
    path.write_bytes(b"garbage" * 10)
    with pytest.raises(InputError, match="is damaged"):
        checkpoint.load(path)
    arguments = ARGUMENTS["pixelcnn"][0]
    state = build("pixelcnn", arguments, (1, 4, 4)).state_dict()
    checkpoint.save(path, state, "pixelcnn", {"shape": [1, 4, 4], **arguments, "channels": 9})
    with pytest.raises(InputError, match="other code"):
        checkpoint.load(path)
