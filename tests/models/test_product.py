"""Products at every pixel are those of linear algebra, whichever library computes them."""

import pytest
import torch
from torch.nn import functional as F

from likelihood.models.shared.layers import PixelLinear, WideLinear, pixelwise


@pytest.mark.parametrize("bias", [True, False])
@pytest.mark.parametrize("shape", [(3, 4, 5, 6), (7, 6), (1, 1, 1, 6)])
def test_a_product_at_every_pixel_is_a_linear_map_of_the_last_dimension(shape, bias):
    torch.manual_seed(0)
    x, weight = torch.randn(shape, dtype=torch.float64), torch.randn(2, 6, dtype=torch.float64)
    offset = torch.randn(2, dtype=torch.float64) if bias else None
    torch.testing.assert_close(pixelwise(x, weight, offset), F.linear(x, weight, offset))


@pytest.mark.parametrize("layer", [PixelLinear, WideLinear])
def test_a_layer_of_products_has_the_gradients_of_a_linear_one(layer):
    torch.manual_seed(0)
    x = torch.randn(5, 6, dtype=torch.float64, requires_grad=True)
    ours = layer(6, 3).double()
    results = [ours(x), F.linear(x, ours.weight, ours.bias)]
    gradients = [torch.autograd.grad(y.square().sum(), (x, ours.weight, ours.bias)) for y in results]
    torch.testing.assert_close(results[0], results[1])
    torch.testing.assert_close(gradients[0], gradients[1])
