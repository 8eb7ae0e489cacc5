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
    assert stage.shown(np.array([5.0, 9.0, 1.0, 3.0, 4.0])).tolist() == [2, 0, 3, 1]
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


@pytest.mark.parametrize(("in_name", "shown"), [("fashion_mnist", 6), ("svhn", 3)])
def test_the_figure_has_images_only_where_they_may_be_passed_on(in_name, shown):
    rng = np.random.default_rng(0)
    rows = {"vae": "vae", "glow": "glow"}
    found = {model: rng.random((3, 8, 8)) for model in rows}
    images = rng.integers(0, 256, (3, 1, 8, 8), dtype=np.uint8)
    sets = {name: maps.Maps(images, found, {model: found[model][0] for model in rows}) for name in ("test", "noise", "cifar10")}
    figure = maps.maps(sets, rows, in_name)
    pictures = [ax.images[0] for ax in figure.axes if ax.images]
    assert sum(picture.get_cmap().name == "gray" for picture in pictures) == shown
    drawn = [picture for picture in pictures if picture.get_cmap().name == "magma"]
    assert len(drawn) == 3 * (3 * 2 + 2)
    assert len({picture.norm.vmax for picture in drawn}) == 1, "one scale for all"
    texts = [text.get_text() for text in figure.texts]
    assert {"most likely", "at random", "least likely", "mean of the set"} <= set(texts)
