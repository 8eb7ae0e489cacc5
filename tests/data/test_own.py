"""A user's own images: what is taken, what is converted, and what is refused with the name of the file."""

import os

import numpy as np
import pytest
from PIL import Image

from likelihood.common.errors import InputError
from likelihood.data import base, own
from likelihood.data.own import Own
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
    splits, _ = dataset.in_set()
    assert {name: len(part) for name, part in splits.items()} == {"train": 16, "test": 4}
    assert as_set(splits["train"]) | as_set(splits["test"]) == as_set(pixels) == as_set(dataset.out_set())
    assert not as_set(splits["train"]) & as_set(splits["test"])
    again, _ = dataset.in_set()
    assert all(np.array_equal(splits[name], again[name]) for name in splits)


def test_arrays_are_used_as_they_are_and_an_out_set_is_their_test(tmp_path):
    np.savez(tmp_path / "train.npz", images=COLOUR[:4])
    np.savez(tmp_path / "test.npz", images=COLOUR[4:])
    splits, _ = declared(tmp_path).in_set()
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


def test_pictures_that_are_alike_are_counted_and_said(tmp_path, capsys):
    declared(pictures(tmp_path / "different")).in_set()
    assert capsys.readouterr().err == ""
    same = pictures(tmp_path / "same")
    for number in range(3):
        Image.fromarray(PIXELS[0]).save(same / f"again{number}.bmp")
    for use in (declared(same).in_set, declared(same, convert=True).out_set):
        use()
        assert capsys.readouterr().err == f"warning: {same}: 4 of 23 pictures are alike\n"


def test_pictures_that_become_alike_by_conversion_are_counted_and_said(tmp_path, capsys):
    for number in range(12):  # black, on a transparent ground
        clear = np.zeros((4, 5, 4), np.uint8)
        clear[number // 5, number % 5, 3] = 255
        Image.fromarray(clear).save(tmp_path / f"{number:02d}.png")
    Image.fromarray(clear).save(tmp_path / "again.png")
    pixels, _ = declared(tmp_path, convert=True).in_set()
    assert not pixels["train"].any()
    cause = "11 of them only once converted (size, colours, transparency laid on black)"
    assert capsys.readouterr().err == f"warning: {tmp_path}: 13 of 13 pictures are alike, {cause}\n"


def test_images_of_arrays_that_are_alike_are_counted_over_both_files(tmp_path, capsys):
    np.savez(tmp_path / "train.npz", images=PIXELS[:6])
    np.savez(tmp_path / "test.npz", images=PIXELS[5:9])
    declared(tmp_path).in_set()
    assert capsys.readouterr().err == f"warning: {tmp_path}: 2 of 10 pictures are alike\n"
    declared(tmp_path).out_set()
    assert capsys.readouterr().err == ""


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


def film(folder):
    first, second = (Image.fromarray(image) for image in PIXELS[:2])
    first.save(folder / "film.tiff", save_all=True, append_images=[second])


def pipe(folder):
    os.mkfifo(folder / "pipe.png")


def link_to_a_folder(folder):
    (folder / "others").symlink_to(folder.parent)


def broken_link(folder):
    (folder / "gone.png").symlink_to("nothing.png")


def two_lines(folder):
    (folder / "two\nlines.png").write_text("")


def no_unicode(folder):
    try:
        (folder / os.fsdecode(b"caf\xe9.png")).write_text("")
    except OSError as error:  # as of macOS
        pytest.skip(f"no such name here: {error}")


def array(folder):
    np.savez(folder / "test.npz", images=COLOUR)


WRONG_PICTURES = [
    (broken, r"half\.png cannot be read as a picture"),
    (text, r"notes\.txt cannot be read as a picture"),
    (larger, r"larger\.png is 8×8 of the kind RGB, but params\.yaml declares 4×5 of the kind RGB"),
    (grey, r"grey\.png is 4×5 of the kind L, but params\.yaml declares 4×5 of the kind RGB"),
    (deep, r"deep\.png has more than 8 bits per channel \(16\): save it with 8 bits per channel"),
    (postscript, r"program\.eps cannot be read as a picture"),
    (film, r"film\.tiff holds several pictures: save each as a file of its own$"),
    (pipe, r"pipe\.png cannot be read \(it is a pipe, a socket or a device\): replace or remove it$"),
    (link_to_a_folder, r"others cannot be read \(it is a link to a folder\): replace or remove it$"),
    (broken_link, r"gone\.png cannot be read \(it is a link to nothing\): replace or remove it$"),
    (two_lines, r"two\\nlines\.png cannot be read as a picture"),
    (no_unicode, r"caf\\xe9\.png cannot be read as a picture"),
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


def test_an_array_that_is_a_pipe_is_named(tmp_path):
    os.mkfifo(tmp_path / "test.npz")
    with pytest.raises(InputError, match=r"test\.npz cannot be read \(it is a pipe, a socket or a device\)"):
        declared(tmp_path).out_set()


def test_an_absent_an_empty_and_a_very_small_folder_are_named(tmp_path):
    with pytest.raises(InputError, match="mine is not a folder"):
        declared(tmp_path / "mine").out_set()
    (tmp_path / ".hidden").write_text("")
    with pytest.raises(InputError, match="is empty: put pictures there"):
        declared(tmp_path).out_set()
    with pytest.raises(InputError, match="holds 5 pictures: at least 6 are needed, or 44 where a tenth is held out"):
        declared(pictures(tmp_path / "few", PIXELS[:5])).in_set()


def test_a_name_is_looked_for_among_the_declared_sets_first(tmp_path):
    values = {"mine": {"height": 4, "width": 5, "channels": 1, "convert": True}}
    assert own.find("mine", values, tmp_path) == Own(tmp_path / "mine", 4, 5, 1, True)
    assert own.find("noise", values, tmp_path) is base.get("noise")
    with pytest.raises(InputError, match="no data set 'theirs'"):
        own.find("theirs", values, tmp_path)


def test_the_shares_of_resized_and_lossy_pictures_are_those_of_the_files(tmp_path):
    folder = pictures(tmp_path / "mine")  # 20 of the declared shape
    for number in range(5):
        Image.fromarray(PIXELS[number].repeat(2, axis=0)).save(folder / f"tall{number}.{'jpg' if number < 3 else 'png'}")
    assert declared(folder, convert=True).in_set()[1] == {"resized": 5 / 25, "lossy": 3 / 25}


def test_which_pictures_are_for_testing_is_drawn(tmp_path):
    """Names may follow the time or the kind of pictures: those at the end are not like the others."""
    for number in range(20):
        Image.fromarray(np.full((4, 5), number, np.uint8)).save(tmp_path / f"{number:02d}.png")
    splits, _ = declared(tmp_path, channels=1).in_set()
    train, test = np.split(np.random.RandomState(8020).permutation(20), [16])
    found = [splits[name][:, 0, 0].tolist() for name in ("train", "test")]
    assert found == [sorted(train), sorted(test)]
    assert found[1] != [16, 17, 18, 19]
