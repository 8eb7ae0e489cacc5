"""The second-order analysis: exact for a quadratic log-density, and the true derivatives of a real flow; graying."""

import numpy as np
import pytest
import torch

from likelihood.analyses.dissection import shrunk
from likelihood.statistics.curvature import HALF, Expansion, expand, predicted_gap
from tests.builders import build, images

SHAPE = (1, 4, 4)


class Quadratic(torch.nn.Module):
    """log p(x) = bᵀx - ½ xᵀ A x of images of grey levels."""

    shape = SHAPE

    def __init__(self):
        super().__init__()
        root = torch.randn(16, 16)
        self.a, self.b = torch.nn.Parameter(root @ root.T), torch.nn.Parameter(torch.randn(16))

    def log_density(self, x):
        x = x.flatten(1)
        return x @ self.b - 0.5 * (x @ self.a * x).sum(dim=1)


def sets():
    rng = np.random.RandomState(0)
    return rng.randint(0, 256, (300, *SHAPE)).astype(np.uint8), rng.randint(80, 140, (200, *SHAPE)).astype(np.uint8)


def test_the_expansion_of_a_quadratic_predicts_the_gap_exactly():
    model, (inside, outside) = Quadratic(), sets()
    at = expand(model, inside.reshape(300, -1).mean(axis=0))
    means = [model.log_density(torch.from_numpy(x) + HALF).mean().item() for x in (inside, outside)]
    predicted = predicted_gap(at, inside, outside)
    assert predicted["first"] + predicted["second"] == pytest.approx(means[1] - means[0], rel=1e-9)
    np.testing.assert_allclose(at.hessian, -model.a.detach().numpy(), atol=1e-9)


def test_variances_alone_are_the_diagonal_of_the_second_order_where_means_are_equal():
    x = np.array([[100, 50], [100, 250]], np.uint8).reshape(2, 1, 1, 2)
    y = np.array([[90, 150], [110, 150]], np.uint8).reshape(2, 1, 1, 2)
    at = Expansion(np.array([100.0, 150.0]), np.zeros(2), np.array([[-3.0, 0.0], [0.0, -0.5]]))
    found = predicted_gap(at, x, y)
    assert found["variances"] == found["second"] == 0.5 * (-3.0 * 100.0 + 0.5 * 10_000.0)
    assert found["first"] == 0.0


@pytest.mark.parametrize("coupling", ["affine", "additive"])
def test_gradient_and_hessian_are_those_of_the_flow(coupling):
    arguments = {"scales": 1, "steps": 2, "hidden": 6, "coupling": coupling, "preprocessing": "scale", "dequantization": 2}
    model = build("glow", arguments, SHAPE)
    point = images(40, SHAPE).numpy().reshape(40, -1).mean(axis=0)
    at = expand(model, point)
    np.testing.assert_allclose(at.hessian, at.hessian.T, atol=1e-10)

    def log_density(x):
        x = torch.from_numpy(x + HALF).view(1, *SHAPE)
        return model.log_density(x).item()

    step = 1e-3
    for k in (0, 5, 15):
        e = step * np.eye(16)[k]
        assert at.gradient[k] == pytest.approx((log_density(point + e) - log_density(point - e)) / (2 * step), rel=1e-4, abs=1e-8)
        first = [expand(model, x).gradient for x in (point + e, point - e)]
        np.testing.assert_allclose(at.hessian[k], (first[0] - first[1]) / (2 * step), rtol=1e-3, atol=1e-6)


def test_contrast_shrinks_towards_the_colour_and_one_leaves_the_image_as_it_is():
    x = images(5, (3, 6, 6)).numpy()
    mean = [10.2, 128.0, 255.0]
    np.testing.assert_array_equal(shrunk(x, 1.0, mean), x)
    grey = shrunk(x, 0.0, mean)
    assert grey.dtype == np.uint8
    assert [set(grey[:, c].ravel().tolist()) for c in range(3)] == [{10}, {128}, {255}]
    half = shrunk(x, 0.5, mean)
    assert np.abs(half[:, 1].astype(float) - 128.0).max() <= 0.5 * np.abs(x[:, 1].astype(float) - 128.0).max() + 0.5
    assert half.std() < x.std()
