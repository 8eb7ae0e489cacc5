"""Incremental evaluation of gated layers: every activation is computed once, not once for each pixel that needs it.

When a row is complete, the vertical stack of that row is one convolution over the last rows of each layer's input, which are
kept. Within a row the horizontal stack moves one pixel at a time: a layer keeps its inputs of the row so far and looks back as
far as its kernel reaches. A pixel is evaluated once for each of its colours that the network tells apart. A picture then costs
about one full forward pass, where drawing from full forward passes costs H · W · C of them.
"""

from collections.abc import Callable, Sequence

import torch
from torch import Tensor

from likelihood.models.pixelcnn.gated import HORIZONTAL, VERTICAL, GatedLayer

Draw = Callable[[Tensor, Tensor, int, int, int], Tensor]
ToInput = Callable[[Tensor], Tensor]


def sample_pixels(
    layers: Sequence[GatedLayer], shape: tuple[int, int, int], to_input: ToInput, order: int, n: int, draw: Draw
) -> Tensor:
    """Visit the pixels of n images of shape (C, H, W) in order and let `draw` choose their values: uint8 (n, C, H, W).

    `draw(skip (n, channels), pixel (n, C), row, column, colour)` returns values (n,) from the summed skip connections and the
    pixel so far. Drawing from what they predict samples; returning the pixels of given images is teacher forcing, and the
    skip connections are then those of the full forward pass. `to_input` gives what the first layer sees of levels (..., C).
    `order` is C where the layers keep the colours apart, else 1.
    """
    colors, height, width = shape
    like = layers[0].link.weight
    image = torch.zeros(n, height, width, colors, dtype=torch.uint8, device=like.device)
    # The last rows of each layer's vertical input, (n, rows, W, inputs); above the image they are zero, as the padding is.
    above = [like.new_zeros(n, layer.vertical.reach + 1, width, layer.vertical.in_channels) for layer in layers]
    links = [like.new_zeros(n, width, layer.link.out_features) for layer in layers]  # row 0 hears of nothing
    for row in range(height):
        fill_row(layers, to_input, order, row, image[:, row], links, lambda *at, row=row: draw(*at[:2], row, *at[2:]))
        v = to_input(image[:, row : row + 1])  # (n, 1, W, inputs)
        for k, layer in enumerate(layers):
            above[k] = torch.cat([above[k][:, 1:], v], dim=1)
            placed = layer.placed(VERTICAL, layer.vertical.valid(above[k]), row)  # (n, 1, W, 2 · channels)
            links[k] = layer.link(placed).squeeze(1)  # what the next row hears
            v = layer.vertical_out(placed, v)
    return image.permute(0, 3, 1, 2).contiguous()


def fill_row(
    layers: Sequence[GatedLayer],
    to_input: ToInput,
    order: int,
    number: int,
    row: Tensor,
    links: list[Tensor],
    draw: Callable[[Tensor, Tensor, int, int], Tensor],
) -> None:
    """Fill row `number` (n, W, C) in place, given `links` (n, W, 2 · channels), what each layer hears of the rows above."""
    n, width, colors = row.shape
    # Each layer's horizontal inputs of this row so far, with the padding to its left: (n, reach + W, inputs).
    inputs = [
        link.new_zeros(n, layer.horizontal.reach + width, layer.vertical.in_channels)
        for layer, link in zip(layers, links, strict=True)
    ]
    for column in range(width):
        for color in range(colors):
            if color < order:
                h = to_input(row[:, column])  # (n, inputs); colours not drawn yet are masked out
                skips = torch.zeros((), device=h.device)
                for layer, link, known in zip(layers, links, inputs, strict=True):
                    end = column + layer.horizontal.reach
                    known[:, end] = h
                    convolved = layer.horizontal.at(known[:, column : end + 1])
                    h, skip = layer.horizontal_out(layer.placed(HORIZONTAL, convolved, number, column), link[:, column], h)
                    skips = skips + skip
            row[:, column, color] = draw(skips, row[:, column], column, color).to(torch.uint8)
        # Complete the first layer's input; the deeper ones' see the colours before their own only (mask A), so they are.
        inputs[0][:, column + layers[0].horizontal.reach] = to_input(row[:, column])
