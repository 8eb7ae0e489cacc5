"""What the headers of a file of pictures say: bits per channel, and how many pictures there are. ValueError where they do not.

`file` is a picture that was opened and not yet decoded; where its stream stands is kept.
"""

import contextlib
import re
import struct
from collections.abc import Iterator
from typing import BinaryIO

from PIL.ImageFile import ImageFile

BITS_PER_SAMPLE, SAMPLE_FORMAT, SUB_IFDS = 258, 339, 330
UNSIGNED, UNDEFINED = 1, 4
FURTHER = "it holds further pictures that are not read"
CUT = "it ends before its last picture does"


@contextlib.contextmanager
def _stream(file: ImageFile, start: int = 0) -> Iterator[BinaryIO]:
    place = file.fp.tell()
    file.fp.seek(start)
    try:
        yield file.fp
    finally:
        file.fp.seek(place)


def _taken(stream: BinaryIO, size: int) -> bytes:
    data = stream.read(size)
    if len(data) < size:
        raise ValueError(CUT)
    return data


def png_bits(file: ImageFile) -> int:
    """Of its IHDR."""
    with _stream(file, 24) as stream:
        return _taken(stream, 1)[0]


def sgi_bits(file: ImageFile) -> int:
    """Of the bytes per channel in its header."""
    with _stream(file, 3) as stream:
        return 8 * _taken(stream, 1)[0]


def ppm_bits(file: ImageFile) -> int:
    """Of the largest value in its header; a floating-point picture (PFM) has 32."""
    if file.mode == "F":
        return 32
    arguments = file.tile[0][3]
    if file.mode == "I" and not isinstance(arguments, tuple):
        return 16
    return arguments[1].bit_length() if isinstance(arguments, tuple) else 8


def ppm_count(file: ImageFile) -> int:
    """One: several may follow each other, of which only the first is read."""
    decoder, _, start, _ = file.tile[0]
    if decoder != "ppm_plain":
        row = (file.width + 7) // 8 if file.mode == "1" else file.width * len(file.getbands())
        with _stream(file, start + row * file.height) as stream:
            if ppm_bits(file) <= 8 and re.match(rb"\s*P[1-7f]", stream.read(16), re.IGNORECASE):
                raise ValueError(FURTHER)
    return 1


def tiff_bits(file: ImageFile) -> int:
    """The largest of its samples."""
    if SUB_IFDS in file.tag_v2:
        raise ValueError(FURTHER)
    bits = max(file.tag_v2.get(BITS_PER_SAMPLE, (1,)))
    if bits <= 8 and not set(file.tag_v2.get(SAMPLE_FORMAT, ())) <= {UNSIGNED, UNDEFINED}:
        raise ValueError("its pixels are numbers with a sign")
    return bits


def tiff_count(file: ImageFile) -> int:
    """Of its directories, each of which says where the next is."""
    with _stream(file) as stream:
        head = _taken(stream, 8)
        order = "<" if head[:2] == b"II" else ">"
        big = 43 in struct.unpack(f"{order}2xH4x", head)
        number, place, entry = ("Q", "Q", 20) if big else ("H", "I", 12)
        seen: set[int] = set()
        while True:
            (offset,) = struct.unpack(order + place, _taken(stream, 8) if big else head[4:])
            if not offset or offset in seen:
                return len(seen)
            seen.add(offset)
            stream.seek(offset)
            (entries,) = struct.unpack(order + number, _taken(stream, struct.calcsize(number)))
            stream.seek(entries * entry, 1)
            head = b"" if big else bytes(4) + _taken(stream, 4)


def gif_count(file: ImageFile) -> int:
    """Of its image blocks, up to the trailer: a decoder takes the end of a file that was cut for it."""

    def skip_table(flags: int) -> None:
        if flags & 0x80:
            _taken(stream, 6 << (flags & 7))

    def skip_blocks() -> None:
        while size := _taken(stream, 1)[0]:
            _taken(stream, size)

    count = 0
    with _stream(file, 10) as stream:
        skip_table(_taken(stream, 3)[0])
        while (kind := _taken(stream, 1)) != b";":
            if kind == b"!":
                _taken(stream, 1)
                skip_blocks()
            elif kind == b",":
                skip_table(_taken(stream, 9)[8])
                _taken(stream, 1)
                skip_blocks()
                count += 1
            elif kind != b"\0":  # written between blocks by some programs
                raise ValueError(f"it has an unknown block {kind!r}")
    return count


def jpeg2000_count(file: ImageFile) -> int:
    """One: a JPX may hold several, of which only the first is read. Without its end marker a decoder may still take it."""
    with _stream(file) as stream:
        data = stream.read()
    if data.count(b"jp2c\xff\x4f\xff\x51") > 1:
        raise ValueError(FURTHER)
    if data.find(b"\xff\xd9", data.index(b"\xff\x4f\xff\x51")) < 0:
        raise ValueError(CUT)
    return 1


def jpeg2000_bits(file: ImageFile) -> int:
    """The largest of its components, and of its palette where it has one."""
    with _stream(file) as stream:
        data = stream.read()
    size = data.index(b"\xff\x4f\xff\x51")
    (components,) = struct.unpack_from(">H", data, size + 40)
    bits = data[size + 42 : size + 42 + 3 * components : 3]
    palette = data.find(b"pclr", 0, size)
    if palette >= 0:
        bits += data[palette + 7 : palette + 7 + data[palette + 6]]
    return max((each & 0x7F) + 1 for each in bits)


def avif_bits(file: ImageFile) -> int:
    """The largest of its AV1 configurations: of the picture, its transparency, every track."""
    with _stream(file) as stream:
        found = re.findall(rb"av1C\x81.(.)", stream.read(), re.DOTALL)
    if not found:
        raise ValueError("it does not say its bits per channel")
    return max(12 if flags[0] & 0x20 else 10 if flags[0] & 0x40 else 8 for flags in found)
