"""The stage download, run in an empty folder on the sets that need no network."""

import json
import sys
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

import download
from likelihood.common import images, params
from likelihood.common.errors import InputError
from likelihood.data import base
from likelihood.settings import resolve

DIGITS = {"in": "mnist_5k", "out": ["noise", "constant"]}


@pytest.fixture(autouse=True)
def _empty_folder(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("LIKELIHOOD_IMAGES", raising=False)


def run(monkeypatch, benchmarks, name="b", own=None):
    monkeypatch.setattr(params, "resolved", lambda name, _: resolve.sets({"benchmarks": benchmarks, "own": own or {}}, name))
    monkeypatch.setattr(sys, "argv", ["download.py", "--benchmark", name])
    download.main()


def written():
    return {str(path.relative_to("data/raw")): path.read_bytes() for path in Path("data/raw").rglob("*") if path.is_file()}


def test_a_benchmark_gets_the_splits_of_its_in_set_and_one_file_an_out_set(monkeypatch, capsys):
    run(monkeypatch, {"b": DIGITS})
    shapes = {path: images.load_canonical(Path("data/raw") / path).shape for path in written()}
    assert shapes == {
        "b/in/train.npy": (4000, 28, 28),
        "b/in/test.npy": (1000, 28, 28),
        "b/out/noise.npy": (10_000, 28, 28),
        "b/out/constant.npy": (256, 28, 28),
    }
    assert "mnist_5k train: 4000 images from" in capsys.readouterr().out


def test_running_twice_gives_the_same_files(monkeypatch):
    run(monkeypatch, {"b": DIGITS})
    first = written()
    run(monkeypatch, {"b": DIGITS})
    assert written() == first


def test_an_out_set_taken_from_the_benchmark_is_removed_and_the_in_set_stays_as_it_was(monkeypatch):
    run(monkeypatch, {"b": DIGITS})
    before = written()
    run(monkeypatch, {"b": {**DIGITS, "out": ["constant"]}})
    after = written()
    assert "b/out/noise.npy" not in after
    assert after == {path: before[path] for path in after}


def test_a_published_out_set_is_its_out_split_and_a_made_one_has_the_colours_of_the_in_set(monkeypatch):
    pixels = np.random.RandomState(0).randint(0, 256, (5, 4, 4, 3), dtype=np.uint8)
    splits = {name: base.Split(len(part), images.sha256(part)) for name, part in (("train", pixels[:3]), ("test", pixels[3:]))}
    source = base.Source("memory", lambda scratch: {"train": pixels[:3], "test": pixels[3:]})
    colour = base.Published(shape=(4, 4, 3), splits=splits, sources=(source,), licence="none")
    real = base.get
    monkeypatch.setattr(base, "get", lambda name: colour if name in ("red", "green") else real(name))
    run(monkeypatch, {"b": {"in": "red", "out": ["green", "constant"]}})
    np.testing.assert_array_equal(np.load("data/raw/b/out/green.npy"), pixels[3:])
    assert np.load("data/raw/b/out/constant.npy").shape == (256, 4, 4, 3)


@pytest.mark.parametrize("benchmark", [{"in": "unheard_of", "out": ["noise"]}, {"in": "mnist_5k", "out": ["unheard_of"]}])
def test_an_unknown_set_is_refused_before_anything_is_written(monkeypatch, benchmark):
    with pytest.raises(InputError, match="no data set 'unheard_of'"):
        run(monkeypatch, {"b": benchmark})
    assert not Path("data").exists()


def test_a_user_s_own_images_are_an_in_set_and_an_out_set(monkeypatch):
    pixels = np.random.RandomState(0).randint(0, 256, (14, 6, 8, 3), dtype=np.uint8)
    for name, part in (("holidays", pixels[:10]), ("office", pixels[10:])):
        (Path("data/own") / name).mkdir(parents=True)
        for number, image in enumerate(part):
            Image.fromarray(image).save(f"data/own/{name}/{number}.png")
    own = {name: {"height": 6, "width": 8, "channels": 3, "convert": False} for name in ("holidays", "office")}
    run(monkeypatch, {"b": {"in": "holidays", "out": ["office", "constant"]}}, own=own)
    assert json.loads(Path("data/raw/b/in/prepared.json").read_text(encoding="utf-8")) == {"resized": 0.0, "lossy": 0.0}
    assert {path: np.load(Path("data/raw") / path).shape for path in written() if path.endswith(".npy")} == {
        "b/in/train.npy": (8, 6, 8, 3),
        "b/in/test.npy": (2, 6, 8, 3),
        "b/out/office.npy": (4, 6, 8, 3),
        "b/out/constant.npy": (256, 6, 8, 3),
    }
    before = written()
    Path("data/own/office/9.png").write_bytes(b"no picture")
    with pytest.raises(InputError, match=r"data/own/office/9\.png cannot be read as a picture"):
        run(monkeypatch, {"b": {"in": "holidays", "out": ["office", "constant"]}}, own=own)
    assert written() == before


@pytest.mark.parametrize("link", ["holidays", "holidays/more"])
def test_a_link_to_a_folder_is_refused_as_dvc_would_not_see_its_pictures_change(monkeypatch, tmp_path, link):
    (tmp_path / "elsewhere").mkdir()
    place = Path("data/own") / link
    place.parent.mkdir(parents=True)
    place.symlink_to(tmp_path / "elsewhere")
    own = {"holidays": {"height": 6, "width": 8, "channels": 3, "convert": False}}
    with pytest.raises(InputError, match=rf"^data/own/{link} is a link to a folder, behind which DVC does not look"):
        run(monkeypatch, {"b": {"in": "holidays", "out": ["constant"]}}, own=own)
    assert not Path("data/raw").exists()


def test_an_unknown_benchmark_is_refused_with_the_known_ones(monkeypatch):
    with pytest.raises(InputError, match=r"no benchmark 'b' .* the known ones are digits"):
        run(monkeypatch, {"digits": DIGITS})


def test_a_failure_half_way_leaves_the_earlier_files_and_nothing_else(monkeypatch):
    run(monkeypatch, {"b": DIGITS})
    before = written()
    monkeypatch.setattr(
        download, "fetched", lambda name, dataset, split: np.zeros((1, 28, 28), np.uint8) if split == "train" else 1 / 0
    )
    with pytest.raises(ZeroDivisionError):
        run(monkeypatch, {"b": DIGITS})
    assert written() == before


def test_the_folder_named_by_the_environment_is_used(monkeypatch, tmp_path):
    path = tmp_path / "mine/mnist_5k/train.npz"
    path.parent.mkdir(parents=True)
    np.savez(path, images=np.zeros((4000, 28, 28), np.uint8))
    monkeypatch.setenv("LIKELIHOOD_IMAGES", str(tmp_path / "mine"))
    with pytest.raises(InputError, match=r"mine/mnist_5k/train\.npz is not mnist_5k train: .*SHA-256"):
        run(monkeypatch, {"b": DIGITS})
    assert written() == {}


def test_a_folder_named_from_where_an_experiment_was_started_is_found(monkeypatch, tmp_path):
    path = tmp_path / "mine/mnist_5k/train.npz"
    path.parent.mkdir(parents=True)
    np.savez(path, images=np.zeros((4000, 28, 28), np.uint8))
    (tmp_path / ".dvc/tmp/exps/x").mkdir(parents=True)
    monkeypatch.chdir(tmp_path / ".dvc/tmp/exps/x")
    monkeypatch.setenv("DVC_ROOT", str(tmp_path))
    monkeypatch.setenv("LIKELIHOOD_IMAGES", "mine")
    with pytest.raises(InputError, match=r"mine/mnist_5k/train\.npz is not mnist_5k train"):
        run(monkeypatch, {"b": DIGITS})
