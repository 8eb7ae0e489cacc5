"""Autoregression of the PixelCNN, and the cached sampler against the full forward pass."""

import math

import pytest
import torch
from torch.nn import functional as F

from likelihood.docs.tables import field_of_view
from likelihood.models.pixelcnn.incremental import sample_pixels
from likelihood.models.pixelcnn.masked import HorizontalConv, MaskedLinear, VerticalConv, groups
from tests.builders import build, images

ROUNDING = 1e-11  # in double precision; what one value tells another is many orders above it
SHAPES = [(1, 6, 7), (3, 5, 4)]
every_shape = pytest.mark.parametrize("shape", SHAPES, ids=["grey", "colour"])
every_kind = pytest.mark.parametrize("pixels", ["softmax", "mixture"])


def conditionals_of(model, x):
    """log P of every level of every value given those before it, from the full forward pass: (B, H, W, C, levels)."""
    return model.levels_log_prob(x, model.noise(len(x), None)).permute(0, 2, 3, 1, 4)


def pixelcnn(shape, pixels, layers=4, dilation=2):
    return build("pixelcnn", {"layers": layers, "channels": 30, "dilation": dilation, "pixels": pixels}, shape)


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


@pytest.mark.slow
@every_kind
@pytest.mark.parametrize("dilation", [1, 2])
def test_there_is_no_blind_spot(pixels, dilation):
    shape = (1, 5, 9)
    model, x = pixelcnn(shape, pixels, layers=6, dilation=dilation), images(1, shape)
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
        seen[:, row, column, color] = model.pixels.color_log_prob(pixel, model.read(skip), color)
        return x[:, color, row, column]

    with torch.no_grad():
        result = sample_pixels(model.layers, model.shape, model.to_input, model.pixels.order, 3, teacher)
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


@pytest.mark.slow
@every_kind
@pytest.mark.parametrize("shape", [(1, 1, 2), (3, 1, 1)], ids=["grey", "colour"])
def test_samples_have_the_frequencies_of_the_model(shape, pixels):
    model = build("pixelcnn", {"layers": 3, "channels": 6, "dilation": 2, "pixels": pixels}, shape, levels=3)
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
    features = model.features(x.permute(0, 2, 3, 1))[0, 0, 0][None]
    dark, light = torch.tensor([[10, 0, 0]], dtype=torch.uint8), torch.tensor([[240, 0, 0]], dtype=torch.uint8)
    greens = [model.pixels.color_log_prob(pixel, features, 1) for pixel in (dark, light)]
    assert not torch.allclose(*greens)
    assert torch.equal(*[model.pixels.color_log_prob(pixel, features, 0) for pixel in (dark, light)])


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


@pytest.mark.parametrize("dilation", [2, 4, 9])
def test_dilated_convolutions_have_their_taps_apart(dilation):
    x = torch.zeros(1, 12, 12, 1)
    x[0, 2, 2, 0] = 1.0
    vertical, horizontal = VerticalConv(1, 1, 3, dilation), HorizontalConv(groups(1, 1), groups(1, 1), 2, "B", dilation)
    for layer in (vertical, horizontal):
        torch.nn.init.zeros_(layer.bias)
    lit = [{tuple(place) for place in layer(x)[0, ..., 0].nonzero().tolist()} for layer in (vertical, horizontal)]
    columns = (2 - dilation, 2, 2 + dilation)
    assert lit[0] == {(row, column) for row in (2, 2 + dilation) for column in columns if 0 <= column < 12 and row < 12}
    assert lit[1] == {(2, column) for column in (2, 2 + dilation) if column < 12}


@pytest.mark.parametrize("mask_type", ["A", "B"])
def test_a_masked_layer_sees_earlier_colours_only(mask_type):
    layer = MaskedLinear(groups(6, 3), groups(9, 3), mask_type)
    jacobian = torch.autograd.functional.jacobian(lambda v: layer(v), torch.randn(6))  # (9, 6)
    for i, out_group in enumerate(groups(9, 3)):
        for j, in_group in enumerate(groups(6, 3)):
            seen = in_group < out_group if mask_type == "A" else in_group <= out_group
            assert (jacobian[i, j] != 0) == seen


@every_kind
@pytest.mark.parametrize(("layers", "dilation", "reach"), [(1, 4, 3), (3, 1, 5), (3, 2, 6), (6, 4, 12)])
def test_the_field_of_view_grows_by_a_layers_dilation(pixels, layers, dilation, reach):
    architecture = {"layers": layers, "channels": 6, "dilation": dilation, "pixels": pixels}
    assert field_of_view(3, architecture) == (reach + 1, reach, reach)
