"""Detectors: p-values keep the rate of false alarms; what is loaded judges as what was calibrated."""

import numpy as np
import pandas as pd
import pytest
import torch

from likelihood.common.errors import InputError
from likelihood.detection.detector import Detector
from likelihood.models.shared.base import LikelihoodModel
from tests.helpers import ROOT, digits


@pytest.fixture(scope="module")
def detector(small):
    before = torch.get_default_dtype()
    torch.set_default_dtype(torch.float32)
    yield Detector.load(small.folder, "mnist_5k")
    torch.set_default_dtype(before)


def test_a_loaded_detector_gives_an_image_the_likelihood_it_was_scored_with(small, detector):
    torch.set_default_dtype(torch.float32)
    table = pd.read_parquet(small.folder / "data/scores/mnist_5k/in/glow/val.parquet")
    found = detector(digits(small, "val")[table["index"].to_numpy()])
    np.testing.assert_allclose(found["glow.bits_per_dim"], table["log_prob"] / (-784 * np.log(2)), rtol=1e-5)


def test_fresh_in_distribution_images_are_flagged_at_the_rate_asked_for(small, detector):
    torch.set_default_dtype(torch.float32)
    found = detector(digits(small, "test")[:400])
    n = len(detector.calibration.levels)
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


def test_maps_add_up_to_the_likelihoods_and_a_model_without_places_is_named(small, detector, monkeypatch):
    torch.set_default_dtype(torch.float32)
    pixels = digits(small, "test")[:7]
    found, maps = detector(pixels), detector.maps(detector.checked(pixels))
    assert set(maps) == {"vae", "pixelcnn", "glow"}
    for model, each in maps.items():
        assert each.shape == (7, 28, 28)
        np.testing.assert_allclose(each.sum(axis=(1, 2)), -found[f"{model}.bits_per_dim"] * 784 * np.log(2), rtol=1e-4)
    assert detector.unmapped() == []
    monkeypatch.setattr(type(detector.models["glow"]), "terms", LikelihoodModel.terms)
    assert detector.unmapped() == ["glow"]


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
    assert Detector({}, facts, detector.calibration, "mnist_5k").other_codecs() == ["png"]


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
    text = (ROOT / "src/likelihood/detection/detector.py").read_text()
    assert 'Detector.load("fashion_mnist.detector")' in text
    assert 'found["all.code_kde.p"]' in text
