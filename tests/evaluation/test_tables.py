"""The tables behind the plots: densities that integrate to what they cover, curves that keep their shape."""

import numpy as np
import pandas as pd
import pytest

from likelihood.evaluation import metrics, tables

rng = np.random.RandomState(0)


def likelihoods(values, model="vae", unit="bits_per_dim"):
    return tables.likelihoods(model, unit, "test", np.arange(len(values)), np.array(values))


def test_a_histogram_integrates_to_the_share_of_images_it_covers():
    table = tables.histogram(likelihoods([*rng.normal(3.0, 0.5, 75), *[1e9] * 25]))
    assert (table["density"] * tables.BIN_WIDTH).sum() == pytest.approx(0.75, abs=1e-3)
    assert len(table) < 200  # a bound may be anything: the table stays small
    mean = (table["bits_per_dim"] * table["density"]).sum() / table["density"].sum()
    assert mean == pytest.approx(3.0, abs=0.2)


def test_sets_without_a_bin_and_other_units_leave_the_histogram_empty():
    table = pd.concat([likelihoods([1e9, 1e8]), likelihoods([90.0, 100.0], "vae_binarised", "binary_bits_per_dim")])
    assert tables.histogram(table).empty


def test_a_thinned_roc_curve_has_its_ends_and_its_area():
    inside, outside = rng.normal(0.0, 1.0, 2000), rng.normal(1.0, 1.0, 2000)
    table = tables.roc({"noise": metrics.roc(inside, outside)})
    assert len(table) <= tables.ROC_POINTS
    assert table[["fpr", "tpr"]].iloc[0].tolist() == [0.0, 0.0]
    assert table[["fpr", "tpr"]].iloc[-1].tolist() == [1.0, 1.0]
    area = np.trapezoid(table["tpr"], table["fpr"])
    assert area == pytest.approx(metrics.auroc(inside, outside), abs=0.002)
