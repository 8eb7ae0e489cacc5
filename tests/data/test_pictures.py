"""Files of pictures: every picture is given and named, or the file refused by name; never a part of it."""

import struct

import numpy as np
import pytest
from PIL import Image

from likelihood.common.errors import InputError
from likelihood.data import pictures
from tests.picturefiles import FILMS, FRAMES, STILLS, tiff, written


def names_and_pixels(path):
    return [(name, np.asarray(picture.convert("RGB"))) for name, picture in pictures.read(path)]


def given(path):
    """The pictures that are given, and the message that ends them or nothing."""
    found = []
    try:
        for _, picture in pictures.read(path):
            found.append(np.asarray(picture.convert("RGB")).tobytes())
    except InputError as error:
        return found, str(error)
    return found, ""


@pytest.mark.parametrize("form", STILLS)
def test_a_file_of_one_picture_has_its_name_alone(tmp_path, form):
    path = tmp_path / "x"
    path.write_bytes(written(form, **FILMS.get(form, {})))
    ((name, pixels),) = names_and_pixels(path)
    assert name == str(path)
    assert pixels.shape == (9, 11, 3)
    if form not in ("GIF", "MPO", "JPEG", "AVIF"):
        np.testing.assert_array_equal(pixels, np.asarray(FRAMES[0]))
    assert pictures.only(path).size == (11, 9)


@pytest.mark.parametrize("form", FILMS)
def test_every_picture_of_a_file_is_given_and_numbered_and_only_one_is_refused(tmp_path, form):
    path = tmp_path / "film"
    path.write_bytes(written(form, FRAMES, **FILMS[form]))
    found = names_and_pixels(path)
    assert [name for name, _ in found] == [f"{path}[{number}]" for number in range(3)]
    for (_, pixels), frame in zip(found, FRAMES, strict=True):
        differences = np.abs(pixels.astype(int) - np.asarray(frame))
        assert differences.mean() < (0.1 if form in ("TIFF", "WEBP", "PNG") else 60.0)  # noise is what JPEG and AVIF lose most of
    with pytest.raises(InputError, match=r"film holds several pictures: save each as a file of its own$"):
        pictures.only(path)


@pytest.mark.slow
@pytest.mark.parametrize(("form", "count"), [*((form, 1) for form in STILLS), *((form, 2) for form in FILMS)])
def test_a_file_that_was_cut_anywhere_is_refused_or_whole(tmp_path, form, count):
    path, data = tmp_path / "x", written(form, FRAMES[:count], **FILMS.get(form, {}))
    path.write_bytes(data)
    whole = [pixels.tobytes() for _, pixels in names_and_pixels(path)]
    assert len(whole) == count
    refused = 0
    for end in range(0, len(data), 1 if len(data) < 500 else 7):
        path.write_bytes(data[:end])
        found, message = given(path)
        if message:
            assert message.startswith(f"{path}")
            assert message.isprintable()
            refused += 1
        assert found == whole[: len(found) if message else count], end
    assert refused > 20


def test_the_picture_that_is_damaged_is_named_after_those_before_it(tmp_path):
    path, data = tmp_path / "film.png", bytearray(written("PNG", FRAMES))
    data[-40] ^= 255
    path.write_bytes(data)
    found, message = given(path)
    assert len(found) == 2
    assert message.startswith(f"{path}[2] cannot be read as a picture (")


def test_further_pictures_that_are_not_read_are_refused(tmp_path):
    ppm = written("PPM")
    path = tmp_path / "x"
    for data in (ppm + ppm, ppm + b"\n" + ppm, tiff(8, 1, 1, further=[(330, 4, 1, 8)])):
        path.write_bytes(data)
        with pytest.raises(InputError, match=r"x cannot be read as a picture \(it holds further pictures that are not read\)"):
            list(pictures.read(path))
    path.write_bytes(ppm + b"\n")
    assert len(names_and_pixels(path)) == 1


def test_each_picture_of_a_tiff_has_bits_and_an_orientation_of_its_own(tmp_path):
    path = tmp_path / "x.tiff"
    turned, upright = (struct.pack("<HHII", 274, 3, 1, orientation) for orientation in (6, 1))
    before, _, after = written("TIFF", FRAMES[:2], tiffinfo={274: 6}).rpartition(turned)
    path.write_bytes(before + upright + after)
    first, second = (pixels for _, pixels in names_and_pixels(path))
    np.testing.assert_array_equal(first, np.rot90(np.asarray(FRAMES[0]), -1))
    np.testing.assert_array_equal(second, np.asarray(FRAMES[1]))
    path.write_bytes(written("TIFF", [FRAMES[0], FRAMES[1].convert("L").convert("I;16")]))
    with pytest.raises(InputError, match=r"x\.tiff\[1\] has more than 8 bits per channel \(16\)"):
        list(pictures.read(path))


def test_a_large_tiff_s_directories_are_counted(tmp_path):
    path = tmp_path / "x.tiff"
    path.write_bytes(written("TIFF", FRAMES, big_tiff=True))
    assert [name for name, _ in names_and_pixels(path)] == [f"{path}[{number}]" for number in range(3)]


@pytest.mark.parametrize("form", ["PNG", "TIFF", "GIF"])
def test_a_picture_of_too_many_pixels_is_refused_before_it_is_decoded(tmp_path, form, monkeypatch):
    path = tmp_path / "x"
    path.write_bytes(written(form))
    monkeypatch.setattr(pictures, "LARGEST", 11 * 9)
    assert len(names_and_pixels(path)) == 1
    monkeypatch.setattr(pictures, "LARGEST", 11 * 9 - 1)
    monkeypatch.setattr(pictures, "_picture", None)
    with pytest.raises(InputError, match=r"x has 11 × 9 pixels, and at most 98 are read: make it smaller$"):
        pictures.only(path)


def test_a_picture_that_pillow_refuses_for_its_size_has_the_same_sentence(tmp_path, monkeypatch):
    Image.fromarray(np.zeros((20, 20), np.uint8)).save(tmp_path / "a.png")
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", 100)
    with pytest.raises(InputError, match=r"a\.png has more than 100,000,000 pixels, and no more are read: make it smaller"):
        list(pictures.read(tmp_path / "a.png"))


def test_an_npz_file_that_is_another_is_named_as_that(tmp_path):
    np.save(tmp_path / "a.npy", np.zeros((2, 4, 4), np.uint8))
    (tmp_path / "a.npy").rename(tmp_path / "a.npz")
    with pytest.raises(InputError, match=r"a\.npz is no \.npz file: save it with numpy\.savez_compressed\(path"):
        pictures.array(tmp_path / "a.npz", pictures.Shape(1, 4, 4), "they are")


def test_pictures_that_share_their_pixels_are_counted():
    alike = pictures.Alike()
    assert alike.sentence() == ""
    for image in (np.zeros((2, 3)), np.zeros((3, 2)), np.ones((2, 3))):
        alike.add(image)
    assert (alike.count, alike.total, alike.sentence()) == (0, 3, "")
    alike.add(np.zeros((2, 3)))
    alike.add(np.zeros((2, 3)))
    assert alike.sentence() == "3 of 5 pictures are alike"
