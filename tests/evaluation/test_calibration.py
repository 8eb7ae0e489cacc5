"""Calibration: p keeps the rate of false alarms; rounding decides nothing; what `calibrate` found is what a detector finds."""

import numpy as np
import pandas as pd
import pytest
import torch
from scipy.special import logsumexp

from likelihood import scores
from likelihood.common import counts, images, selection
from likelihood.detection.detector import Detector
from likelihood.evaluation import calibration
from likelihood.scores import complexity
from likelihood.scores.density import RESOLUTION, gaussian, kde, one_class_svm, whitening
from tests.helpers import digits

MODELS = ("vae", "pixelcnn", "glow")


@pytest.mark.parametrize("n", [1, 19, 200])
def test_p_is_uniform_on_the_grid_that_n_calibration_images_can_tell(n):
    rng = np.random.default_rng(n)
    p = np.concatenate([calibration.p_values(rng.normal(size=n), rng.normal(size=50)) for _ in range(400)])
    for rate in {1 / (n + 1), 0.05, 0.2, 0.5}:
        expected = np.floor(rate * (n + 1) + 1e-9) / (n + 1)
        assert (p <= rate + 1e-12).mean() == pytest.approx(expected, abs=4 * np.sqrt(expected * (1 - expected) / 400) + 1e-3)
    assert p.min() >= 1 / (n + 1)
    assert p.max() <= 1


def test_p_counts_equal_scores_as_at_least_as_outlying_and_falls_with_the_score():
    p = calibration.p_values(np.array([3.0, 1.0, 2.0, 2.0]), np.array([0.0, 1.0, 2.0, 2.5, 9.0]))
    np.testing.assert_allclose(p, [1.0, 1.0, 0.8, 0.4, 0.2])


def test_overlapping_intervals_are_ties_and_others_are_not():
    values = np.array([5.0, 1.0, 1.3, 1.6, 3.0])
    margins = np.array([0.1, 0.2, 0.2, 0.2, 0.5])
    np.testing.assert_allclose(calibration.levels(values, margins), [5.1, 1.8, 1.8, 1.8, 3.5], rtol=1e-6)
    alone = calibration.levels(values, 0.0 * margins)
    np.testing.assert_allclose(alone, values, rtol=1e-6)
    assert (alone >= values).all(), "rounded up, so that a score is no larger than its own level"


def test_a_held_out_image_has_one_p_however_its_score_was_rounded():
    rng = np.random.default_rng(0)
    for n in (2, 30, 300):
        values, margins = rng.normal(size=n), rng.gamma(1.0, 1.0 / n, size=n)
        levels = calibration.levels(values, margins)
        exact = calibration.p_values(levels, values)
        strict = (1 + (values[None] >= values[:, None]).sum(axis=1)) / (1 + n)
        assert (exact >= strict).all(), "a tie counts as at least as outlying"
        for _ in range(20):
            rounded = values + margins * rng.uniform(-1.0, 1.0, size=n)
            np.testing.assert_array_equal(calibration.p_values(levels, rounded), exact)


def known(rows, noise=0.0, seed=0, change=1.0):
    """What would be known of the same image again and again, with statistics that are exact to `noise`."""
    rng = np.random.default_rng(seed)
    columns = {
        "vae": {"log_prob": -1800.0, "reconstruction": -1750.0, "kl": 50.0},
        "pixelcnn": {"log_prob": -1500.0, "channel_0": -1500.0},
        "glow": {"log_prob": -1600.0, "log_pz": -1000.0, "ladj": -600.0, "latent_norm": 27.0},
    }
    statistics = {
        model: pd.DataFrame({name: value * change * (1 + noise * rng.uniform(-1, 1, rows)) for name, value in table.items()})
        for model, table in columns.items()
    }
    x = np.full((rows, 1, 28, 28), 90, np.uint8)
    x[:, :, 5:20] = 10
    return x, complexity.lengths(x), statistics


def judged(reference, held_out, others):
    """The scores and p of others by a calibration of two halves, all as (images, codes, statistics)."""
    _, codes, statistics = reference
    table = pd.concat([part.add_prefix(f"{name}.") for name, part in {"code": codes, **statistics}.items()], axis=1)
    judges = calibration.judges(table, list(MODELS))
    samples = calibration.samples(*held_out)
    values, margins = calibration.scored(judges, samples), calibration.margins(judges, samples)
    levels = pd.DataFrame({name: calibration.levels(values[name].to_numpy(), margins[name].to_numpy()) for name in judges})
    return calibration.Calibration(table, levels, list(MODELS)).judged(calibration.samples(*others))


def test_an_image_that_all_calibration_images_equal_has_p_1_and_another_is_flagged():
    noise = 0.7 * RESOLUTION
    reference, held_out = known(30, noise, seed=1), known(30, noise, seed=2)
    same, other = judged(reference, held_out, known(10, noise, seed=3)), judged(reference, held_out, known(1, change=1.3))
    for name in (name for name in same if name.endswith(".p")):
        assert (same[name] == 1.0).all(), name
    for name in ("all.code_kde", "vae.dose_kde", "glow.dose_svm", "pixelcnn.typicality", "glow.complexity", "glow.latent_norm"):
        assert other[f"{name}.p"].item() == 1 / 31, name


def test_no_score_resolves_what_rounding_changes():
    reference = known(30, 0.7 * RESOLUTION, seed=1)
    values = judged(reference, reference, known(50, 0.7 * RESOLUTION, seed=4))
    for name in (name for name in values if not name.endswith(".p")):
        assert np.ptp(values[name]) <= 1e-2, name  # nats, roots of nats or units of a machine; 1e16 without care


@pytest.mark.parametrize("rows", [1, 2, 3, 10])
@pytest.mark.parametrize("density", [kde, one_class_svm, gaussian])
@pytest.mark.filterwarnings("ignore:Only one sample")
def test_a_density_takes_as_few_rows_as_there_are_and_statistics_that_do_not_vary(density, rows):
    rng = np.random.default_rng(0)
    varied, constant = rng.normal(-900.0, 30.0, (rows, 2)), np.full((rows, 1), -5.0)
    reference = np.hstack([varied, constant, varied.sum(axis=1, keepdims=True), np.zeros((rows, 1))])
    judge = density(reference)
    moved = judge(reference * (1 + RESOLUTION * rng.uniform(-1, 1, reference.shape)))
    np.testing.assert_allclose(moved, judge(reference), rtol=1e-2, atol=1e-2)
    assert np.isfinite(judge(rng.normal(0.0, 1e6, (20, 5)))).all()


def test_a_kernel_density_of_a_single_statistic_is_that_of_the_textbook():
    t = np.random.default_rng(0).normal(70.0, 5.0, (200, 1))
    h = t.std(ddof=1) * 200 ** (-1 / 5)
    at = np.array([[60.0], [70.0], [91.0]])
    expected = -np.log(np.exp(-((at - t.T) ** 2) / (2 * h**2)).mean(axis=1) / np.sqrt(2 * np.pi * h**2))
    np.testing.assert_allclose(kde(t)(at), expected - np.log(t.std(ddof=1)), rtol=1e-6)


def test_a_kernel_density_is_exact_far_from_its_reference_too():
    rng = np.random.default_rng(0)
    reference = rng.normal(size=(1000, 7)) @ rng.normal(size=(7, 7))
    at = reference[:200] * np.geomspace(1.0, 300.0, 200)[:, None]
    whiten, directions = whitening(reference)
    h = 1000 ** (-1 / (directions + 4))
    squares = ((whiten(at)[:, None] - whiten(reference)) ** 2).sum(axis=2)
    expected = np.log(1000) + 3.5 * np.log(2 * np.pi * h**2) - logsumexp(-squares / (2 * h**2), axis=1)
    np.testing.assert_allclose(kde(reference)(at), expected, rtol=1e-9)


def test_a_statistic_differs_between_batches_by_no_more_than_the_resolution_that_is_stated(small):
    torch.set_default_dtype(torch.float32)
    detector = Detector.load(small.folder, "mnist_5k")
    x = torch.from_numpy(images.to_network(digits(small, "test")[:40]))
    for name, model in detector.models.items():
        alone, *others = [torch.cat([model.log_prob(part, 4) for part in x.split(size)]) for size in (1, 7, 40)]
        for each in others:
            assert ((each - alone) / alone).abs().max().item() <= RESOLUTION, name


# The small pipeline.


@pytest.fixture(scope="module")
def held_out(small):
    """The calibration images of the small pipeline, (N, C, H, W), and what `calibrate` knew of them."""
    tables = {model: pd.read_parquet(small.folder / f"data/scores/mnist_5k/in/{model}/val.parquet") for model in MODELS}
    index = tables["glow"].pop("index").to_numpy()
    rows = np.split(selection.compared("val", len(index), len(index), 0), [len(index) // 2])[1]
    x = np.array(images.load(small.folder / "data/processed/mnist_5k/in/val.npy")[index[rows]])
    statistics = {
        model: table.drop(columns="index", errors="ignore").iloc[rows].reset_index(drop=True) for model, table in tables.items()
    }
    return x, calibration.samples(x, complexity.lengths(x), statistics)


@pytest.mark.parametrize("size", [1, 7, 200])
def test_the_detector_gives_its_calibration_images_the_p_that_calibrate_gave(small, held_out, size):
    torch.set_default_dtype(torch.float32)
    detector, (x, samples) = Detector.load(small.folder, "mnist_5k"), held_out
    expected = detector.calibration.judged(samples)
    found = pd.concat([detector.table(x[start : start + size]) for start in range(0, len(x), size)], ignore_index=True)
    for name in detector.names:
        np.testing.assert_array_equal(found[f"{name}.p"], expected[f"{name}.p"], err_msg=name)


def test_the_metrics_of_a_detector_are_those_of_what_is_shipped(small):
    torch.set_default_dtype(torch.float32)
    index = pd.read_parquet(small.folder / "data/scores/mnist_5k/in/glow/test.parquet")["index"].to_numpy()
    found = Detector.load(small.folder, "mnist_5k").table(digits(small, "test")[index])
    table = pd.read_csv(small.folder / "metrics/detectors/mnist_5k.csv", keep_default_na=False)
    for row in table.itertuples():
        share = (found[f"{row.model}.{row.score}.p"] <= row.rate).mean()
        assert row.flagged == pytest.approx(share, abs=1.01 / len(index)), f"{row.model}.{row.score}"


def test_a_detector_of_some_models_has_the_same_p_and_no_score_of_all(small):
    torch.set_default_dtype(torch.float32)
    x = digits(small, "test")[:5]
    every, two = (Detector.load(small.folder, "mnist_5k", models).table(x) for models in (None, ["vae", "glow"]))
    assert not any(name.startswith(("all.", "pixelcnn.")) for name in two)
    pd.testing.assert_frame_equal(two, every[list(two)], check_exact=False, rtol=1e-5, atol=1e-5)


def test_every_score_of_single_images_is_fitted_on_numbers_alone(held_out):
    """What a score learns must not rest on the images: a detector keeps none."""
    _, samples = held_out
    bare = {model: sample._replace(images=np.empty((len(sample.images), 0))) for model, sample in samples.items()}
    expected = calibration.scored(calibration.fitted(samples), samples)
    pd.testing.assert_frame_equal(calibration.scored(calibration.fitted(bare), samples), expected)
    assert {"all.code_kde", "glow.code_kde", "vae.typicality", "none.mean"} <= set(expected)
    assert all(scores.get(name.split(".")[1]).batch == 1 for name in expected)


def test_the_halves_are_drawn_from_the_seed_and_the_larger_one_calibrates():
    x, codes, statistics = known(7, 0.1)
    first, again, other = (calibration.calibrated(x, codes, statistics, seed) for seed in (0, 0, 1))
    assert (len(first[0]), len(first[1])) == (3, 4) == (7 - counts.calibrating(7), counts.calibrating(7))
    pd.testing.assert_frame_equal(first[0], again[0])
    assert not first[0].equals(other[0])


def test_the_uncertainty_of_a_score_is_its_resolution_and_the_same_on_both_sides_of_a_bend():
    """Of a distance from a mean, which bends there, and of a score that rests on no statistic."""
    table = pd.DataFrame({"log_prob": 1000.0 * (-1 + RESOLUTION * np.array([-0.5, 0.5]))})
    x = np.full((2, 1, 4, 4), 200, np.uint8)
    samples = calibration.samples(x, complexity.lengths(x), {"glow": table})
    judges = {"glow.typicality": scores.get("typicality"), "none.mean": scores.get("mean")}
    judges["glow.typicality"].entropy_ = 1000.0
    found = calibration.margins(judges, samples)
    np.testing.assert_allclose(found["glow.typicality"], 1000.0 * RESOLUTION, rtol=1e-3)
    np.testing.assert_allclose(found["none.mean"], 200.0 * RESOLUTION)
