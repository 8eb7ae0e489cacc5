"""Tables of the pages: a difference between two sets is split without a rest."""

import math

import pandas as pd
import pytest

from likelihood.docs import tables

REGIONS = ["flat", "shaded", "edges"]


def regions(pixels, bits):
    return pd.DataFrame({"pixels": pixels, "bits_per_pixel": bits}, index=REGIONS)


def total(found):
    return (found["pixels"] * found["bits_per_pixel"].fillna(0.0)).sum()


@pytest.mark.parametrize(
    ("inside", "outside", "kinds", "cost"),
    [
        (regions([0.5, 0.5, 0.0], [0.0, 4.0, 8.0]), regions([0.75, 0.25, 0.0], [0.0, 4.0, 8.0]), -1.0, 0.0),
        (regions([0.5, 0.5, 0.0], [0.0, 4.0, 8.0]), regions([0.5, 0.5, 0.0], [1.0, 5.0, 9.0]), 0.0, 1.0),
        (regions([0.5, 0.25, 0.25], [0.5, 2.0, 6.0]), regions([0.25, 0.25, 0.5], [1.0, 3.0, 5.0]), 1.1875, 0.0625),
        (regions([1.0, 0.0, 0.0], [2.0, math.nan, math.nan]), regions([0.0, 0.0, 1.0], [math.nan, math.nan, 8.0]), 6.0, 0.0),
    ],
)
def test_a_difference_is_split_into_what_the_pixels_are_and_what_they_cost(inside, outside, kinds, cost):
    found = tables.split(inside, outside)
    assert found == pytest.approx((kinds, cost))
    assert sum(found) == pytest.approx(total(outside) - total(inside))


def test_the_table_of_maps_has_a_row_per_pair_and_model_and_ends_with_the_split():
    parts = [
        regions(pixels, bits).rename_axis("region").reset_index().assign(model=model, set=name)
        for model in ("vae", "glow")
        for name, pixels, bits in (("test", [0.5, 0.5, 0.0], [0.0, 4.0, 8.0]), ("mnist", [0.75, 0.25, 0.0], [0.0, 4.0, 8.0]))
    ]
    lines = tables.maps_table([("fashion_mnist", "mnist", pd.concat(parts))]).splitlines()
    assert len(lines) == 4
    for line, title in zip(lines[2:], ("VAE", "Glow"), strict=True):
        cells = [cell.strip() for cell in line.strip("|").split("|")]
        assert cells[:3] == ["Fashion-MNIST → MNIST", title, "50 → 75"]
        assert cells[-3:] == ["-1.00", "-1.00", "+0.00"]
