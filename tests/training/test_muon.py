"""Muon: what it makes of a gradient, which weights it takes, and that equal shapes are stepped together."""

import pytest
import torch
from torch import nn

from likelihood.training.muon import MOMENTUM, Muon, matrices, orthogonal
from tests.builders import IDS, VARIANTS, build


@pytest.mark.parametrize("shape", [(8, 16), (16, 8), (32, 32), (64, 200)])
def test_a_matrix_becomes_nearly_orthogonal_and_keeps_its_singular_vectors(shape):
    torch.manual_seed(0)
    x = torch.randn(3, *shape)
    y = orthogonal(x)
    assert y.shape == x.shape
    u, _, v = torch.linalg.svd(x, full_matrices=False)
    inner = u.mT @ y @ v.mT
    values = inner.diagonal(dim1=1, dim2=2)
    torch.testing.assert_close(inner, torch.diag_embed(values), atol=1e-8, rtol=0.0)
    assert ((values > 0.3) & (values < 1.3)).all()  # the coefficients of five steps end near 1, not at it


def test_a_scaled_gradient_takes_the_same_step():
    steps = []
    for scale in (1.0, 1e-4):
        weight = nn.Parameter(torch.zeros(8, 20))
        optimizer = Muon([weight], lr=0.1, weight_decay=0.0)
        torch.manual_seed(0)
        for _ in range(3):
            weight.grad = scale * torch.randn(8, 20)
            optimizer.step()
        steps.append(weight.detach().clone())
    torch.testing.assert_close(*steps)


def test_a_step_is_the_orthogonal_momentum_times_the_rate_and_weights_decay():
    torch.manual_seed(0)
    weights = [nn.Parameter(torch.randn(*shape)) for shape in ((32, 8), (32, 2, 2, 2), (8, 20))]  # a kernel is a matrix
    before = [weight.detach().clone() for weight in weights]
    for weight in weights:
        weight.grad = torch.randn(weight.shape)
    Muon(weights, lr=0.1, weight_decay=0.5).step()
    for weight, old in zip(weights, before, strict=True):
        momentum = (1.0 - MOMENTUM) * weight.grad.flatten(1)
        nesterov = MOMENTUM * momentum + (1.0 - MOMENTUM) * weight.grad.flatten(1)
        growth = max(1.0, old.shape[0] / old[0].numel()) ** 0.5
        expected = old * (1.0 - 0.1 * 0.5) - 0.1 * growth * orthogonal(nesterov[None])[0].view_as(old)
        torch.testing.assert_close(weight.detach(), expected)


def test_a_weight_without_a_gradient_stays():
    weights = [nn.Parameter(torch.ones(8, 16)) for _ in range(2)]
    weights[0].grad = torch.randn(8, 16)
    Muon(weights, lr=0.1, weight_decay=0.5).step()
    assert torch.equal(weights[1].detach(), torch.ones(8, 16))


def test_muon_takes_matrices_between_pixels_and_heads():
    model = build("pixelcnn", {"layers": 3, "channels": 16, "dilation": 2, "pixels": "mixture"}, (1, 8, 8))
    chosen = {name for name, weight in model.named_parameters() if any(weight is other for other in matrices(model))}
    assert {"layers.1.vertical.weight", "layers.1.link.weight", "layers.2.skip.weight", "hidden.weight"} <= chosen
    assert not chosen & {"pixels.head.weight", "layers.0.position", "layers.0.horizontal.weight", "hidden.bias"}


@pytest.mark.parametrize(("name", "arguments"), VARIANTS, ids=IDS)
def test_muon_takes_only_weights_of_layers(name, arguments):
    model = build(name, arguments, (1, 8, 8))
    named = dict(model.named_parameters())
    for weight in matrices(model):
        (key,) = [name for name, other in named.items() if other is weight]
        assert key.endswith(".weight")
        assert weight.dim() in (2, 4)
