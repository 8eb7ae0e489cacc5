"""A user's own images: what is taken, what is converted, and what is refused with the name of the file."""

import numpy as np
import pytest
from PIL import Image

from likelihood.data import base, own
from likelihood.data.own import Own
from likelihood.errors import InputError
from tests.helpers import COLOUR, GREY

PIXELS = np.random.RandomState(3).randint(0, 256, (20, 4, 5, 3), dtype=np.uint8)


def declared(folder, channels=3, convert=False):
    return Own(folder, height=4, width=5, channels=channels, convert=convert)


def pictures(folder, pixels=PIXELS, suffix="png"):
    """Write each image as a picture, some of them in a subfolder."""
    (folder / "more").mkdir(parents=True)
    for number, image in enumerate(pixels):
        Image.fromarray(image).save(folder / ("more" if number % 3 == 0 else "") / f"{number:02d}.{suffix}")
    return folder


def as_set(images):
    return {image.tobytes() for image in images}


@pytest.mark.parametrize("suffix", ["png", "bmp", "tiff", "ppm"])
@pytest.mark.parametrize("channels", [1, 3])
def test_pictures_of_the_declared_shape_are_used_as_they_are(tmp_path, suffix, channels):
    pixels = PIXELS if channels == 3 else PIXELS[..., 0]
    folder = pictures(tmp_path / "mine", pixels, "pgm" if (suffix, channels) == ("ppm", 1) else suffix)
    dataset = declared(folder, channels)
    assert dataset.shape == pixels.shape[1:]
    splits = dataset.in_set()
    assert {name: len(part) for name, part in splits.items()} == {"train": 16, "test": 4}
    assert as_set(splits["train"]) | as_set(splits["test"]) == as_set(pixels) == as_set(dataset.out_set())
    assert not as_set(splits["train"]) & as_set(splits["test"])
    again = dataset.in_set()
    assert all(np.array_equal(splits[name], again[name]) for name in splits)


def test_arrays_are_used_as_they_are_and_an_out_set_is_their_test(tmp_path):
    np.savez(tmp_path / "train.npz", images=COLOUR[:4])
    np.savez(tmp_path / "test.npz", images=COLOUR[4:])
    splits = declared(tmp_path).in_set()
    np.testing.assert_array_equal(splits["train"], COLOUR[:4])
    np.testing.assert_array_equal(splits["test"], COLOUR[4:])
    (tmp_path / "train.npz").unlink()
    np.testing.assert_array_equal(declared(tmp_path).out_set(), COLOUR[4:])
    with pytest.raises(InputError, match=r"train\.npz is missing"):
        declared(tmp_path).in_set()


def test_conversion_cuts_in_the_middle_resamples_and_changes_colours(tmp_path):
    left, middle, right = (np.full((8, width, 3), level, np.uint8) for width, level in ((3, 0), (10, 200), (3, 0)))
    Image.fromarray(np.concatenate([left, middle, right], axis=1)).save(tmp_path / "wide.png")  # 8×16: 8×10 has 4:5
    (coloured,) = declared(tmp_path, convert=True).out_set()
    assert (abs(coloured.astype(int) - 200) < 10).all()  # the filter is wider than the cut
    (grey,) = declared(tmp_path, channels=1, convert=True).out_set()
    assert grey.shape == (4, 5)
    assert (abs(grey.astype(int) - 200) < 10).all()


def test_a_grey_picture_becomes_three_equal_channels_and_transparency_black(tmp_path):
    Image.fromarray(GREY[0]).save(tmp_path / "0_grey.png")
    Image.fromarray(np.dstack([COLOUR[0], np.where(GREY[0] > 128, 255, 0).astype(np.uint8)])).save(tmp_path / "1_clear.png")
    grey, clear = declared(tmp_path, convert=True).out_set()
    np.testing.assert_array_equal(grey, GREY[0][..., None].repeat(3, axis=-1))
    np.testing.assert_array_equal(clear, np.where(GREY[0][..., None] > 128, COLOUR[0], 0))


def test_a_picture_is_turned_as_its_camera_says(tmp_path):
    picture = Image.fromarray(PIXELS[0].transpose(1, 0, 2)[::-1])  # lying on its side
    exif = Image.Exif()
    exif[0x0112] = 6  # to be turned clockwise by a quarter
    picture.save(tmp_path / "turned.png", exif=exif)
    np.testing.assert_array_equal(declared(tmp_path).out_set()[0], PIXELS[0])


def broken(folder):
    (folder / "half.png").write_bytes((folder / "01.png").read_bytes()[:60])


def text(folder):
    (folder / "notes.txt").write_text("not a picture")


def larger(folder):
    Image.fromarray(np.zeros((8, 8, 3), np.uint8)).save(folder / "larger.png")


def grey(folder):
    Image.fromarray(GREY[0]).save(folder / "grey.png")


def deep(folder):
    Image.fromarray(np.zeros((4, 5), np.uint16)).save(folder / "deep.png")


def postscript(folder):
    Image.fromarray(COLOUR[0]).save(folder / "program.eps")


def array(folder):
    np.savez(folder / "test.npz", images=COLOUR)


WRONG_PICTURES = [
    (broken, r"half\.png cannot be read as a picture"),
    (text, r"notes\.txt cannot be read as a picture"),
    (larger, r"larger\.png is 8×8 of the kind RGB, but params\.yaml declares 4×5 of the kind RGB"),
    (grey, r"grey\.png is 4×5 of the kind L, but params\.yaml declares 4×5 of the kind RGB"),
    (deep, r"deep\.png has pixels of the kind I;16: save it with 8 bits a channel"),
    (postscript, r"program\.eps cannot be read as a picture"),
    (array, r"holds both test\.npz and 00\.png"),
]


@pytest.mark.parametrize(("spoil", "message"), WRONG_PICTURES, ids=[spoil.__name__ for spoil, _ in WRONG_PICTURES])
def test_one_wrong_picture_is_named(tmp_path, spoil, message):
    folder = pictures(tmp_path / "mine")
    (folder / "more" / "00.png").rename(folder / "00.png")
    spoil(folder)
    for use in (declared(folder).in_set, declared(folder).out_set):
        with pytest.raises(InputError, match=message):
            use()


@pytest.mark.parametrize(
    ("images", "message"),
    [
        (COLOUR.astype(np.float32), "images must be uint8"),
        (COLOUR[..., :2], "images must be uint8 of shape"),
        (COLOUR[:, 1:], r"holds images of shape \(3, 5, 3\), but params\.yaml declares \(4, 5, 3\)"),
        (GREY, r"holds images of shape \(4, 5\), but params\.yaml declares \(4, 5, 3\)"),
    ],
)
def test_wrong_arrays_are_named(tmp_path, images, message):
    np.savez(tmp_path / "train.npz", images=COLOUR)
    np.savez(tmp_path / "test.npz", images=images)
    with pytest.raises(InputError, match=r"test\.npz.*" + message):
        declared(tmp_path).in_set()


def test_an_absent_an_empty_and_a_very_small_folder_are_named(tmp_path):
    with pytest.raises(InputError, match="mine is not a folder"):
        declared(tmp_path / "mine").out_set()
    (tmp_path / ".hidden").write_text("")
    with pytest.raises(InputError, match="is empty: put pictures there"):
        declared(tmp_path).out_set()
    with pytest.raises(InputError, match="holds 9 pictures: at least 10 are needed"):
        declared(pictures(tmp_path / "few", PIXELS[:9])).in_set()


def test_a_name_is_looked_for_among_the_declared_sets_first(tmp_path):
    values = {"mine": {"height": 4, "width": 5, "channels": 1, "convert": True}}
    assert own.find("mine", values, tmp_path) == Own(tmp_path / "mine", 4, 5, 1, True)
    assert own.find("noise", values, tmp_path) is base.get("noise")
    with pytest.raises(InputError, match="no data set 'theirs'"):
        own.find("theirs", values, tmp_path)
