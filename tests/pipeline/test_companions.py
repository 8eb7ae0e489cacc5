"""Companions: what they are trained with, what their tables say, and how `compare` reads them."""

import copy

import compare
import numpy as np
import pandas as pd
import pytest
import torch
import train_companion
import yaml

from likelihood.common.errors import InputError
from tests.builders import build, images
from tests.clone import small_parameters

VALUES = yaml.safe_load(small_parameters())


def test_seeds_are_the_model_itself_from_other_random_numbers():
    model, members = train_companion.members(VALUES, "glow_seeds", "mnist_5k")
    assert model == "glow"
    assert [(member.name, member.seed, member.mutation) for member in members] == [("seed_7", 7, 0.0)]
    settings = members[0].settings
    assert settings["steps"] == VALUES["glow"]["steps"]
    assert settings["lr"] == VALUES["model"]["lr"]
    assert settings["snapshots"] == []


def test_a_background_sees_mutated_images_and_a_local_model_has_one_layer():
    values = copy.deepcopy(VALUES)
    values["benchmarks"]["mnist_5k"]["pixelcnn"] = {"layers": 9, "lr": 0.25}
    _, (background,) = train_companion.members(values, "pixelcnn_background", "mnist_5k")
    assert (background.name, background.seed, background.mutation) == ("background", values["seed"], 0.2)
    assert (background.settings["layers"], background.settings["lr"]) == (9, 0.25)
    _, (local,) = train_companion.members(values, "pixelcnn_local", "mnist_5k")
    assert (local.name, local.seed, local.mutation) == ("local", values["seed"], 0.0)
    assert (local.settings["layers"], local.settings["lr"]) == (1, 0.25)


@pytest.mark.parametrize("pixels", ["softmax", "mixture"])
def test_the_local_model_sees_seven_by_four_pixels_above_three_to_the_left_and_no_more(pixels, monkeypatch):
    model = build("pixelcnn", {"layers": train_companion.LOCAL_LAYERS, "channels": 6, "pixels": pixels}, (1, 13, 13))
    row, column, original, found = 8, 6, model.pixels.log_prob, []
    monkeypatch.setattr(model.pixels, "log_prob", lambda x, features: found.append(original(x, features)) or found[-1])

    def distribution(x):
        model(x, torch.zeros(1, 0))
        return found[-1][0, row, column, 0].item()  # log P(this pixel | what is before it)

    x = images(1, (1, 13, 13))
    before, seen = distribution(x), set()
    for r, c in np.ndindex(13, 13):
        if (r, c) != (row, column):
            other = x.clone()
            other[0, 0, r, c] = 255 - other[0, 0, r, c]
            if distribution(other) != before:
                seen.add((r - row, c - column))
    above = {(r, c) for r in (-4, -3, -2, -1) for c in range(-3, 4)}
    assert seen == above | {(0, c) for c in (-3, -2, -1)}


def frame(values):
    return pd.DataFrame({"index": [4, 9, 2], "log_prob@1": values, "kl@1": 1.0, "log_prob@2": 7.0})


def test_the_numbers_of_a_companion_are_found_by_their_images(tmp_path):
    frame([-1.0, -2.0, -3.0]).to_parquet(tmp_path / "val.parquet")
    found = compare.read_extra(tmp_path, {"val": np.array([2, 4])})
    assert found["val"]["log_prob@1"].tolist() == [-3.0, -1.0]
    assert compare.members(found["val"]) == ["1", "2"]
    assert list(compare.of_member(found["val"], "1")) == ["log_prob", "kl"]
    assert compare.of_member(found["val"], "2")["log_prob"].tolist() == [7.0, 7.0]
    with pytest.raises(InputError, match="has other images of val than the model's statistics"):
        compare.read_extra(tmp_path, {"val": np.array([2, 5])})


def test_a_number_of_a_companion_that_is_not_finite_is_refused(tmp_path):
    frame([-1.0, float("nan"), -3.0]).to_parquet(tmp_path / "val.parquet")
    with pytest.raises(InputError, match="a number of val is not finite; train with a lower lr"):
        compare.read_extra(tmp_path, {"val": np.array([9])})


def test_the_likelihoods_over_seeds_are_means_of_sets_in_the_model_s_unit():
    facts = {"dims": 10, "unit": "bits_per_dim"}
    alone = [
        {"val": pd.DataFrame({"log_prob": [0.0]}), "test": pd.DataFrame({"log_prob": -10 * np.log(2) * np.array(bits)})}
        for bits in ([2.0, 4.0], [4.0, 4.0], [5.0, 5.0])
    ]
    (row,) = compare.likelihoods(alone, facts, "glow").to_dict("records")
    assert row == {"model": "glow", "set": "test", "seeds": 3, "mean": pytest.approx(4.0), "std": pytest.approx(1.0)}
    facts["unit"] = "nats"
    assert compare.likelihoods(alone, facts, "vae_binarised")["mean"].item() == pytest.approx(40.0 * np.log(2))


def test_the_spread_over_seeds_is_that_of_auroc():
    one = pd.DataFrame({"model": "glow", "score": ["waic", "log_prob"], "out": "svhn", "auroc": [0.1, 0.5]})
    found = compare.spread([one, one.assign(auroc=[0.4, 0.5]), one.assign(auroc=[0.7, 0.5])])
    assert found["score"].tolist() == ["waic", "log_prob"]
    row = found.iloc[0]
    assert (row["seeds"], row["auroc_least"], row["auroc_greatest"]) == (3, 0.1, 0.7)
    assert row["auroc_mean"] == pytest.approx(0.4)
    assert row["auroc_std"] == pytest.approx(0.3)
    assert found["auroc_std"].iloc[1] == 0.0
