"""More than 8 bits per channel are refused in every format; what has at most 8 is converted as it should."""

import io
import logging
import struct
import subprocess
import sys
from types import SimpleNamespace

import imagecodecs
import numpy as np
import pytest
from PIL import Image

from likelihood.common.errors import InputError
from likelihood.data import containers, pictures
from tests.picturefiles import FRAMES, RANDOM, chunk, png, tiff, written


def sgi16(channels, dimension):
    return struct.pack(">HBBHHHH", 474, 0, 2, dimension, 4, 4, channels).ljust(512, b"\0") + bytes(32 * channels)


DEEP16 = RANDOM.integers(0, 4096, (16, 16, 3), np.uint16)
DEEP = {
    "grey.png": (lambda: png(16, 0, bytes(8)), 16),
    "rgb.png": (lambda: png(16, 2, bytes(24)), 16),
    "grey_alpha.png": (lambda: png(16, 4, bytes(16)), 16),
    "rgba.png": (lambda: png(16, 6, bytes(32)), 16),
    "grey.pgm": (lambda: b"P5 4 4 65535\n" + bytes(32), 16),
    "grey10.pgm": (lambda: b"P5 4 4 1023\n" + bytes(32), 10),
    "rgb.ppm": (lambda: b"P6 4 4 65535\n" + bytes(96), 16),
    "rgb9.ppm": (lambda: b"P6 # comment\n4 4 256\n" + bytes(96), 9),
    "plain.pgm": (lambda: b"P2 2 1 4095\n0 4095\n", 12),
    "plain.ppm": (lambda: b"P3 1 1 4095\n0 4095 9\n", 12),
    "grey.pfm": (lambda: b"Pf\n4 4\n-1.0\n" + bytes(64), 32),
    "grey.tiff": (lambda: tiff(16, 1, 1), 16),
    "rgb.tiff": (lambda: tiff(16, 3, 2), 16),
    "rgba.tiff": (lambda: tiff(16, 4, 2), 16),
    "float.tiff": (lambda: tiff(32, 1, 1, 3), 32),
    "integer.tiff": (lambda: tiff(32, 1, 1, 2), 32),
    "cmyk.tiff": (lambda: tiff(16, 4, 5), 16),
    "grey.sgi": (lambda: sgi16(1, 2), 16),
    "rgb.sgi": (lambda: sgi16(3, 3), 16),
    "rgba.sgi": (lambda: sgi16(4, 3), 16),
    "grey.jp2": (lambda: imagecodecs.jpeg2k_encode(DEEP16[..., 0], codecformat="jp2"), 16),
    "rgb.jp2": (lambda: imagecodecs.jpeg2k_encode(DEEP16, codecformat="jp2", bitspersample=12), 12),
    "rgb.j2k": (lambda: imagecodecs.jpeg2k_encode(DEEP16, codecformat="j2k"), 16),
    "rgb10.avif": (lambda: imagecodecs.avif_encode(DEEP16 // 4, bitspersample=10), 10),
    "rgb12.avif": (lambda: imagecodecs.avif_encode(DEEP16, bitspersample=12), 12),
}


@pytest.mark.parametrize("name", DEEP)
def test_more_than_8_bits_per_channel_are_refused_in_every_format(tmp_path, name):
    make, bits = DEEP[name]
    if name.endswith("avif") and "AVIF" not in pictures.formats():
        pytest.skip("this Pillow has no AVIF")
    (tmp_path / name).write_bytes(make())
    with pytest.raises(InputError) as raised:
        list(pictures.read(tmp_path / name))
    assert str(raised.value) == f"{tmp_path / name} has more than 8 bits per channel ({bits}): save it with 8 bits per channel"


@pytest.mark.parametrize("form", ["DDS", "ICNS", "ICO", "MSP", "SPIDER", "XBM"])
def test_a_format_whose_bits_or_pictures_are_not_told_is_refused_by_name(tmp_path, form):
    frame = FRAMES[0].convert({"SPIDER": "F", "XBM": "1", "MSP": "1"}.get(form, "RGBA"))
    (tmp_path / "x").write_bytes(written(form, [frame.resize((32, 32))]))
    with pytest.raises(InputError) as raised:
        list(pictures.read(tmp_path / "x"))
    known = f"it is damaged, or none of {', '.join(pictures.formats())}"
    assert f"x cannot be read as a picture ({known} with at most 8 bits per channel): replace or remove it" in str(raised.value)


def test_twelve_bits_of_a_jpeg_are_refused(tmp_path):
    (tmp_path / "x.jpg").write_bytes(imagecodecs.jpeg_encode(DEEP16, bitspersample=12))
    with pytest.raises(InputError, match=r"x\.jpg cannot be read as a picture .* with at most 8 bits per channel"):
        list(pictures.read(tmp_path / "x.jpg"))


def test_the_first_of_several_pictures_is_named(tmp_path):
    (tmp_path / "x.png").write_bytes(png(16, 2, bytes(24), chunk(b"acTL", struct.pack(">II", 2, 0))))
    with pytest.raises(InputError, match=r"x\.png\[0\] has more than 8 bits per channel \(16\)"):
        list(pictures.read(tmp_path / "x.png"))


def test_numbers_with_a_sign_are_refused(tmp_path):
    (tmp_path / "x.tiff").write_bytes(tiff(8, 1, 1, 2))
    with pytest.raises(InputError, match=r"x\.tiff cannot be read as a picture \(its pixels are numbers with a sign\)"):
        list(pictures.read(tmp_path / "x.tiff"))
    (tmp_path / "x.tiff").write_bytes(tiff(8, 1, 1, 1))
    assert pictures.only(tmp_path / "x.tiff").size == (4, 4)


CLEAR = {  # a picture that is transparent everywhere
    "grey 2 bits": png(2, 0, b"\xff", chunk(b"tRNS", b"\0\3")),
    "grey 4 bits": png(4, 0, b"\x55\x55", chunk(b"tRNS", b"\0\5")),
    "grey 1 bit": png(1, 0, b"\xff", chunk(b"tRNS", b"\0\1")),
    "grey": png(8, 0, b"\x55" * 4, chunk(b"tRNS", b"\0\x55")),
    "RGB": png(8, 2, b"\1\2\3" * 4, chunk(b"tRNS", b"\0\1\0\2\0\3")),
    "palette": png(8, 3, b"\0\1\0\1", chunk(b"PLTE", b"\xff" * 6), chunk(b"tRNS", b"\0\0")),
    "grey and alpha": png(8, 4, b"\xff\0" * 4),
    "RGBA": png(8, 6, b"\xff\xff\xff\0" * 4),
}


@pytest.mark.parametrize("kind", CLEAR)
@pytest.mark.parametrize("mode", ["L", "RGB"])
def test_transparency_of_every_kind_is_laid_on_black(tmp_path, kind, mode):
    (tmp_path / "x.png").write_bytes(CLEAR[kind])
    assert not np.asarray(pictures.fit(pictures.only(tmp_path / "x.png"), (4, 4), mode)).any()


@pytest.mark.parametrize("form", ["PNG 1", "PNG P", "TIFF CMYK", "TIFF YCbCr", "GIF P", "TGA LA"])
def test_every_kind_of_pixels_is_converted(tmp_path, form):
    form, mode = form.split()
    path, colour = tmp_path / "x", (255, 255, 255) if mode in ("1", "LA") else (200, 100, 50)
    path.write_bytes(written(form, [Image.new("RGB", (20, 10), colour).convert(mode)]))
    fitted = np.asarray(pictures.fit(pictures.only(path), (4, 4), "RGB"))
    assert fitted.shape == (4, 4, 3)
    assert (np.abs(fitted.astype(int) - colour) <= 8).all()  # a palette has few colours


def test_pixels_of_a_kind_that_is_not_converted_are_refused(tmp_path):
    path = tmp_path / "x.tiff"
    path.write_bytes(written("TIFF", [FRAMES[0].convert("LAB")]))
    with pytest.raises(InputError, match=r"x\.tiff has pixels of the kind LAB: save it in grey or RGB with 8 bits per channel$"):
        pictures.only(path)


@pytest.mark.parametrize("size", [(1, 1), (1, 5000), (5000, 1)])
def test_pictures_of_any_proportions_are_fitted(size):
    assert np.asarray(pictures.fit(Image.new("RGB", size, "white"), (4, 6), "L")).tolist() == [[255] * 4] * 6


def test_too_many_pixels_are_one_sentence_and_no_warning(tmp_path):
    (tmp_path / "x.png").write_bytes(png(1, 0, bytes(1250), width=10_000, height=10_000))
    (tmp_path / "y.png").write_bytes(png(1, 0, b"", width=30_000, height=30_000))
    code = """from pathlib import Path
from likelihood.data import pictures
print(pictures.only(Path("x.png")).size)
pictures.only(Path("y.png"))
"""
    # In a Python of its own: pytest sets the filters of warnings for every test.
    done = subprocess.run([sys.executable, "-c", code], cwd=tmp_path, capture_output=True, text=True)
    assert done.stdout == "(10000, 10000)\n"
    assert "Warning" not in done.stderr
    assert done.stderr.endswith("InputError: y.png has more than 100,000,000 pixels, and no more are read: make it smaller\n")


def test_what_a_decoder_logs_is_not_printed(tmp_path, capfd, monkeypatch):
    monkeypatch.setattr(logging.getLogger(), "handlers", [])  # pytest's own
    (tmp_path / "x.tiff").write_bytes(
        tiff(8, 3, 2).replace(struct.pack("<HHII", 277, 3, 1, 3), struct.pack("<HHII", 277, 3, 1, 999))
    )
    with pytest.raises(InputError, match=r"x\.tiff cannot be read as a picture"):
        list(pictures.read(tmp_path / "x.tiff"))
    assert capfd.readouterr().err == ""


def test_the_bits_of_a_palette_count_in_a_jpeg2000_file():
    data = imagecodecs.jpeg2k_encode(np.zeros((4, 4), np.uint8), codecformat="jp2")
    assert containers.jpeg2000_bits(SimpleNamespace(fp=io.BytesIO(data))) == 8
    start = data.index(b"\xff\x4f\xff\x51")
    box = b"pclr" + struct.pack(">HB", 2, 3) + bytes([7, 15, 7]) + bytes(8)  # two entries of three columns, one of 16 bits
    assert containers.jpeg2000_bits(SimpleNamespace(fp=io.BytesIO(data[:start] + box + data[start:]))) == 16
