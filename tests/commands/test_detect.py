"""The script that flags anyone's images: what it looks at, what it writes, its exit status, what it says of bad input."""

import json
import os
import re
import signal
import subprocess
import sys
import threading
import time
from types import SimpleNamespace

import numpy as np
import pandas as pd
import pytest
from PIL import Image

from likelihood import cli
from likelihood.commands import detect as command
from likelihood.common.errors import InputError
from likelihood.detection import decisions
from tests.clone import environment
from tests.helpers import ROOT, digits

BENCHMARK = ("--benchmark", "mnist_5k")
ONE = ("--model", "glow", "--model", "glow")  # a name given twice is one


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


def detect(small, *arguments, **variables):
    done = small.likelihood("detect", *arguments, **variables)
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


def test_images_are_flagged_by_discoveries_or_in_groups(small, pictures, tmp_path):
    done = detect(small, *BENCHMARK, *ONE, "--fdr", "0.5", "--output", tmp_path / "f.csv", pictures)
    table = pd.read_csv(tmp_path / "f.csv")
    p, flagged = table["glow.code_kde.p"], table["flagged"]
    assert flagged.any()
    assert list(flagged) == list(decisions.discoveries(p.to_numpy(), 0.5))
    assert p[flagged].max() <= 0.5 * flagged.sum() / len(table)
    assert f"{flagged.sum()} of 14 images flagged by glow.code_kde at a false discovery rate of 0.5; 0 skipped" in done.stderr
    done = detect(small, *BENCHMARK, *ONE, "--fdr", "0.04", pictures)
    assert "note: of 14 images none is flagged unless 12 have the smallest p possible" in done.stderr
    many = tmp_path / "many"
    many.mkdir()
    (many / "000.png").write_text("x")
    for number, x in enumerate(digits(small, "noise", "out")[:23]):
        Image.fromarray(x).save(many / f"{number + 1:03d}.png")
    done = detect(small, *BENCHMARK, *ONE, "--group", "5", many)
    lines = done.stdout.splitlines()
    assert [line.split()[2] for line in lines] == [str(number // 5) for number in range(23)], "what is skipped is in no group"
    assert all(line.startswith("FLAGGED  group ") and " p 0.0" in line for line in lines)
    assert "23 of 23 images flagged by glow.code_kde in groups of 5, at a rate of false alarms of 0.05; 1 skipped" in done.stderr
    assert "the last group" not in done.stderr, "3 can be flagged"
    done = detect(small, *BENCHMARK, *ONE, "--group", "22", "--rate", "0.001", many)
    assert "note: the last group has only 1, too few to be flagged at 0.001" in done.stderr


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


def test_a_report_and_maps_are_written_beside_a_table(small, pictures, tmp_path):
    places = {name: tmp_path / name for name in ("found.csv", "report.html", "maps")}
    options = ("--output", places["found.csv"], "--report", places["report.html"], "--maps", places["maps"])
    done = detect(small, *BENCHMARK, *options, pictures)
    assert done.stdout == ""
    assert sorted(os.listdir(tmp_path)) == sorted(places)
    table = pd.read_csv(places["found.csv"])
    data = json.loads(re.search(r'id="data">(.*?)</script>', places["report.html"].read_text(encoding="utf-8"), re.S)[1])
    assert sorted(entry["name"] for entry in data["images"]) == sorted(table["image"])
    for number, bits in enumerate(table["glow.bits_per_dim"]):
        (file,) = places["maps"].glob(f"{number:05d}_*.glow.npy")
        assert -np.load(file, allow_pickle=False).sum() / 784 / np.log(2) == pytest.approx(bits, rel=1e-4)
    again = detect(small, *BENCHMARK, *ONE, "--output", places["found.csv"], pictures, tmp_path / "found.csv")
    assert again.stderr.endswith("; 0 skipped\n"), "what it is to write is none of its pictures"


def test_the_next_images_are_read_while_some_are_judged_and_what_is_wrong_with_them_is_said_after_these():
    reading = threading.Event()

    def found():
        yield ["first"]
        reading.set()
        yield ["second"]
        raise InputError("the third is wrong")

    batches = command.ahead(found())
    assert next(batches) == ["first"]
    assert reading.wait(60), "the second is read while the first is in use"
    assert next(batches) == ["second"]
    with pytest.raises(InputError, match="the third is wrong"):
        next(batches)


def test_a_model_without_places_has_no_map_and_nothing_is_written(tmp_path, monkeypatch):
    monkeypatch.chdir(ROOT)
    monkeypatch.setattr(command, "load", lambda *_: SimpleNamespace(unmapped=lambda: ["made"], score="made.code_kde"))
    monkeypatch.setattr(command, "decided", lambda *_: None)
    arguments = cli.parser().parse_args(
        [
            "detect",
            "--benchmark",
            "fashion_mnist",
            "--report",
            str(tmp_path / "r.html"),
            "--maps",
            str(tmp_path / "maps"),
            "README.md",
        ]
    )
    with pytest.raises(InputError, match="there is no map of made, whose terms have no places: use another --model"):
        command.run(arguments)
    assert not list(tmp_path.iterdir())


def test_a_file_that_cannot_be_read_is_reported_and_the_others_are_done(small, pictures, tmp_path):
    bad = tmp_path / "bad.png"
    bad.write_bytes(b"no picture")
    np.savez(tmp_path / "small.npz", images=np.zeros((2, 8, 8), np.uint8))
    done = detect(small, *BENCHMARK, bad, tmp_path / "small.npz", pictures / "digit0.png")
    assert done.returncode == 2
    assert len(done.stdout.splitlines()) == 1
    assert f"skipped: {bad} cannot be read as a picture" in done.stderr
    assert "small.npz holds images of shape (8, 8), but the models know (28, 28)" in done.stderr
    assert "of 1 images flagged" in done.stderr
    assert "2 skipped" in done.stderr


def test_every_picture_of_a_file_has_a_line_whatever_its_name_and_deep_ones_are_skipped(small, tmp_path):
    first, second = (Image.fromarray(x) for x in digits(small, "test")[:2])
    names = [b"caf\xe9.png", b"two\nlines.png", b"esc\x1b[31mred.png", "\u65e5.png".encode()]
    for name in names:
        first.save(os.fsdecode(os.fsencode(tmp_path) + b"/" + name), format="PNG")
    for suffix in ("gif", "tiff", "webp", "png"):
        first.save(tmp_path / f"two.{suffix}", save_all=True, append_images=[second])
    Image.fromarray(np.full((28, 28), 4000, np.uint16)).save(tmp_path / "deep.png")
    done = detect(small, *BENCHMARK, *ONE, tmp_path, *sorted(tmp_path.glob("two*")), PYTHONIOENCODING="ascii")
    shown = ["caf\\xe9.png", "esc\\x1b[31mred.png", "two\\nlines.png", "\\u65e5.png"]
    shown += [f"two.{suffix}[{number}]" for suffix in ("gif", "png", "tiff", "webp") for number in range(2)]
    assert sorted(line.split("/")[-1] for line in done.stdout.splitlines()) == sorted(shown)
    assert "skipped: " in done.stderr
    assert "deep.png has more than 8 bits per channel (16)" in done.stderr
    assert "note: 5 of the files were named twice; each is looked at once" in done.stderr
    assert "10 of 12 pictures are alike as the models see them" in done.stderr
    assert done.returncode == 2


def test_no_space_and_an_end_from_outside_are_not_taken_for_a_verdict(small, pictures, tmp_path):
    program = [sys.executable, "-m", "likelihood.cli", "detect", *BENCHMARK, *ONE]
    settings = {
        "cwd": small.folder,
        "env": {**environment(), "PYTHONPATH": str(small.folder / "src")},
        "capture_output": True,
        "text": True,
    }
    done = subprocess.run(["sh", "-c", '"$@" >/dev/full', "sh", *program, pictures], **settings)
    assert done.returncode == 2
    assert done.stderr.startswith("error: the standard output cannot be written (No space left on device)")
    np.savez(tmp_path / "many.npz", images=np.repeat(digits(small, "test")[:1], 100_000, axis=0))
    settings = {
        "cwd": small.folder,
        "env": {**environment(), "PYTHONPATH": str(small.folder / "src")},
        "stderr": subprocess.PIPE,
        "text": True,
    }
    (tmp_path / "found.csv").write_text("older")
    places = ["--output", tmp_path / "found.csv", "--report", tmp_path / "report.html", "--maps", tmp_path / "maps"]
    with subprocess.Popen([*program, *places, tmp_path / "many.npz"], **settings) as process:
        while not (partial := tmp_path / ".found.csv.partial").exists() or not partial.stat().st_size:
            assert process.poll() is None
            time.sleep(0.05)
        process.terminate()
        said = process.stderr.read()
    assert (process.returncode, said) == (-signal.SIGTERM, "interrupted\n")
    assert sorted(os.listdir(tmp_path)) == ["found.csv", "many.npz"]
    assert (tmp_path / "found.csv").read_text() == "older"


WRONG = {  # and tests/wrong/detect.py
    "an empty folder": (["EMPTY"], "there is no file in it"),
    "a rate of one": (["--rate", "1", "IMAGES"], "--rate is 1: it must be above 0 and below 1"),
    "a rate of nothing": (["--rate", "0", "IMAGES"], "--rate is 0: it must be"),
    "no name of a score": (["--score", "", "IMAGES"], "there is no score ''"),
    "a folder as output, named first": (["--output", "FOLDER", "nowhere"], "folder.csv is a folder: name a file"),
    "an unknown benchmark": (["--benchmark", "mnist", "IMAGES"], "there is no benchmark 'mnist' in params.yaml"),
}


@pytest.mark.parametrize("case", WRONG)
def test_bad_input_is_one_sentence_and_status_2(small, pictures, tmp_path, case):
    arguments, message = WRONG[case]
    (tmp_path / "folder.csv").mkdir()
    places = {"EMPTY": tmp_path, "IMAGES": pictures, "FOLDER": tmp_path / "folder.csv"}
    done = detect(small, *BENCHMARK, *[places.get(word, word) for word in arguments])
    assert done.returncode == 2
    (line,) = done.stderr.splitlines()
    assert line.startswith("error: ")
    assert message in line
    assert done.stdout == ""
