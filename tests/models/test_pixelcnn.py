"""Autoregression of the PixelCNN, and the cached sampler against the full forward pass."""

import math

import pytest
import torch
from torch.nn import functional as F

from likelihood.models.pixelcnn.incremental import sample_pixels
from likelihood.models.pixelcnn.masked import HorizontalConv, MaskedLinear, VerticalConv, groups
from likelihood.models.shared.pixels import to_unit_interval
from tests.builders import build, images

ROUNDING = 1e-11  # in double precision; what one value tells another is many orders above it
SHAPES = [(1, 6, 7), (3, 5, 4)]
every_shape = pytest.mark.parametrize("shape", SHAPES, ids=["grey", "colour"])
every_kind = pytest.mark.parametrize("pixels", ["softmax", "mixture"])


def features_of(model, x):
    """What the full forward pass reads its conditionals from, (B, H, W, channels)."""
    v = h = to_unit_interval(x, model.levels).permute(0, 2, 3, 1)
    total = 0
    for layer in model.layers:
        v, h, skip = layer(v, h)
        total = total + skip
    return model.features(total)


def conditionals_of(model, x):
    """log P of every level of every value given those before it, from the full forward pass: (B, H, W, C, levels)."""
    features = features_of(model, x)
    pixels = x.permute(0, 2, 3, 1)
    flat = [model.pixels.levels_log_prob(pixels.flatten(0, 2), features.flatten(0, 2), color) for color in range(x.shape[1])]
    return torch.stack(flat, dim=1).view(*pixels.shape, model.levels)


def pixelcnn(shape, pixels, layers=4):
    return build("pixelcnn", {"layers": layers, "channels": 30, "pixels": pixels}, shape)


@every_kind
@every_shape
def test_changing_a_value_changes_no_earlier_conditional_and_the_next_one(shape, pixels):
    model, x = pixelcnn(shape, pixels), images(2, shape)
    colors, height, width = shape
    before = conditionals_of(model, x)
    order = [(r, c, k) for r in range(height) for c in range(width) for k in range(colors)]
    for position, (row, column, color) in enumerate(order):
        changed = x.clone()
        changed[:, color, row, column] += 100
        difference = (conditionals_of(model, changed) - before).abs().amax(dim=(0, -1)).flatten()  # (H·W·C,)
        moved = difference > ROUNDING
        assert not moved[: position + 1].any(), f"value {(row, column, color)} reaches itself or an earlier one"
        if position + 1 < len(order):
            assert moved[position + 1 :].any(), f"value {(row, column, color)} reaches nothing"
            next_row, _, _ = order[position + 1]
            if next_row == row:  # the next value is a neighbour: it must hear at once
                assert moved[position + 1]


@every_kind
def test_there_is_no_blind_spot(pixels):
    shape = (1, 5, 9)
    model, x = pixelcnn(shape, pixels, layers=6), images(1, shape)
    before = conditionals_of(model, x)[0, 4, 4]
    for row in range(5):
        for column in range(9):
            if (row, column) >= (4, 4):
                continue
            changed = x.clone()
            changed[0, 0, row, column] += 100
            assert (conditionals_of(model, changed)[0, 4, 4] - before).abs().max() > ROUNDING, (row, column)


@every_kind
@every_shape
def test_teacher_forced_features_of_the_cached_sampler_equal_the_full_forward_pass(shape, pixels):
    model, x = pixelcnn(shape, pixels), images(3, shape)
    full = conditionals_of(model, x)
    seen = torch.zeros_like(full)

    def teacher(skip, pixel, row, column, color):
        assert torch.equal(pixel[:, :color], x[:, :color, row, column])
        seen[:, row, column, color] = model.pixels.levels_log_prob(pixel, model.features(skip), color)
        return x[:, color, row, column]

    with torch.no_grad():
        result = sample_pixels(model.layers, model.shape, model.levels, model.pixels.order, 3, teacher)
    assert torch.equal(result, x)
    torch.testing.assert_close(seen, full, rtol=1e-10, atol=1e-10)


@every_kind
@every_shape
def test_log_prob_is_the_sum_of_the_conditionals(shape, pixels):
    model, x = pixelcnn(shape, pixels), images(3, shape)
    conditionals = conditionals_of(model, x)
    torch.testing.assert_close(conditionals.exp().sum(dim=-1), torch.ones(conditionals.shape[:-1]))
    chosen = conditionals.gather(-1, x.permute(0, 2, 3, 1).long()[..., None]).squeeze(-1)
    torch.testing.assert_close(model.log_prob(x), chosen.sum(dim=(1, 2, 3)))
    parts = model.statistics(x)
    for color in range(shape[0]):
        torch.testing.assert_close(parts[f"channel_{color}"], chosen[..., color].sum(dim=(1, 2)))


@every_kind
@pytest.mark.parametrize("shape", [(1, 1, 2), (3, 1, 1)], ids=["grey", "colour"])
def test_samples_have_the_frequencies_of_the_model(shape, pixels):
    model = build("pixelcnn", {"layers": 3, "channels": 6, "pixels": pixels}, shape, levels=3)
    for parameter in model.pixels.head.parameters():
        parameter.data *= 5.0  # far from uniform, so that a sampler that ignores the features is caught
    dims = math.prod(shape)
    every = torch.cartesian_prod(*[torch.arange(3, dtype=torch.uint8)] * dims).view(-1, *shape)
    expected = model.log_prob(every).exp()
    place = 3 ** torch.arange(dims).flip(0)
    samples = model.sample(20_000, torch.Generator().manual_seed(0)).view(-1, dims).long()
    frequencies = torch.bincount((samples * place).sum(dim=1), minlength=len(every)) / 20_000
    assert (expected - 1 / len(every)).abs().max() > 0.02
    torch.testing.assert_close(frequencies, expected, atol=0.015, rtol=0.0)


def test_a_mixture_has_colours_that_know_each_other():
    model, x = pixelcnn((3, 2, 2), "mixture"), images(1, (3, 2, 2))
    features = features_of(model, x)[0, 0, 0][None]
    dark, light = torch.tensor([[10, 0, 0]], dtype=torch.uint8), torch.tensor([[240, 0, 0]], dtype=torch.uint8)
    greens = [model.pixels.levels_log_prob(pixel, features, 1) for pixel in (dark, light)]
    assert not torch.allclose(*greens)
    assert torch.equal(*[model.pixels.levels_log_prob(pixel, features, 0) for pixel in (dark, light)])


def test_cropped_convolutions_equal_masked_ones():
    x = torch.randn(2, 6, 7, 4)
    vertical = VerticalConv(4, 5, 3)
    masked = torch.zeros(5, 4, 3, 3)
    masked[:, :, :2] = vertical.weight.data
    reference = F.conv2d(x.permute(0, 3, 1, 2), masked, vertical.bias, padding=1).permute(0, 2, 3, 1)
    torch.testing.assert_close(vertical(x), reference)
    inputs, outputs = groups(4, 1), groups(5, 1)
    horizontal = HorizontalConv(inputs, outputs, 2, "B")
    masked = torch.zeros(5, 4, 1, 3)
    masked[:, :, 0, :2] = horizontal.weight.data.view(5, 2, 4).transpose(1, 2)
    reference = F.conv2d(x.permute(0, 3, 1, 2), masked, horizontal.bias, padding=(0, 1)).permute(0, 2, 3, 1)
    torch.testing.assert_close(horizontal(x), reference)


@pytest.mark.parametrize("mask_type", ["A", "B"])
def test_a_masked_layer_sees_earlier_colours_only(mask_type):
    layer = MaskedLinear(groups(6, 3), groups(9, 3), mask_type)
    jacobian = torch.autograd.functional.jacobian(lambda v: layer(v), torch.randn(6))  # (9, 6)
    for i, out_group in enumerate(groups(9, 3)):
        for j, in_group in enumerate(groups(6, 3)):
            seen = in_group < out_group if mask_type == "A" else in_group <= out_group
            assert (jacobian[i, j] != 0) == seen
