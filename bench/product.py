"""What a matrix product costs by the two libraries that PyTorch has for it on a CPU."""

from collections.abc import Callable

import torch
from torch import Tensor
from torch.nn import functional as F

from bench.comparison import Comparison, Work


def product(rows: int, inputs: int, outputs: int) -> list[Comparison]:
    """One matrix product by PyTorch's linear algebra, and the same one as a 1×1 convolution by its library of networks.

    Our networks consist of the one, plain convolutional ones of the other, so this bounds what either can gain.
    """
    x, weight = torch.randn(rows, inputs), torch.randn(outputs, inputs)
    pixels = x.view(1, 1, rows, inputs).permute(0, 3, 1, 2)  # channels last, the same memory
    kernel = weight.view(outputs, inputs, 1, 1)

    def repeated(function: Callable[[], Tensor]) -> Work:
        def work() -> float:
            with torch.inference_mode():
                for _ in range(200):
                    function()
            return 200.0 * rows

        return work

    ours, theirs = repeated(lambda: F.linear(x, weight)), repeated(lambda: F.conv2d(pixels, kernel))
    return [Comparison(f"a product {rows}×{inputs}×{outputs}", "the same as a 1×1 convolution", ours, theirs)]
