"""The stage preprocess, run on small raw folders written here."""

import json
import re
import sys
from pathlib import Path

import numpy as np
import pytest

import preprocess
from likelihood.common import images, params
from likelihood.common.errors import InputError

SHAPES = {"grey": (4, 6), "colour": (4, 6, 3)}


@pytest.fixture(autouse=True)
def _empty_folder(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)


def draw(count, shape, seed):
    return np.random.RandomState(seed).randint(0, 256, (count, *shape), dtype=np.uint8)


def write_raw(shape, train=40, out=("noise", "other")):
    images.save(Path("data/raw/b/in/train.npy"), draw(train, shape, 0))
    images.save(Path("data/raw/b/in/test.npy"), draw(7, shape, 1))
    for seed, name in enumerate(out, start=2):
        images.save(Path(f"data/raw/b/out/{name}.npy"), draw(5, shape, seed))


def run(monkeypatch, seed=0, validation_fraction=0.25):
    values = {"seed": seed, "preprocess": {"validation_fraction": validation_fraction}, "score": {"images": 2000}}
    monkeypatch.setattr(params, "load", lambda: values)
    monkeypatch.setattr(sys, "argv", ["preprocess.py", "--benchmark", "b"])
    preprocess.main()
    folder = Path("data/processed/b")
    return {str(path.relative_to(folder)): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def processed(name):
    return images.load(Path("data/processed/b") / name)


@pytest.mark.parametrize("shape", SHAPES.values(), ids=SHAPES)
def test_train_and_val_are_disjoint_and_together_all_training_images(monkeypatch, shape):
    write_raw(shape)
    run(monkeypatch)
    train, val = processed("in/train.npy"), processed("in/val.npy")
    assert (len(train), len(val)) == (30, 10)
    both = sorted(image.tobytes() for image in [*train, *val])
    assert both == sorted(image.tobytes() for image in images.to_network(draw(40, shape, 0)))
    assert len(set(both)) == 40


@pytest.mark.parametrize("shape", SHAPES.values(), ids=SHAPES)
def test_test_and_out_sets_keep_pixels_and_order(monkeypatch, shape):
    write_raw(shape)
    run(monkeypatch)
    np.testing.assert_array_equal(processed("in/test.npy"), images.to_network(draw(7, shape, 1)))
    np.testing.assert_array_equal(processed("out/noise.npy"), images.to_network(draw(5, shape, 2)))
    np.testing.assert_array_equal(processed("out/other.npy"), images.to_network(draw(5, shape, 3)))


def test_the_same_raw_files_and_seed_give_the_same_bytes_and_another_seed_another_split(monkeypatch):
    write_raw((4, 6))
    first = run(monkeypatch)
    assert run(monkeypatch) == first
    other = run(monkeypatch, seed=1)
    assert {name for name in first if first[name] != other[name]} == {"in/train.npy", "in/val.npy", "in/statistics.json"}


def test_the_in_folder_does_not_depend_on_the_out_sets(monkeypatch):
    write_raw((4, 6))
    before = run(monkeypatch)
    Path("data/raw/b/out/noise.npy").unlink()
    images.save(Path("data/raw/b/out/third.npy"), draw(3, (4, 6), 9))
    after = run(monkeypatch)
    assert {name for name in after if name.startswith("out/")} == {"out/other.npy", "out/third.npy", "out/statistics.json"}
    assert {name: after[name] for name in after if name.startswith("in/")} == {
        name: before[name] for name in before if name.startswith("in/")
    }


@pytest.mark.parametrize("shape", SHAPES.values(), ids=SHAPES)
def test_statistics_are_those_of_train_and_of_each_out_set(monkeypatch, shape):
    write_raw(shape)
    files = run(monkeypatch)
    assert json.loads(files["in/statistics.json"]) == images.statistics(processed("in/train.npy"))
    assert json.loads(files["out/statistics.json"]) == {
        name: images.statistics(processed(f"out/{name}.npy")) for name in ("noise", "other")
    }


@pytest.mark.parametrize("validation_fraction", [1e-9, 0.5, 1 - 1e-9])
@pytest.mark.parametrize("count", [2, 3, 40])
def test_train_and_val_always_have_an_image_each(count, validation_fraction):
    val, train = preprocess.split(count, 0, validation_fraction)
    assert len(val) >= 1
    assert len(train) >= 1
    assert sorted([*val, *train]) == list(range(count))


@pytest.mark.parametrize(("train", "fraction", "held"), [(1, 0.5, 0), (34, 0.1, 3), (4, 0.999, 3)])
def test_too_few_images_for_a_detector_are_refused_before_anything_is_written(monkeypatch, train, fraction, held):
    write_raw((4, 6), train=train)
    message = rf"^of {train} training images preprocess\.validation_fraction {fraction} holds {held} out, but a detector needs 4"
    with pytest.raises(InputError, match=message):
        run(monkeypatch, validation_fraction=fraction)
    assert not Path("data/processed").exists()


def test_what_is_advised_suffices_and_one_image_less_does_not(monkeypatch):
    with pytest.raises(InputError) as refused:
        preprocess.detector(34, 0.1, 2000)
    images_needed, pictures = map(int, re.search(r"take (\d+) training images \((\d+) pictures", str(refused.value)).groups())
    larger = float(re.search(r"validation_fraction (0\.\d+)$", str(refused.value))[1])
    assert preprocess.detector(images_needed, 0.1, 2000).startswith("4 of 35 images are held out; 2 calibrate a detector")
    assert preprocess.detector(34, larger, 2000).startswith("4 of 34")
    assert pictures == 44
    for few, fraction in ((images_needed - 1, 0.1), (34, larger - 0.001)):
        with pytest.raises(InputError):
            preprocess.detector(few, fraction, 2000)


@pytest.mark.parametrize(
    ("count", "fraction", "scored", "told"),
    [
        (48_000, 0.1, 2000, "1000 calibrate a detector, which can resolve rates of false alarms from 0.001"),
        (366, 0.1, 2000, "19 calibrate a detector, which can resolve rates of false alarms from 0.05"),
        (
            365, 0.1, 2000,
            "18 calibrate a detector, which can resolve rates of false alarms from 0.053; for 0.05 take 366 training images"
            " (457 pictures, of which a fifth is for testing), or preprocess.validation_fraction 0.101",
        ),
        (
            48_000, 0.1, 4,
            "2 calibrate a detector, which can resolve rates of false alarms from 0.34; for 0.05 take score.images 37",
        ),
    ],
)  # fmt: skip
def test_the_rate_that_a_detector_will_resolve_is_said_at_the_start(count, fraction, scored, told):
    assert preprocess.detector(count, fraction, scored).endswith(told)


def test_the_start_says_it(monkeypatch, capsys):
    write_raw((4, 6))
    run(monkeypatch)
    assert capsys.readouterr().out.startswith("10 of 40 images are held out; 5 calibrate a detector, which can resolve rates")


def test_a_missing_raw_file_is_named_and_the_earlier_output_stays(monkeypatch):
    write_raw((4, 6))
    before = run(monkeypatch)
    Path("data/raw/b/in/test.npy").unlink()
    with pytest.raises(InputError, match=r"data/raw/b/in/test\.npy does not exist"):
        run(monkeypatch)
    folder = Path("data/processed")
    assert {str(path.relative_to(folder / "b")): path.read_bytes() for path in folder.rglob("*") if path.is_file()} == before
