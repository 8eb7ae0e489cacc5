"""Named parts of published sets, by place and by class, and sets that only the user's folder of images has."""

import dataclasses
import os
from pathlib import Path

import numpy as np
import pytest

from likelihood.common import images
from likelihood.common.errors import InputError
from likelihood.data import base, fetching, sets
from tests.helpers import COLOUR, files

PARTS = [name for name in base.names() if isinstance(base.get(name), base.Part)]
BY_CLASS = [name for name in PARTS if base.get(name).classes]
FOLDER_ONLY = [name for name in base.names() if getattr(base.get(name), "sources", None) == ()]
FOLDER = os.environ.get(fetching.FOLDER_VARIABLE)
ORDER = np.array([3, 0])
PART = base.Part(
    of="whole",
    shape=(4, 5, 3),
    splits={"train": base.Split(2, images.sha256(COLOUR[ORDER])), "test": base.Split(1, images.sha256(COLOUR[4:5]))},
    positions={"train": ("train", ORDER), "test": ("test", np.array([0]))},
)
WHOLE = base.Published(
    shape=(4, 5, 3),
    splits={"train": base.Split(4, images.sha256(COLOUR[:4])), "test": base.Split(2, images.sha256(COLOUR[4:]))},
    sources=(base.Source("memory", lambda scratch: {"train": COLOUR[:4], "test": COLOUR[4:]}),),
    licence="as one likes",
)
LABELS = {"train": np.array([1, 0, 0, 2]), "test": np.array([0, 1])}


def by_class(*classes):
    """The part of the whole set that has these classes."""
    splits = {}
    for split, pixels in (("train", COLOUR[:4]), ("test", COLOUR[4:])):
        chosen = pixels[np.isin(LABELS[split], classes)]
        splits[split] = base.Split(len(chosen), images.sha256(chosen))
    positions = {"train": ("train", np.arange(4)), "test": ("test", np.arange(2))}
    return base.Part(of="whole", shape=(4, 5, 3), splits=splits, positions=positions, classes=classes)


COUNTERPARTS = {"low": by_class(0), "high": by_class(1, 2)}


def labelled(scratch, labels=LABELS):
    """What a source with labels gives."""
    return {"train": COLOUR[:4], "test": COLOUR[4:], **{f"{split}_labels": each for split, each in labels.items()}}


def sourced(monkeypatch, *fetches):
    """Let the whole set come from these sources."""
    named = tuple(base.Source(f"source {number}", fetch) for number, fetch in enumerate(fetches))
    monkeypatch.setitem(sets.DATASETS, "whole", dataclasses.replace(WHOLE, sources=named))


@pytest.fixture(autouse=True)
def _registered(monkeypatch):
    for name, dataset in {"whole": WHOLE, **COUNTERPARTS}.items():
        monkeypatch.setitem(sets.DATASETS, name, dataset)


def write(folder, name, split, pixels, **others):
    (folder / name).mkdir(parents=True, exist_ok=True)
    np.savez(folder / name / f"{split}.npz", images=pixels, **others)


def test_a_part_is_cut_from_the_whole_set_that_is_fetched_once(tmp_path):
    pixels, origin = fetching.fetch("part", PART, "train", tmp_path, None)
    np.testing.assert_array_equal(pixels, COLOUR[ORDER])
    assert origin == "memory"
    pixels, origin = fetching.fetch("part", PART, "test", tmp_path, None)
    np.testing.assert_array_equal(pixels, COLOUR[4:5])
    assert origin == str(tmp_path / "whole/test.npy")


@pytest.mark.parametrize("held", [4, 6], ids=["just enough of the whole", "more"])
def test_the_user_s_folder_may_hold_the_leading_images_of_the_whole_set(tmp_path, held):
    write(tmp_path / "mine", "whole", "train", COLOUR[:held])
    pixels, origin = fetching.fetch("part", PART, "train", tmp_path / "kept", tmp_path / "mine")
    np.testing.assert_array_equal(pixels, COLOUR[ORDER])
    assert origin.endswith("mine/whole/train.npz")
    assert not (tmp_path / "kept").exists()


def test_the_user_s_folder_may_hold_the_part_itself(tmp_path):
    write(tmp_path, "part", "train", COLOUR[ORDER])
    write(tmp_path, "whole", "train", COLOUR[:1])
    pixels, _ = fetching.fetch("part", PART, "train", tmp_path / "kept", tmp_path)
    np.testing.assert_array_equal(pixels, COLOUR[ORDER])


@pytest.mark.parametrize(
    ("pixels", "fault"), [(COLOUR[:3], "it holds 3 images, not the first 4"), (COLOUR[::-1], "its pixels have the SHA-256")]
)
def test_a_whole_set_that_does_not_hold_the_part_is_refused(tmp_path, pixels, fault):
    write(tmp_path, "whole", "train", pixels)
    with pytest.raises(InputError, match=f"part train cannot be cut from .*train.npz: {fault}"):
        fetching.fetch("part", PART, "train", tmp_path / "kept", tmp_path)


@pytest.mark.parametrize("place", ["source", "folder"])
@pytest.mark.parametrize("split", LABELS)
def test_counterparts_share_no_image_and_together_are_the_whole_split(tmp_path, monkeypatch, place, split):
    folder = tmp_path / "mine" if place == "folder" else None
    if folder:
        for each, pixels in (("train", COLOUR[:4]), ("test", COLOUR[4:])):
            write(folder, "whole", each, pixels, labels=LABELS[each])
    else:
        sourced(monkeypatch, labelled)
    found = {name: fetching.fetch(name, part, split, tmp_path / "kept", folder)[0] for name, part in COUNTERPARTS.items()}
    low, high = ({image.tobytes() for image in found[name]} for name in COUNTERPARTS)
    whole = COLOUR[:4] if split == "train" else COLOUR[4:]
    assert not low & high
    assert low | high == {image.tobytes() for image in whole}
    assert len(found["low"]) + len(found["high"]) == len(whole)
    np.testing.assert_array_equal(found["low"], whole[LABELS[split] == 0])  # in their order


def test_a_source_is_asked_once_for_all_parts_by_class_and_no_label_is_written(tmp_path, monkeypatch):
    sourced(monkeypatch, labelled)
    assert fetching.fetch("low", COUNTERPARTS["low"], "test", tmp_path, None)[1] == "source 0"
    assert files(tmp_path) == ["high/test.npy", "high/train.npy", "low/test.npy", "low/train.npy"]
    sourced(monkeypatch)
    for name, part in COUNTERPARTS.items():
        for split in part.splits:
            pixels, origin = fetching.fetch(name, part, split, tmp_path, None)
            assert origin == str(tmp_path / name / f"{split}.npy")
            assert images.sha256(pixels) == part.splits[split].sha256


def test_a_damaged_part_by_class_is_fetched_anew(tmp_path, monkeypatch):
    sourced(monkeypatch, labelled)
    fetching.fetch("low", COUNTERPARTS["low"], "test", tmp_path, None)
    kept = tmp_path / "low/test.npy"
    whole = kept.read_bytes()
    kept.write_bytes(whole[:-1])
    assert fetching.fetch("low", COUNTERPARTS["low"], "test", tmp_path, None)[1] == "source 0"
    assert kept.read_bytes() == whole


@pytest.mark.parametrize(
    ("labels", "fault"),
    [
        ({}, "it gives no labels"),
        ({split: 1 - each for split, each in LABELS.items()}, "its pixels have the SHA-256|it holds uint8 of shape"),
        ({split: each[1:] for split, each in LABELS.items()}, r"its labels are of shape \(\d,\), not \(\d,\)"),
    ],
    ids=["none", "others", "too few"],
)
def test_a_source_with_no_or_other_labels_has_failed_and_nothing_is_left(tmp_path, monkeypatch, labels, fault):
    sourced(monkeypatch, lambda scratch: labelled(scratch, labels))
    needed = r"whole/train\.npz \(keys 'images', uint8, and 'labels'\)"
    with pytest.raises(InputError, match=rf"^whole could not be downloaded from source 0 \(({fault}).*\): .* {needed}$"):
        fetching.fetch("low", COUNTERPARTS["low"], "train", tmp_path, None)
    assert list(tmp_path.iterdir()) == []
    sourced(monkeypatch, lambda scratch: labelled(scratch, labels), labelled)
    assert fetching.fetch("low", COUNTERPARTS["low"], "train", tmp_path, None)[1] == "source 1"


@pytest.mark.parametrize(
    ("labels", "fault"),
    [
        ({}, "^{} has no key 'labels', by which low is cut from it: save it with numpy"),
        (
            {"labels": LABELS["train"][:3]},
            r"^low train cannot be cut from {}: its labels are of shape \(3,\), not \(4,\); replace",
        ),
        ({"labels": np.array(7)}, r"^low train cannot be cut from {}: its labels are of shape \(\), not \(4,\); replace"),
        ({"labels": np.array(list("1002"))}, r"^low train cannot be cut from {}: it holds uint8 of shape \(0, 4, 5, 3\), not"),
        ({"labels": np.roll(LABELS["train"], 1)}, "^low train cannot be cut from {}: its pixels have the SHA-256"),
        ({"labels": np.array([{}], dtype=object)}, r"^{} cannot be read as an \.npz file of images and labels"),
    ],
    ids=["none", "too few", "a number", "words", "others", "a program"],
)
def test_wrong_labels_in_the_user_s_folder_are_one_sentence_that_names_the_file(tmp_path, labels, fault):
    write(tmp_path, "whole", "train", COLOUR[:4], **labels)
    with pytest.raises(InputError, match=fault.format(tmp_path / "whole/train.npz")) as caught:
        fetching.fetch("low", COUNTERPARTS["low"], "train", tmp_path / "kept", tmp_path)
    assert "\n" not in str(caught.value)
    assert not (tmp_path / "kept").exists()


@pytest.mark.parametrize("whole", sorted({base.get(name).of for name in BY_CLASS}))
def test_parts_by_class_of_a_set_divide_its_ten_classes(whole):
    parts = base.by_class(whole).values()
    assert sorted(label for part in parts for label in part.classes) == list(range(10))
    positions = [part.positions["test"][1] for part in parts]
    assert sum(part.splits["test"].count for part in parts) == len(positions[0])
    assert all(np.array_equal(each, positions[0]) for each in positions)


def test_a_part_has_the_licence_of_the_whole_set():
    assert COUNTERPARTS["low"].licence == "as one likes"
    assert base.get("svhn_10k").licence == "for non-commercial use only"


@pytest.mark.parametrize("name", PARTS)
def test_every_part_keeps_the_contract(name):
    part = base.get(name)
    whole = base.get(part.of)
    assert whole.shape == part.shape
    assert {"test", part.out_split} <= part.splits.keys() == part.positions.keys()
    for split, (of, positions) in part.positions.items():
        assert len(positions) == len(set(positions.tolist()))
        assert part.splits[split].count < len(positions) if part.classes else part.splits[split].count == len(positions)
        assert 0 <= positions.min() <= positions.max() < whole.splits[of].count
        assert part.splits[split].sha256 is not None
    found = [part.positions[split] for split in ("train", "test") if split in part.positions]
    places = [{(of, place) for place in positions.tolist()} for of, positions in found]
    assert len(set().union(*places)) == sum(map(len, places))  # no image is for both


@pytest.mark.parametrize("name", FOLDER_ONLY)
def test_a_set_that_cannot_be_downloaded_says_so_and_what_is_needed(tmp_path, name):
    dataset = base.get(name)
    with pytest.raises(
        InputError, match=rf"{name} cannot be downloaded: set LIKELIHOOD_IMAGES .*{dataset.alias or name}/test\.npz"
    ):
        fetching.fetch(name, dataset, "test", tmp_path / "kept", tmp_path)
    assert not (tmp_path / "kept").exists()


def test_an_alias_is_looked_for_after_the_name_itself(tmp_path):
    dataset = dataclasses.replace(WHOLE, alias="other", sources=())
    write(tmp_path, "other", "test", COLOUR[4:])
    assert fetching.fetch("named", dataset, "test", tmp_path / "kept", tmp_path)[1].endswith("other/test.npz")
    write(tmp_path, "named", "test", COLOUR[4:])
    assert fetching.fetch("named", dataset, "test", tmp_path / "kept", tmp_path)[1].endswith("named/test.npz")


@pytest.mark.skipif(FOLDER is None, reason=f"{fetching.FOLDER_VARIABLE} names no folder of images")
@pytest.mark.parametrize("name", [*PARTS, *FOLDER_ONLY, "mnist"])
def test_the_folder_of_this_machine_holds_what_it_says(tmp_path, name):
    dataset = base.get(name)
    places = (name, getattr(dataset, "of", None), getattr(dataset, "alias", None))
    if not any(place and (Path(FOLDER) / place).exists() for place in places):
        pytest.skip(f"{FOLDER} has no {name}")
    for split in dataset.splits:
        pixels, origin = fetching.fetch(name, dataset, split, tmp_path, Path(FOLDER))
        assert origin.startswith(FOLDER)
        assert pixels.shape == (dataset.splits[split].count, *dataset.shape)
