"""Local intrinsic dimension: the Jacobian by plain differentiation, singular values by determinants and of known maps."""

import numpy as np
import pytest
import torch

from likelihood.analyses import lid
from likelihood.models.shared.base import image_generator, total
from tests.builders import ARGUMENTS, build, images

FLOWS = ARGUMENTS["glow"]
every_flow = pytest.mark.parametrize("arguments", FLOWS, ids=["-".join(map(str, flow.values())) for flow in FLOWS])
every_shape = pytest.mark.parametrize("shape", [(1, 8, 8), (3, 4, 8)], ids=["grey", "colour"])


def dequantized(model, x):
    with torch.no_grad():
        return model.dequantize(x[None], model.noise(1, image_generator(x.numpy())))[0]


def log_sigma(model, x):
    return torch.stack(list(lid.measure(model, x).values()), dim=1)


@every_shape
@every_flow
def test_the_jacobian_is_that_of_plain_differentiation(arguments, shape):
    model, x = build("glow", arguments, shape), images(1, shape)[0]
    before = {key: value.clone() for key, value in model.state_dict().items()}
    v = dequantized(model, x)
    expected = torch.autograd.functional.jacobian(lambda v: torch.cat([z.flatten() for z in model.flow(v)[0]]), v, vectorize=True)
    found = lid.jacobian(model, x)
    torch.testing.assert_close(found, expected.flatten(1) / model.levels, rtol=1e-4, atol=1e-6)
    singular = torch.linalg.svdvals(found.double()).log().neg()
    torch.testing.assert_close(log_sigma(model, x[None])[0], singular, rtol=0.0, atol=1e-4)  # of large ones, and rising
    assert all(torch.equal(value, before[key]) for key, value in model.state_dict().items())
    assert all(weight.grad is None for weight in model.parameters())


@every_shape
@every_flow
def test_their_product_is_the_flow_s_determinant(arguments, shape):
    model, x = build("glow", arguments, shape), images(3, shape)
    found = log_sigma(model, x).sum(dim=1)
    for k in range(len(x)):
        with torch.no_grad():
            latents, terms = model.flow(dequantized(model, x[k]))
        normal = sum(-0.5 * (z.square() + np.log(2.0 * np.pi)).sum() for z in latents)  # the priors' scales belong to the map
        ladj = sum(total(term) for term in terms.values()) - normal - model.dims * np.log(model.levels)
        assert found[k].item() == pytest.approx(-ladj.item(), rel=1e-4, abs=1e-2)


def test_a_flow_that_starts_as_the_identity_has_the_singular_values_of_its_linear_maps():
    """Without couplings, and with rotations alone, z is v - 1/2 turned: it moves 1/256 a grey level, in every direction."""
    arguments = {"scales": 2, "steps": 2, "hidden": 8, "coupling": "additive", "preprocessing": "scale", "dequantization": 0}
    model = build("glow", arguments, (1, 8, 8))
    for key, weight in model.named_parameters():
        if "log_s" in key or "coupling" in key or "prior" in key:
            weight.data.zero_()
    for step in (step for level in model.scales for step in level.steps):
        step.conv.start(torch.linalg.qr(torch.randn(len(step.conv.log_s), len(step.conv.log_s))).Q)
    model.scales[1].steps[1].actnorm.log_scale.data.fill_(np.log(2.0))  # the last level's 32 latents move twice as far
    found = log_sigma(model, images(2, (1, 8, 8)))
    expected = np.log(256.0) - np.log(2.0) * (np.arange(64) < 32)
    np.testing.assert_allclose(found, np.tile(expected, (2, 1)), atol=1e-5)


@every_flow
def test_no_image_depends_on_the_others_or_on_how_many_rows_go_together(arguments, monkeypatch):
    model, x = build("glow", arguments, (1, 8, 8)), images(3, (1, 8, 8))
    found = log_sigma(model, x)
    monkeypatch.setattr(lid, "ROWS", 5)
    torch.testing.assert_close(log_sigma(model, x[2:]), found[2:], rtol=0.0, atol=1e-4)


def test_the_threshold_gives_the_dimension_and_dimensions_are_from_none_to_all():
    known = np.sort(np.random.RandomState(0).normal(0.0, 1.0, (40, 30)), axis=1)
    for dimension in (0.5, 7.0, 12.25, 29.5):
        assert lid.table(known, lid.threshold(known, dimension))["lid"].mean() == pytest.approx(dimension, abs=0.05)
    assert set(lid.table(known, -99.0)["lid"]) == {30}
    assert set(lid.table(known, 99.0)["lid"]) == {0}
    table = lid.table(known, 0.0)
    assert len(table.columns) == 102
    np.testing.assert_allclose(table["log_sigma_0"], known[:, 0], rtol=1e-6)
    np.testing.assert_allclose(table["log_sigma_100"], known[:, -1], rtol=1e-6)
    again = 0.3 * (table.filter(like="log_sigma_") > 0.0).sum(axis=1)  # what the percentiles still say of the count
    assert (again - table["lid"]).abs().max() <= 1.0


@pytest.mark.parametrize("count", [40, 400])
def test_local_dimension_is_that_of_a_plane(count):
    rng = np.random.RandomState(0)
    plane = rng.normal(0.0, 1.0, (3, 64))
    drawn = 128.0 + 12.0 * rng.normal(0.0, 1.0, (count + 5, 3)) @ plane
    every = torch.from_numpy(np.clip(np.rint(drawn), 0, 255).astype(np.uint8)).view(-1, 1, 8, 8)
    assert lid.local_dimension(every[count:], every[:count]) == 3.0
