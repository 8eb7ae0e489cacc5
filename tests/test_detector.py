"""Detectors: p-values keep the rate of false alarms; what is loaded judges as what was calibrated; the command line."""

import json
import os
import subprocess
import sys

import numpy as np
import pandas as pd
import pytest
import torch
from PIL import Image

from likelihood import calibration
from likelihood.data import images
from likelihood.detector import Detector
from likelihood.errors import InputError
from tests.clone import environment
from tests.helpers import ROOT

BENCHMARK = ("--benchmark", "mnist_5k")


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


def digits(small, name, side="in"):
    x = np.load(small.folder / f"data/processed/mnist_5k/{side}/{name}.npy")
    return x[:, 0]  # [N, H, W]


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
    pd.testing.assert_frame_equal(detector(x[3:4]), detector(x).iloc[3:4].reset_index(drop=True), rtol=1e-5)


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
    with pytest.raises(InputError, match=r"data/detectors/mnist/detector\.json is not here: run `dvc repro`, or `dvc pull"):
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


@pytest.fixture(scope="module")
def pictures(small, tmp_path_factory):
    """Ten digits, one of them of another size and colour; noise and an archive in a folder below; a hidden file."""
    folder = tmp_path_factory.mktemp("pictures")
    for number, x in enumerate(digits(small, "test")[:10]):
        picture = Image.fromarray(x)
        picture = picture.resize((56, 60)).convert("RGB") if number == 9 else picture
        picture.save(folder / f"digit{number}.png")
    (folder / "more").mkdir()
    Image.fromarray(digits(small, "noise", "out")[0]).save(folder / "more/noise.png")
    (folder / ".hidden").write_text("x")
    np.savez(folder / "more/some.npz", images=digits(small, "test")[10:13])
    return folder


def detect(small, *arguments):
    done = subprocess.run(
        [sys.executable, "src/detect.py", *map(str, arguments)],
        cwd=small.folder,
        env=environment(),
        capture_output=True,
        text=True,
    )
    assert "Traceback" not in done.stderr, done.stderr
    return done


def test_every_image_of_a_folder_is_looked_at_and_what_is_flagged_sets_the_status(small, pictures):
    done = detect(small, *BENCHMARK, "--rate", "0.1", pictures)
    lines = done.stdout.splitlines()
    assert [line.split()[-1].removeprefix(f"{pictures}/") for line in lines] == [
        *(f"digit{number}.png" for number in range(10)),
        "more/noise.png",
        *(f"more/some.npz[{number}]" for number in range(3)),
    ]
    assert lines[10].startswith("FLAGGED  p 0.")
    assert done.returncode == 1
    assert "of 14 images flagged by all.code_kde at a rate of false alarms of 0.1; 0 skipped" in done.stderr
    calm = [line.split()[-1] for line in lines if line.startswith("normal")]
    again = detect(small, *BENCHMARK, "--rate", "0.1", *[name for name in calm if name.endswith(".png")])
    assert again.returncode == 0


def test_a_csv_and_a_json_file_hold_everything_and_one_model_may_be_enough(small, pictures, tmp_path):
    for name in ("found.csv", "found.json"):
        done = detect(small, *BENCHMARK, "--model", "glow", "--score", "glow.complexity", "--output", tmp_path / name, pictures)
        assert done.stdout == ""
        assert "flagged by glow.complexity" in done.stderr
    table, rows = pd.read_csv(tmp_path / "found.csv"), json.loads((tmp_path / "found.json").read_text())
    assert list(table) == list(rows[0])
    assert len(table) == len(rows) == 14
    assert {"image", "flagged", "glow.bits_per_dim", "glow.complexity", "glow.complexity.p", "none.mean.p"} <= set(table)
    assert not any(name.startswith(("vae.", "all.")) for name in table)
    assert list(table["flagged"]) == list(table["glow.complexity.p"] <= 0.05)
    np.testing.assert_allclose(table["glow.complexity"], [row["glow.complexity"] for row in rows])
    assert sorted(os.listdir(tmp_path)) == ["found.csv", "found.json"]


def test_a_file_that_cannot_be_read_is_reported_and_the_others_are_done(small, pictures, tmp_path):
    bad = tmp_path / "bad.png"
    bad.write_bytes(b"no picture")
    np.savez(tmp_path / "small.npz", images=np.zeros((2, 8, 8), np.uint8))
    done = detect(small, *BENCHMARK, bad, tmp_path / "small.npz", pictures / "digit0.png")
    assert done.returncode == 2
    assert len(done.stdout.splitlines()) == 1
    assert f"skipped: {bad} cannot be read as a picture" in done.stderr
    assert "small.npz holds images of shape (8, 8); the models know (28, 28)" in done.stderr
    assert "of 1 images flagged" in done.stderr
    assert "2 skipped" in done.stderr


WRONG = {
    "no file": (["nowhere"], "nowhere does not exist: name pictures, folders or .npz files"),
    "an empty folder": (["EMPTY"], "there is no file in it"),
    "an unknown score": (["--score", "glow.magic", "IMAGES"], "there is no score 'glow.magic'; there are vae."),
    "a rate that cannot be told": (
        ["--rate", "0.001", "IMAGES"],
        "--rate is 0.001; 30 calibration images can tell rates from",
    ),
    "a rate of one": (["--rate", "1", "IMAGES"], "--rate is 1.0;"),
    "another kind of file": (["--output", "found.txt", "IMAGES"], "found.txt must end in .csv or .json"),
    "a folder that is not there": (["--output", "no/found.csv", "IMAGES"], "no is not a folder: make it first"),
    "an unknown model": (["--model", "flow", "IMAGES"], "has no model 'flow'; it has vae, pixelcnn, glow"),
    "an unknown benchmark": (["--benchmark", "mnist", "IMAGES"], "there is no benchmark 'mnist' in params.yaml"),
}


@pytest.mark.parametrize("case", WRONG)
def test_bad_input_is_one_sentence_and_status_2(small, pictures, tmp_path, case):
    arguments, message = WRONG[case]
    places = {"EMPTY": tmp_path, "IMAGES": pictures}
    done = detect(small, *BENCHMARK, *[places.get(word, word) for word in arguments])
    assert done.returncode == 2
    (line,) = done.stderr.splitlines()
    assert line.startswith("error: ")
    assert message in line
    assert done.stdout == ""


def test_the_interface_is_what_its_docstring_shows():
    text = (ROOT / "src/likelihood/detector.py").read_text()
    assert 'Detector.load(Path("."), "fashion_mnist")' in text
    assert 'found["all.code_kde.p"]' in text
