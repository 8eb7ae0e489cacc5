"""The stage `map`: its numbers are those of the scores, its regions are what they say, its figure shows what may be shown."""

import json
import math
import sys

import numpy as np
import pandas as pd
import pytest
import torch

import map as stage
import plot
from likelihood.common import images as arrays
from likelihood.common.errors import InputError
from likelihood.common.params import MODELS
from likelihood.figures import maps
from likelihood.figures.titles import model_title
from likelihood.maps.places import EDGE, REGIONS, regions
from likelihood.models.shared import checkpoint
from tests.builders import ARGUMENTS, build, images

FLAT, SHADED, EDGES = range(3)
SHAPE = (1, 8, 8)
SETS = {"test": "in", "digits": "out"}


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


@pytest.fixture
def project(tmp_path, monkeypatch):
    """A folder with all that the stage reads of a benchmark `toy`."""
    monkeypatch.chdir(tmp_path)
    for name in MODELS:
        weights = tmp_path / f"data/models/toy/{name}/best.safetensors"
        arguments = {"shape": SHAPE, **ARGUMENTS[name][0]}
        checkpoint.save(weights, build(name, ARGUMENTS[name][0], SHAPE).state_dict(), name, arguments)
        settings = tmp_path / f"data/settings/toy/{name}/scoring.json"
        settings.parent.mkdir(parents=True)
        settings.write_text(json.dumps({"seed": 0, "images": 9, "draws": 2}))
    for seed, (name, side) in enumerate({**SETS, "train": "in", "val": "in"}.items()):
        arrays.save(tmp_path / f"data/processed/toy/{side}/{name}.npy", images(12, SHAPE, seed=seed).numpy())
    return tmp_path


def mapped_without(left_out, monkeypatch):
    """Run the stage as if these families did not say where their likelihood arises."""
    silent = tuple(checkpoint.model_class(name) for name in left_out)
    monkeypatch.setattr(stage, "has_places", lambda model: not isinstance(model, silent))
    monkeypatch.setattr(sys, "argv", ["map.py", "--benchmark", "toy"])
    stage.main()


@pytest.mark.parametrize("left_out", ["vae", "pixelcnn"])  # the second says which images are shown, unless it is left out
def test_a_family_without_places_is_left_out_with_a_sentence_and_the_others_have_maps(project, left_out, monkeypatch, capsys):
    mapped_without([left_out], monkeypatch)
    told = capsys.readouterr().out
    assert told.count("is left out") == told.count(f"{left_out} is left out: it does not say where its likelihood arises") == 1
    others = [name for name in MODELS if name != left_out]
    table = pd.read_csv(project / "metrics/toy/maps.csv")
    assert table.groupby(["model", "set"]).size().to_dict() == {(model, name): 3 for model in others for name in SETS}
    judge = "pixelcnn" if "pixelcnn" in others else others[0]
    for name, side in SETS.items():
        x = torch.from_numpy(np.array(arrays.load(project / f"data/processed/toy/{side}/{name}.npy")))
        with np.load(project / f"data/maps/toy/{name}.npz", allow_pickle=False) as file:
            found = {key: file[key] for key in file.files}
        assert set(found) == {"index", *others, *(f"mean_{model}" for model in others)}
        for model in others:
            log_prob = checkpoint.load(project / f"data/models/toy/{model}/best.safetensors")[1].log_prob(x[found["index"]], 2)
            np.testing.assert_allclose(found[model].sum(axis=(1, 2)), -log_prob.numpy() / math.log(2.0), rtol=1e-4)
        bits = found[judge].sum(axis=(1, 2))
        assert bits[0] < bits[1] < bits[2]


def test_a_benchmark_no_family_of_which_says_where_has_nothing_to_map(project, monkeypatch):
    with pytest.raises(InputError, match="no model says where its likelihood arises: there is nothing to map"):
        mapped_without(MODELS, monkeypatch)
    assert not (project / "data/maps").exists()


@pytest.mark.parametrize("left_out", MODELS)
def test_the_figure_has_the_maps_of_those_that_have_some(project, left_out, monkeypatch):
    mapped_without([left_out], monkeypatch)
    found = {}
    for name, side in SETS.items():
        x = arrays.load(project / f"data/processed/toy/{side}/{name}.npy")
        found[name] = plot.mapped(x, project / f"data/maps/toy/{name}.npz")
    others = [name for name in MODELS if name != left_out]
    assert list(found["test"].maps) == list(found["test"].means) == others
    figure = maps.maps(found, {name: maps.Model(name, "bits_per_dim") for name in others}, "mnist")
    seen = [ax.images[0].get_array() for ax in figure.axes if ax.images and ax.images[0].get_cmap().name == "magma"]
    expected = []
    for each in found.values():
        expected += [each.maps[name][row] for row in range(3) for name in others]
        expected += [each.means[name] for name in others]
    assert len(seen) == len(expected) == 16
    for one, other in zip(seen, expected, strict=True):
        np.testing.assert_array_equal(one, other)


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
    judge = model_title(stage.JUDGE)
    assert {f"most likely, {judge}", "at random", f"least likely, {judge}", "mean of the set"} <= set(texts)


def test_a_bit_of_a_binarised_image_is_a_blind_guess_too():
    figure, (_, found) = drawn("fashion_mnist", ("test",), unit="binary_bits_per_dim")
    assert {each.norm.vmax for each in found} == {1.0, 8.0}
    assert any("binarised" in text.get_text() for text in figure.texts)


@pytest.mark.parametrize("count", [1, 2])
def test_a_set_of_few_images_leaves_places_empty(count):
    _, (images, found) = drawn("mnist", ("test",), count)
    assert len(images) == count
    assert len(found) == count * 2 + 2


def test_the_largest_range_of_a_pixel_s_colours_decides():
    x = np.full((1, 3, 5, 5), 9, np.uint8)
    x[0, 1, 2, 2] = 9 + EDGE  # a third of it, on average over the colours
    assert (regions(x)[0][1:4, 1:4] == EDGES).all()
