"""The script that flags anyone's images: what it looks at, what it writes, its exit status, what it says of bad input."""

import json
import os
import subprocess
import sys

import numpy as np
import pandas as pd
import pytest
from PIL import Image

from tests.clone import environment
from tests.helpers import digits

BENCHMARK = ("--benchmark", "mnist_5k")


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
    again = detect(small, *BENCHMARK, "--rate", "0.05", *[name for name in calm if name.endswith(".png")])
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
