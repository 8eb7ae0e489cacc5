"""Autoregression of the PixelCNN, exact to the last bit, and the cached sampler against the full forward pass."""

import pytest
import torch
from torch.nn import functional as F

from likelihood.nn.incremental import sample_pixels
from likelihood.nn.masked import HorizontalConv, MaskedLinear, VerticalConv, groups
from likelihood.nn.pixels import to_unit_interval
from tests.models import ARGUMENTS, build, images

SHAPES = [(1, 6, 7), (3, 5, 4)]
every_shape = pytest.mark.parametrize("shape", SHAPES, ids=["grey", "colour"])


def logits_of(model, x):
    """Logits of the full forward pass, (B, H, W, C, levels)."""
    v = h = to_unit_interval(x, model.levels).permute(0, 2, 3, 1)
    total = 0
    for layer in model.layers:
        v, h, skip = layer(v, h)
        total = total + skip
    return model.logits(total)


def pixelcnn(shape, layers=4):
    return build("pixelcnn", {**ARGUMENTS["pixelcnn"][0], "layers": layers, "channels": 30}, shape)


@every_shape
def test_changing_a_value_changes_no_earlier_logit_and_the_next_one(shape):
    model, x = pixelcnn(shape), images(2, shape)
    colors, height, width = shape
    before = logits_of(model, x)
    order = [(r, c, k) for r in range(height) for c in range(width) for k in range(colors)]
    for position, (row, column, color) in enumerate(order):
        changed = x.clone()
        changed[:, color, row, column] += 100
        moved = (logits_of(model, changed) != before).any(dim=-1).any(dim=0).flatten()  # (H·W·C,)
        assert not moved[: position + 1].any(), f"value {(row, column, color)} reaches itself or an earlier one"
        if position + 1 < len(order):
            assert moved[position + 1 :].any(), f"value {(row, column, color)} reaches nothing"
            next_row, _, _ = order[position + 1]
            if next_row == row:  # the next value is a neighbour: it must hear at once
                assert moved[position + 1]


def test_there_is_no_blind_spot():
    shape = (1, 5, 9)
    model, x = pixelcnn(shape, layers=6), images(1, shape)
    before = logits_of(model, x)[0, 4, 4]
    for row in range(5):
        for column in range(9):
            if (row, column) >= (4, 4):
                continue
            changed = x.clone()
            changed[0, 0, row, column] += 100
            assert (logits_of(model, changed)[0, 4, 4] != before).any(), (row, column)


@every_shape
def test_teacher_forced_logits_of_the_cached_sampler_equal_the_full_forward_pass(shape):
    model, x = pixelcnn(shape), images(3, shape)
    full = logits_of(model, x)
    seen = torch.zeros_like(full)

    def teacher(logits, row, column, color):
        seen[:, row, column, color] = logits
        return x[:, color, row, column]

    with torch.no_grad():
        result = sample_pixels(model.layers, model.logits, model.shape, model.levels, 3, teacher)
    assert torch.equal(result, x)
    torch.testing.assert_close(seen, full, rtol=1e-10, atol=1e-10)


@every_shape
def test_log_prob_is_the_sum_of_the_conditionals(shape):
    model, x = pixelcnn(shape), images(3, shape)
    conditionals = F.log_softmax(logits_of(model, x), dim=-1).gather(-1, x.permute(0, 2, 3, 1).long()[..., None])
    torch.testing.assert_close(model.log_prob(x), conditionals.sum(dim=(1, 2, 3, 4)))


def test_samples_have_the_frequencies_of_the_model():
    model = build("pixelcnn", ARGUMENTS["pixelcnn"][0], (1, 1, 2), levels=3)
    for parameter in model.head.parameters():
        parameter.data *= 5.0  # far from uniform, so that a sampler that ignores the logits is caught
    every = torch.cartesian_prod(*[torch.arange(3, dtype=torch.uint8)] * 2).view(-1, 1, 1, 2)
    expected = model.log_prob(every).exp()
    samples = model.sample(20_000, torch.Generator().manual_seed(0)).view(-1, 2).long()
    frequencies = torch.bincount(samples[:, 0] * 3 + samples[:, 1], minlength=9) / 20_000
    assert (expected - 1 / 9).abs().max() > 0.02
    torch.testing.assert_close(frequencies, expected, atol=0.015, rtol=0.0)


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
