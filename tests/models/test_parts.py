"""Named parts of official sets, and sets that only the user's folder of images has."""

import dataclasses
import os
from pathlib import Path

import numpy as np
import pytest

from likelihood.common import images
from likelihood.common.errors import InputError
from likelihood.data import base, fetching
from tests.helpers import COLOUR

PARTS = [name for name in base.names() if isinstance(base.get(name), base.Part)]
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
)


@pytest.fixture(autouse=True)
def _whole(monkeypatch):
    real = base.get
    monkeypatch.setattr(base, "get", lambda name: WHOLE if name == "whole" else real(name))


def write(folder, name, split, pixels):
    (folder / name).mkdir(parents=True, exist_ok=True)
    np.savez(folder / name / f"{split}.npz", images=pixels)


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


@pytest.mark.parametrize("name", PARTS)
def test_every_part_keeps_the_contract(name):
    part = base.get(name)
    whole = base.get(part.of)
    assert whole.shape == part.shape
    assert {"train", "test", part.out_split} <= part.splits.keys() == part.positions.keys()
    for split, (of, positions) in part.positions.items():
        assert len(positions) == part.splits[split].count == len(set(positions.tolist()))
        assert 0 <= positions.min() <= positions.max() < whole.splits[of].count
        assert part.splits[split].sha256 is not None
    (_, train), (_, test) = part.positions["train"], part.positions["test"]
    if part.positions["train"][0] == part.positions["test"][0]:
        assert not set(train.tolist()) & set(test.tolist())


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
    for split in dataset.splits:
        pixels, origin = fetching.fetch(name, dataset, split, tmp_path, Path(FOLDER))
        assert origin.startswith(FOLDER)
        assert pixels.shape == (dataset.splits[split].count, *dataset.shape)
