"""Detectors: p-values keep the rate of false alarms; what is loaded judges as what was calibrated."""

import numpy as np
import pandas as pd
import pytest
import torch

from likelihood import calibration
from likelihood.data import images
from likelihood.detector import Detector
from likelihood.errors import InputError
from tests.helpers import ROOT, digits


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


def test_every_score_of_single_images_is_fitted_on_numbers_alone(small):
    """What a score learns must not rest on the images: a detector keeps none."""
    tables = [pd.read_parquet(small.folder / f"data/scores/mnist_5k/in/{model}/val.parquet") for model in ("vae", "glow")]
    x = images.load(small.folder / "data/processed/mnist_5k/in/val.npy")[tables[0]["index"].to_numpy()]
    codes = pd.DataFrame(np.random.default_rng(0).uniform(900, 5000, (len(x), 4)), columns=["png", "webp", "jpeg2000", "jpegxl"])
    statistics = dict(zip(("vae", "glow"), [table.drop(columns="index") for table in tables], strict=True))
    with_images = calibration.samples(np.array(x), codes, statistics)
    without = calibration.samples(np.empty((len(x), 0)), codes, statistics)
    expected = calibration.scored(calibration.fitted(with_images), with_images)
    found = calibration.scored(calibration.fitted(without), with_images)
    pd.testing.assert_frame_equal(found, expected)
    assert {"all.code_kde", "glow.code_kde", "vae.typicality", "none.mean"} <= set(found)
    assert not any("typicality_" in name or "waic" in name for name in found)


@pytest.fixture(scope="module")
def detector(small):
    before = torch.get_default_dtype()
    torch.set_default_dtype(torch.float32)
    yield Detector.load(small.folder, "mnist_5k")
    torch.set_default_dtype(before)


def test_a_loaded_detector_gives_an_image_the_scores_it_was_calibrated_with(small, detector):
    torch.set_default_dtype(torch.float32)
    index = pd.read_parquet(small.folder / "data/scores/mnist_5k/in/glow/val.parquet")["index"].to_numpy()
    found = detector(digits(small, "val")[index])
    kept = pd.read_parquet(small.folder / "data/detectors/mnist_5k/calibration.parquet")
    assert list(kept) == detector.names
    for name in detector.names:
        distances = np.abs(found[name].to_numpy()[:, None] - kept[name].to_numpy()).min(axis=0)
        np.testing.assert_allclose(distances / (1 + np.abs(kept[name])), 0.0, atol=1e-4, err_msg=name)
    expected = pd.read_parquet(small.folder / "data/scores/mnist_5k/in/glow/val.parquet")["log_prob"] / (-784 * np.log(2))
    np.testing.assert_allclose(found["glow.bits_per_dim"], expected, rtol=1e-5)


def test_fresh_in_distribution_images_are_flagged_at_the_rate_asked_for(small, detector):
    torch.set_default_dtype(torch.float32)
    found = detector(digits(small, "test")[:400])
    n = len(detector.calibration)
    for name in detector.names:
        for rate in (0.1, 0.3):
            share = (found[f"{name}.p"] <= rate).mean()
            spread = np.sqrt(rate * (1 - rate) * (1 / n + 1 / 400))  # of the calibration images and of these
            assert abs(share - rate) <= 4 * spread + 1 / (n + 1), name


def test_an_image_has_the_same_numbers_alone_and_among_others(small, detector):
    torch.set_default_dtype(torch.float32)
    x = digits(small, "test")[:5]
    alone, among = detector(x[3:4]), detector(x).iloc[3:4].reset_index(drop=True)
    p = [name for name in alone if name.endswith(".p")]
    # Rounding differs with the number of rows of a product: a score may be a difference near 0, a p may pass by one more image.
    pd.testing.assert_frame_equal(alone.drop(columns=p), among.drop(columns=p), rtol=1e-5, atol=1e-5)
    pd.testing.assert_frame_equal(alone[p], among[p], rtol=0.0, atol=1.01 * detector.least_rate())


def test_noise_is_flagged(small, detector):
    torch.set_default_dtype(torch.float32)
    found = detector(digits(small, "noise", "out")[:20])
    assert (found["all.code_kde.p"] <= detector.least_rate() + 1e-12).all()


@pytest.mark.parametrize(
    ("pixels", "message"),
    [
        (np.zeros((3, 28, 28)), "the images are float64 of shape"),
        (np.zeros((3, 28, 27), np.uint8), "must be uint8 of shape"),
        (np.zeros((3, 28, 28, 3), np.uint8), "must be uint8 of shape"),
        (np.zeros((0, 28, 28), np.uint8), "must be uint8 of shape"),
    ],
)
def test_other_images_are_refused(detector, pixels, message):
    with pytest.raises(InputError, match=message):
        detector(pixels)


def test_what_is_missing_is_named(small, tmp_path):
    with pytest.raises(InputError, match=r"data/detectors/mnist/detector\.json is not here: name mnist under `run`"):
        Detector.load(small.folder, "mnist")
    with pytest.raises(InputError, match="has no model 'flow'; it has vae, pixelcnn, glow"):
        Detector.load(small.folder, "mnist_5k", ["flow"])


def test_other_versions_of_a_codec_are_known(small, detector):
    assert detector.other_codecs() == []
    facts = {**detector.facts, "codecs": {**detector.facts["codecs"], "png": "Pillow 1.0"}}
    reference = pd.read_parquet(small.folder / "data/detectors/mnist_5k/reference.parquet")
    assert Detector({}, facts, reference, detector.calibration).other_codecs() == ["png"]


def test_what_is_calibrated_holds_no_image(small):
    folder = small.folder / "data/detectors/mnist_5k"
    assert {path.name for path in folder.iterdir()} == {"reference.parquet", "calibration.parquet", "detector.json"}
    table = pd.read_csv(small.folder / "metrics/detectors/mnist_5k.csv", keep_default_na=False)
    assert set(table["rate"]) == {0.01, 0.05, 0.1}
    assert {f"{row.model}.{row.score}" for row in table.itertuples()} == set(
        pd.read_parquet(folder / "calibration.parquet").columns
    )
    assert table["flagged"].between(0, 1).all()


# The command line.


def test_the_interface_is_what_its_docstring_shows():
    text = (ROOT / "src/likelihood/detector.py").read_text()
    assert 'Detector.load(Path("."), "fashion_mnist")' in text
    assert 'found["all.code_kde.p"]' in text
