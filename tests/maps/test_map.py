"""The stage `map`: its numbers are those of the scores, its regions are what they say, its figure shows what may be shown."""

import json
import math

import numpy as np
import pandas as pd
import pytest

import map as stage
from likelihood.figures import maps
from likelihood.maps.places import EDGE, REGIONS, regions

FLAT, SHADED, EDGES = range(3)


def test_a_region_is_what_the_pixels_around_say():
    x = np.zeros((1, 1, 7, 7), np.uint8)
    x[0, 0, :, 5:] = EDGE
    found = regions(x)[0]
    assert (found[:, :4] == FLAT).all()
    assert (found[:, 4:6] == EDGES).all()
    assert (found[:, 6] == FLAT).all()  # beyond the image there is nothing
    x[0, 0, :, 5:] = EDGE - 1
    assert (regions(x)[0][:, 4:6] == SHADED).all()
    assert len(REGIONS) == 3


def test_an_edge_in_one_colour_is_an_edge():
    x = np.full((1, 3, 5, 5), 9, np.uint8)
    x[0, 2, 2, 2] = 255
    found = regions(x)[0]
    assert (found[1:4, 1:4] == EDGES).all()
    assert (found[[0, 4]] == FLAT).all()


def test_shares_add_up_and_a_region_that_is_nowhere_has_no_mean():
    bits = np.array([[[1.0, 1.0], [4.0, 10.0]]])
    table = stage.shares(bits, np.array([[[FLAT, FLAT], [SHADED, SHADED]]])).set_index("region")
    assert table["pixels"].tolist() == [0.5, 0.5, 0.0]
    assert table["bits"].sum() == pytest.approx(1.0)
    assert table.loc["shaded", "bits_per_pixel"] == 7.0
    assert math.isnan(table.loc["edges", "bits_per_pixel"])


def test_shown_are_the_ends_and_some_of_the_others_each_once():
    assert stage.shown(np.array([5.0, 9.0, 1.0, 3.0, 4.0])).tolist() == [2, 0, 1]
    assert stage.shown(np.array([5.0])).tolist() == [0]


def test_the_maps_of_a_pipeline_add_up_to_what_was_scored(small):
    table = pd.read_csv(small.folder / "metrics/mnist_5k/maps.csv")
    assert set(table["region"]) == set(REGIONS)
    for model in ("vae", "pixelcnn", "glow"):
        facts = json.loads(small.read(f"data/scores/mnist_5k/in/{model}/model.json"))
        for name, side in (("test", "in"), ("noise", "out")):
            rows = table[(table["model"] == model) & (table["set"] == name)]
            mean = (rows["pixels"] * rows["bits_per_pixel"].fillna(0.0)).sum()
            scored = pd.read_parquet(small.folder / f"data/scores/mnist_5k/{side}/{model}/{name}.parquet").set_index("index")
            assert mean == pytest.approx(-scored["log_prob"].mean() / facts["dims"] / math.log(2.0), rel=1e-3)
            with np.load(small.folder / f"data/maps/mnist_5k/{name}.npz", allow_pickle=False) as file:
                bits, index = file[model], file["index"]
                assert file[f"mean_{model}"].shape == bits.shape[1:] == (28, 28)
                assert file[f"mean_{model}"].mean() == pytest.approx(mean, rel=1e-3)
            nats = -scored.loc[index, "log_prob"] / math.log(2.0)
            np.testing.assert_allclose(bits.sum(axis=(1, 2)), nats, rtol=1e-4)


def drawn(in_name, sets, count=3, unit="bits_per_dim"):
    """The figure of so many images of these sets, and its pictures."""
    rng = np.random.default_rng(0)
    models = {
        "vae": maps.Model("vae" if unit == "bits_per_dim" else "vae_binarised", unit),
        "glow": maps.Model("glow", "bits_per_dim"),
    }
    found = {model: rng.random((count, 8, 8)) for model in models}
    images = rng.integers(0, 256, (count, 1, 8, 8), dtype=np.uint8)
    figure = maps.maps({name: maps.Maps(images, found, {m: found[m][0] for m in models}) for name in sets}, models, in_name)
    pictures = [ax.images[0] for ax in figure.axes if ax.images]
    return figure, [[each for each in pictures if each.get_cmap().name == kind] for kind in ("gray", "magma")]


@pytest.mark.parametrize(("in_name", "shown"), [("fashion_mnist", 6), ("svhn", 3), ("holidays", 3)])
def test_the_figure_has_images_only_where_they_may_be_passed_on(in_name, shown):
    figure, (images, found) = drawn(in_name, ("test", "noise", "cifar10"))
    assert len(images) == shown
    assert len(found) == 3 * (3 * 2 + 2)
    assert {each.norm.vmax for each in found} == {8.0}
    texts = [text.get_text() for text in figure.texts]
    assert {"most likely", "at random", "least likely", "mean of the set"} <= set(texts)


def test_a_bit_of_a_binarised_image_is_a_blind_guess_too():
    figure, (_, found) = drawn("fashion_mnist", ("test",), unit="binary_bits_per_dim")
    assert {each.norm.vmax for each in found} == {1.0, 8.0}
    assert any("binarised" in text.get_text() for text in figure.texts)


@pytest.mark.parametrize("count", [1, 2])
def test_a_set_of_few_images_leaves_places_empty(count):
    _, (images, found) = drawn("mnist", ("test",), count)
    assert len(images) == count
    assert len(found) == count * 2 + 2
