"""Files of pictures that are made for tests."""

import io
import struct
import zlib

import numpy as np
import pytest
from PIL import Image

from likelihood.data import pictures

RANDOM = np.random.default_rng(5)
FRAMES = [Image.fromarray(RANDOM.integers(0, 256, (9, 11, 3), np.uint8)) for _ in range(3)]
FILMS = {"GIF": {}, "TIFF": {}, "WEBP": {"lossless": True}, "PNG": {}, "MPO": {}, "AVIF": {"quality": 100}}
STILLS = [*FILMS, "BMP", "JPEG", "JPEG2000", "PCX", "PPM", "QOI", "SGI", "TGA"]


def written(form, frames=FRAMES[:1], **options):
    """The bytes of a file of that format; skips where this Pillow cannot write it."""
    stream, frames = io.BytesIO(), [frame.copy() for frame in frames]  # a frame keeps how it was last written
    if form == "AVIF" and form not in pictures.formats():
        pytest.skip("this Pillow has no AVIF")
    if len(frames) > 1:
        options |= {"save_all": True, "append_images": frames[1:]}
    try:
        frames[0].save(stream, form, **options)
    except KeyError:
        pytest.skip(f"this Pillow cannot write {form}")
    return stream.getvalue()


def chunk(kind, data):
    return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))


def png(depth, kind, row, *further, width=4, height=4):
    """A PNG of equal rows: kind 0 = grey, 2 = RGB, 3 = palette, 4 = grey and alpha, 6 = RGBA."""
    header = chunk(b"IHDR", struct.pack(">IIBBBBB", width, height, depth, kind, 0, 0, 0))
    parts = [header, *further, chunk(b"IDAT", zlib.compress((b"\0" + row) * height)), chunk(b"IEND", b"")]
    return b"\x89PNG\r\n\x1a\n" + b"".join(parts)


def tiff(bits, samples, photometric, kind=1, further=()):
    """A TIFF of one strip of 4×4 pixels; kind 1 = unsigned, 2 = signed, 3 = floating-point."""
    pixels, head = bytes(16 * samples * bits // 8), 8
    per_sample = struct.pack(f"<{samples}H", *[bits] * samples) + struct.pack(f"<{samples}H", *[kind] * samples)
    tags = [(256, 4, 1, 4), (257, 4, 1, 4)]
    if samples == 1:
        tags += [(258, 3, 1, bits), (339, 3, 1, kind)]
    else:
        tags += [(258, 3, samples, head), (339, 3, samples, head + 2 * samples)]
    tags += [(259, 3, 1, 1), (262, 3, 1, photometric), (273, 4, 1, head + len(per_sample))]
    tags += [(277, 3, 1, samples), (278, 4, 1, 4), (279, 4, 1, len(pixels)), *further]
    if samples == 4 and photometric == 2:
        tags += [(338, 3, 1, 2)]
    entries = b"".join(struct.pack("<HHII", *tag) for tag in sorted(tags))
    start = head + len(per_sample) + len(pixels)
    return struct.pack("<2sHI", b"II", 42, start) + per_sample + pixels + struct.pack("<H", len(tags)) + entries + bytes(4)
