"""Images on disk: layouts, files, statistics, hashes."""

import contextlib
import errno
import hashlib

import numpy as np
import pytest

from likelihood.common import images
from likelihood.common.errors import InputError
from tests.helpers import COLOUR, GREY, files


@pytest.mark.parametrize("pixels", [GREY, COLOUR])
def test_the_network_layout_moves_channels_first_and_changes_no_pixel(pixels):
    moved = images.to_network(pixels)
    assert moved.shape == (6, 3 if pixels.ndim == 4 else 1, 4, 5)
    assert moved.flags.c_contiguous
    for channel in range(moved.shape[1]):
        np.testing.assert_array_equal(moved[:, channel], pixels[..., channel] if pixels.ndim == 4 else pixels)


@pytest.mark.parametrize("pixels", [GREY, COLOUR])
def test_saved_images_are_mapped_again_unchanged_and_always_the_same_bytes(tmp_path, pixels):
    network = images.to_network(pixels)
    images.save(tmp_path / "new" / "one.npy", network)
    images.save(tmp_path / "two.npy", np.asfortranarray(network))
    loaded = images.load(tmp_path / "new" / "one.npy")
    assert isinstance(loaded, np.memmap)
    assert not loaded.flags.writeable
    np.testing.assert_array_equal(loaded, network)
    assert (tmp_path / "new" / "one.npy").read_bytes() == (tmp_path / "two.npy").read_bytes()
    images.save(tmp_path / "canonical.npy", pixels)
    np.testing.assert_array_equal(images.load_canonical(tmp_path / "canonical.npy"), pixels)


def test_the_hash_is_that_of_the_pixels_in_c_order():
    assert images.sha256(COLOUR) == hashlib.sha256(COLOUR.tobytes("C")).hexdigest() == images.sha256(np.asfortranarray(COLOUR))


@pytest.mark.parametrize(
    "array",
    [
        GREY,
        COLOUR,
        GREY[:, None].astype(np.float32),
        np.asfortranarray(COLOUR.transpose(0, 3, 1, 2)),
        GREY[:0, None],
        np.array([{}] * 2),
    ],
    ids=["canonical grey", "channels last", "float", "Fortran order", "empty", "pickle"],
)
def test_a_file_of_anything_but_network_images_is_refused_by_name(tmp_path, array):
    np.save(tmp_path / "x.npy", array, allow_pickle=True)
    with pytest.raises(InputError, match=r"x\.npy"):
        images.load(tmp_path / "x.npy")


@pytest.mark.parametrize("content", [None, b"", b"text", b"\x93NUMPY\x01\x00"])
def test_a_missing_or_damaged_file_is_refused_by_name(tmp_path, content):
    if content is not None:
        (tmp_path / "x.npy").write_bytes(content)
    with pytest.raises(InputError, match=r"x\.npy"):
        images.load(tmp_path / "x.npy")


def test_a_truncated_file_is_refused_by_name(tmp_path):
    images.save(tmp_path / "x.npy", GREY[:, None])
    (tmp_path / "x.npy").write_bytes((tmp_path / "x.npy").read_bytes()[:-1])
    with pytest.raises(InputError, match=r"x\.npy"):
        images.load(tmp_path / "x.npy")


def test_a_full_disk_while_saving_names_the_file_and_keeps_the_old_one(tmp_path, monkeypatch):
    images.save(tmp_path / "x.npy", GREY)
    before = (tmp_path / "x.npy").read_bytes()

    def full(file, header):
        file.write(b"half")
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(np.lib.format, "write_array_header_1_0", full)
    with pytest.raises(OSError, match="No space left") as caught:
        images.save(tmp_path / "x.npy", COLOUR)
    assert caught.value.errno == errno.ENOSPC
    assert caught.value.filename == str(tmp_path / "x.npy")
    assert files(tmp_path) == ["x.npy"]
    assert (tmp_path / "x.npy").read_bytes() == before


def test_a_replaced_folder_holds_only_the_new_files_and_after_a_failure_only_the_old(tmp_path):
    folder = tmp_path / "folder"
    folder.mkdir()
    (folder / "old").touch()
    with contextlib.suppress(KeyError), images.replaced(folder) as filling:
        (filling / "new").touch()
        raise KeyError
    assert files(tmp_path) == ["folder/old"]
    with images.replaced(folder) as filling:
        (filling / "new").touch()
    assert files(tmp_path) == ["folder/new"]


@pytest.mark.parametrize("pixels", [GREY, COLOUR, np.repeat(GREY, 400, axis=0)])
def test_statistics_agree_with_numpy(pixels):
    network = images.to_network(pixels)
    found = images.statistics(network)
    assert found["count"] == len(network)
    assert found["shape"] == list(network.shape[1:])
    np.testing.assert_allclose(found["mean"], network.mean(axis=(0, 2, 3)), rtol=1e-12)
    np.testing.assert_allclose(found["variance"], network.var(axis=(0, 2, 3)), rtol=1e-12)
