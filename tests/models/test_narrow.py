"""The faster forms of two functions are those functions: the 3×3 convolution by blocks, tanh by the logistic function."""

import pytest
import torch
from torch.nn import functional as F

from likelihood.models.glow import coupling as narrow
from likelihood.models.glow.coupling import NarrowConv
from likelihood.models.shared.layers import tanh


@pytest.mark.parametrize("outputs", [1, 3, 4, 5])
@pytest.mark.parametrize("size", [(2, 2), (6, 8), (5, 4), (4, 7)])
def test_a_convolution_by_blocks_is_the_convolution_and_has_its_gradients(outputs, size):
    torch.manual_seed(0)
    x = torch.randn(3, 5, *size, dtype=torch.float64, requires_grad=True)
    ours = NarrowConv(5, outputs).double()
    results = [ours(x), F.conv2d(x, ours.weight, ours.bias, padding=1)]
    torch.testing.assert_close(results[0], results[1])
    gradients = [torch.autograd.grad(y.square().sum(), (x, ours.weight, ours.bias)) for y in results]
    torch.testing.assert_close(gradients[0], gradients[1])


def test_a_convolution_goes_by_blocks_where_a_block_fits(monkeypatch):
    sizes = []
    convolve = F.conv2d
    monkeypatch.setattr(narrow.F, "conv2d", lambda x, *rest, **options: sizes.append(options) or convolve(x, *rest, **options))
    NarrowConv(5, 4)(torch.randn(1, 5, 6, 6))
    assert [options.get("stride") for options in sizes] == [2]


def test_tanh_is_the_hyperbolic_tangent_to_a_float_s_last_digits_of_one():
    x = torch.linspace(-30.0, 30.0, 100_001, requires_grad=True)
    torch.testing.assert_close(tanh(x), torch.tanh(x), rtol=0, atol=2e-7)
    ours, theirs = (torch.autograd.grad(f(x).sum(), x)[0] for f in (tanh, torch.tanh))
    torch.testing.assert_close(ours, theirs, rtol=0, atol=1e-6)
