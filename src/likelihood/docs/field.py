"""How far a PixelCNN looks: the field of view of one pixel, measured by gradients, as the table of docs/pipeline.md.

    a pixel j is in the field of view of pixel i  ⇔  ∂ features_i / ∂ x_j ≠ 0

Weights are random, for where a trained weight happens to be small a pixel still counts. The image is enlarged until it holds the
whole field.
"""

from pathlib import Path
from typing import Any, NamedTuple

import torch

from likelihood.common import params
from likelihood.data import own
from likelihood.docs import markdown
from likelihood.models.pixelcnn.model import PixelCNN
from likelihood.settings import resolve

SIDE = 16  # of the first image that is tried


class Field(NamedTuple):
    """How many pixels it reaches in each direction."""

    above: int
    left: int
    right: int


def field_of_view(colors: int, architecture: dict[str, Any], side: int = SIDE) -> Field:
    """The field of view of a PixelCNN of images of `colors` channels."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        model = PixelCNN((colors, side, 2 * side + 1), **architecture)
    x = torch.full((1, side, 2 * side + 1, colors), 100.0, requires_grad=True)
    model.features(x)[0, side - 1, side].sum().backward()
    rows, columns = x.grad[0].abs().sum(dim=-1).nonzero().T
    found = Field(side - 1 - int(rows.min()), side - int(columns.min()), int(columns.max()) - side)
    return found if max(found) < side - 1 else field_of_view(colors, architecture, 2 * side)


def table(values: dict[str, Any], benchmarks: list[str]) -> str:
    """One row per PixelCNN and image size of the given benchmarks; `values` are all of params.yaml."""
    variants = [name for name, variant in values["variants"].items() if variant["family"] == "pixelcnn"]
    found: dict[tuple[int, int, int], dict[str, Any]] = {}  # architectures by channels, layers and dilation
    for benchmark in benchmarks:
        shape = own.find(params.of_benchmark(values, benchmark)["in"], values["own"], Path()).shape
        for name in ("pixelcnn", *variants):
            architecture = resolve.training(values, benchmark, name)["architecture"]
            found.setdefault((3 if len(shape) == 3 else 1, architecture["layers"], architecture["dilation"]), architecture)
    rows = [
        ("colour" if colors == 3 else "grey", layers, dilation, *field_of_view(colors, architecture))
        for (colors, layers, dilation), architecture in sorted(found.items())
    ]
    return markdown.table("lrrrrr", ("images", "layers", "dilation", "rows above", "columns to the left", "to the right"), rows)
