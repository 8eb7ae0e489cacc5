"""Laws that every bijection keeps; the classes are found among the subclasses."""

import pytest
import torch

from likelihood.models.glow.bijections import ActNorm, Bijection
from likelihood.models.glow.coupling import AdditiveCoupling, AffineCoupling
from likelihood.models.glow.dequantization import Dequantization
from likelihood.models.glow.model import FlowStep
from likelihood.models.glow.split import LastPrior, Split, bounded, standard_normal_log_prob

# How to build each class on C channels; a bijection without an entry fails its tests.
EXAMPLES = {
    "ActNorm": [lambda c: ActNorm(c)],
    "InvertibleConv1x1": [lambda c: cls("InvertibleConv1x1")(c)],
    "AffineCoupling": [lambda c: AffineCoupling(c, 6)],
    "AdditiveCoupling": [lambda c: AdditiveCoupling(c, 6)],
    "Squeeze": [lambda c: cls("Squeeze")()],
    "Logit": [lambda c: cls("Logit")()],
    "Center": [lambda c: cls("Center")()],
    "FlowStep": [lambda c: FlowStep(c, AffineCoupling(c, 6)), lambda c: FlowStep(c, AdditiveCoupling(c, 6))],
}


def found():
    return {kind.__name__: kind for kind in Bijection.__subclasses__() if kind.__module__.startswith("likelihood.")}


def cls(name):
    return found()[name]


CASES = [(name, make, channels) for name in sorted(found()) for make in EXAMPLES[name] for channels in (3, 4)]
every = pytest.mark.parametrize(("name", "make", "channels"), CASES, ids=[f"{n}-{c}-{i}" for i, (n, _, c) in enumerate(CASES)])


def randomized(make, channels):
    """A bijection whose parameters are all random, and inputs inside (0, 1), where all of them are defined."""
    bijection = make(channels)
    for parameter in bijection.parameters():
        parameter.data += 0.3 * torch.randn(parameter.shape)
    return bijection, torch.rand(3, 4, 2, channels)


def test_every_bijection_is_under_test():
    assert set(found()) == set(EXAMPLES)


@every
def test_inverse_undoes_forward_both_ways(name, make, channels):
    bijection, x = randomized(make, channels)
    y, ladj = bijection(x)
    back, inverse_ladj = bijection.inverse(y)
    torch.testing.assert_close(back, x)
    torch.testing.assert_close(inverse_ladj, -ladj)
    torch.testing.assert_close(bijection(bijection.inverse(y)[0])[0], y)


@every
def test_ladj_is_the_log_determinant_of_the_jacobian(name, make, channels):
    bijection, x = randomized(make, channels)
    _, ladj = bijection(x)
    for i in range(len(x)):
        jacobian = torch.autograd.functional.jacobian(lambda v: bijection(v[None])[0].flatten(), x[i])
        torch.testing.assert_close(torch.linalg.slogdet(jacobian.flatten(1)).logabsdet, ladj[i].sum())


@every
def test_images_of_a_batch_do_not_mix(name, make, channels):
    bijection, x = randomized(make, channels)
    y, ladj = bijection(x)
    torch.testing.assert_close(bijection(x[1:2])[0], y[1:2])
    torch.testing.assert_close(bijection(x[1:2])[1], ladj[1:2])


def test_actnorm_normalises_its_first_batch_and_never_again():
    norm, x = ActNorm(4), 3.0 + 2.0 * torch.randn(16, 5, 5, 4)
    y = norm.initialize(x)
    torch.testing.assert_close(y.mean(dim=(0, 1, 2)), torch.zeros(4), atol=1e-10, rtol=0.0)
    torch.testing.assert_close(y.flatten(0, 2).std(dim=0), torch.ones(4))
    loaded = ActNorm(4)
    loaded.load_state_dict(norm.state_dict())
    torch.testing.assert_close(loaded.initialize(10.0 * x), norm(10.0 * x)[0])


def test_actnorm_survives_a_constant_channel():
    y = ActNorm(2).initialize(torch.full((4, 3, 3, 2), 0.5))
    assert torch.isfinite(y).all()


def test_additive_couplings_keep_volume_and_affine_ones_do_not():
    x = torch.rand(3, 4, 4, 4)
    for coupling, constant in ((AdditiveCoupling(4, 6), True), (AffineCoupling(4, 6), False)):
        step = FlowStep(4, coupling)
        for parameter in step.parameters():
            parameter.data += 0.3 * torch.randn(parameter.shape)
        ladj = step(x)[1].sum(dim=(1, 2))
        assert torch.allclose(ladj, ladj[:1].expand(3)) == constant


def test_the_fused_step_is_actnorm_then_convolution_then_coupling():
    step, x = randomized(lambda c: FlowStep(c, AffineCoupling(c, 6)), 4)
    y, total = x, 0
    for part in (step.actnorm, step.conv, step.coupling):
        y, ladj = part(y)
        total = total + ladj
    fused, fused_ladj = step(x)
    torch.testing.assert_close(fused, y)
    torch.testing.assert_close(fused_ladj, total)


def test_split_is_a_normal_density_of_what_leaves_and_can_be_put_back():
    split = Split(6)
    for parameter in split.parameters():
        parameter.data += 0.3 * torch.randn(parameter.shape)
    z, kept = torch.randn(2, 4, 4, 3), torch.randn(2, 4, 4, 3)
    x = split.inverse(kept, z)
    back, code, log_prob = split(x)
    torch.testing.assert_close(back, kept)
    torch.testing.assert_close(code, z)
    jacobian = torch.autograd.functional.jacobian(lambda e: split.inverse(kept[:1], e[None]).flatten(), z[0])
    volume = torch.linalg.slogdet(jacobian[jacobian.flatten(1).abs().sum(dim=1) > 0].flatten(1)).logabsdet
    torch.testing.assert_close(log_prob[0].sum(), standard_normal_log_prob(z[:1])[0].sum() - volume)


def test_the_last_prior_is_a_normal_density_and_can_be_undone():
    prior = LastPrior(2, 3, 4)
    for parameter in prior.parameters():
        parameter.data += torch.randn(parameter.shape)
    h = torch.randn(5, 2, 3, 4)
    z, log_prob = prior(h)
    torch.testing.assert_close(prior.inverse(z), h)
    expected = torch.distributions.Normal(prior.mean, bounded(prior.log_std).exp()).log_prob(h).sum(dim=3)
    torch.testing.assert_close(log_prob, expected)


def test_a_convolution_starts_with_whitened_channels_and_is_never_started_again():
    x = torch.randn(16, 5, 5, 4) @ torch.randn(4, 4)
    conv = cls("InvertibleConv1x1")(4)
    y = conv.initialize(x).flatten(0, 2)
    torch.testing.assert_close((y - y.mean(dim=0)).T @ (y - y.mean(dim=0)) / len(y), torch.eye(4))
    loaded = cls("InvertibleConv1x1")(4)
    loaded.load_state_dict(conv.state_dict())
    torch.testing.assert_close(loaded.initialize(10.0 * x), conv(10.0 * x)[0])


def test_a_convolution_survives_channels_that_are_equal():
    x = torch.randn(8, 3, 3, 1).expand(8, 3, 3, 4)
    conv = cls("InvertibleConv1x1")(4)
    y = conv.initialize(x)
    assert torch.isfinite(y).all()
    torch.testing.assert_close(conv.inverse(y)[0], x)


@pytest.mark.parametrize("couplings", [0, 1, 4])
def test_dequantisation_is_a_density_of_the_noise(couplings):
    """-log q(u | x) is minus the normal log-density of the noise that gives u, plus the log-determinant of that map."""
    flow = Dequantization(1, couplings, 256)
    for parameter in flow.parameters():
        parameter.data += 0.3 * torch.randn(parameter.shape)
    x, noise = torch.randint(0, 256, (3, 2, 4, 1)).double(), torch.randn(3, 2, 4, 1)
    u, log_q = flow(x, noise)
    assert ((u > 0.0) & (u < 1.0)).all()
    for i in range(3):
        jacobian = torch.autograd.functional.jacobian(lambda e: flow(x[i : i + 1], e[None])[0].flatten(), noise[i])
        ladj = torch.linalg.slogdet(jacobian.flatten(1)).logabsdet
        torch.testing.assert_close(log_q[i].sum(), ladj - standard_normal_log_prob(noise[i : i + 1]).sum())
    if not couplings:
        torch.testing.assert_close(log_q, torch.zeros_like(log_q))
