"""Variants: what their tables say of seeds, how the numbers of an analysis are found, what the local model sees."""

import numpy as np
import pandas as pd
import pytest
import torch

import evaluate_analysis
import evaluate_variant
from likelihood.common import params
from likelihood.common.errors import InputError
from likelihood.figures import titles
from tests.builders import build, images
from tests.helpers import ROOT

LOCAL = params.load(ROOT / "params.yaml")["variants"]["pixelcnn_local"]


@pytest.mark.parametrize("pixels", ["softmax", "mixture"])
def test_the_local_model_sees_seven_by_four_pixels_above_three_to_the_left_and_no_more(pixels, monkeypatch):
    model = build("pixelcnn", {"layers": LOCAL["layers"], "channels": 6, "dilation": 4, "pixels": pixels}, (1, 13, 13))
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
    return pd.DataFrame({"index": [4, 9, 2], "regret": values})


def test_the_numbers_of_an_analysis_are_found_by_their_images(tmp_path):
    frame([-1.0, -2.0, -3.0]).to_parquet(tmp_path / "val.parquet")
    found = evaluate_analysis.read_added(tmp_path, {"val": np.array([2, 4])})
    assert found["val"]["regret"].tolist() == [-3.0, -1.0]
    with pytest.raises(InputError, match="has other images of val than the model's statistics"):
        evaluate_analysis.read_added(tmp_path, {"val": np.array([2, 5])})


def test_a_number_of_an_analysis_that_is_not_finite_is_refused(tmp_path):
    frame([-1.0, float("nan"), -3.0]).to_parquet(tmp_path / "val.parquet")
    with pytest.raises(InputError, match="a number of val is not finite; train with a lower lr"):
        evaluate_analysis.read_added(tmp_path, {"val": np.array([9])})


def test_a_mean_over_seeds_has_no_interval_which_would_be_over_images():
    facts, outs = {"unit": "bits_per_dim", "dims": 4}, ["mnist"]
    one, other = [
        {name: pd.DataFrame({"index": range(9), "log_prob": rng.normal(size=9)}) for name in ("train", "test", *outs)}
        for rng in map(np.random.RandomState, (0, 1))
    ]
    alone = [evaluate_variant.summary_of(facts, [each], "glow", outs, 10, 0)["glow"]["mnist"] for each in (one, other)]
    both = evaluate_variant.summary_of(facts, [one, other], "glow", outs, 10, 0)["glow"]["mnist"]
    assert both.keys() == alone[0].keys() - {"auroc_low", "auroc_high"}
    assert both["auroc"] == pytest.approx(np.mean([each["auroc"] for each in alone]), abs=1e-4)


def test_the_statistics_of_seeds_are_told_apart_and_a_single_model_has_none():
    table = pd.DataFrame({"index": [4, 9], "log_prob@1": -1.0, "kl@1": 2.0, "log_prob@2": -7.0, "kl@2": 3.0})
    first, second = evaluate_variant.of_seeds({"test": table, "val": table})
    assert list(first["test"]) == ["index", "log_prob", "kl"]
    assert second["val"]["log_prob"].tolist() == [-7.0, -7.0]
    assert evaluate_variant.of_seeds({"test": table[["index"]].assign(log_prob=0.0)}) == []


def test_a_variant_s_kind_is_its_name_without_its_family_s():
    assert titles.kind("pixelcnn_background", "pixelcnn") == "background"
    assert titles.kind("mine", "glow") == "mine"


def test_the_likelihoods_over_seeds_are_means_of_sets_in_the_model_s_unit():
    facts = {"dims": 10, "unit": "bits_per_dim"}
    alone = [{"test": pd.DataFrame({"log_prob": -10 * np.log(2) * np.array(bits)})} for bits in ([2, 4], [4, 4], [5, 5])]
    (row,) = evaluate_variant.mean_likelihoods(facts, alone, "glow", ["test"]).to_dict("records")
    assert row == {"model": "glow", "set": "test", "seeds": 3, "mean": pytest.approx(4.0), "std": pytest.approx(1.0)}
    facts["unit"] = "binary_bits_per_dim"
    assert evaluate_variant.mean_likelihoods(facts, alone, "vae_binarised", ["test"])["mean"].item() == pytest.approx(4.0)


def test_the_spread_over_seeds_is_that_of_auroc():
    one = pd.DataFrame({"model": "glow", "score": ["waic", "log_prob"], "out": "svhn", "auroc": [0.1, 0.5]})
    found = evaluate_variant.spread([one, one.assign(auroc=[0.4, 0.5]), one.assign(auroc=[0.7, 0.5])])
    assert found["score"].tolist() == ["waic", "log_prob"]
    row = found.iloc[0]
    assert (row["seeds"], row["auroc_least"], row["auroc_greatest"]) == (3, 0.1, 0.7)
    assert row["auroc_mean"] == pytest.approx(0.4)
    assert row["auroc_std"] == pytest.approx(0.3)
    assert found["auroc_std"].iloc[1] == 0.0
