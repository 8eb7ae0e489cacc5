r"""Files of pictures: which there are in a folder, and the pictures in one, each of them or an InputError that names it.

A picture has at most 8 bits per channel, which is told from the file: a decoder may silently keep the upper or lower 8 of more.
`KINDS` says for each format that is read how. Every picture of a file is given, and none where one cannot be told from another: a
verdict on the first would be taken for one on all.

Messages and tables show the names of files on one line, printable, and never the same for two files. What cannot be printed is
shown as an escape of each of its bytes, `\xe9`, `\n`; a backslash is therefore doubled.
"""

import contextlib
import functools
import hashlib
import logging
import math
import re
import stat
import warnings
from collections import Counter
from collections.abc import Callable, Iterator
from os import scandir
from pathlib import Path
from typing import NamedTuple

import numpy as np
from PIL import Image, ImageOps, UnidentifiedImageError
from PIL.ImageFile import ImageFile

from likelihood.common import images
from likelihood.common.errors import InputError
from likelihood.data import containers

# What Pillow warns of and logs is about a file's further data, or is raised as well. Threads share filters, so once for all.
warnings.filterwarnings("ignore", module=r"PIL\.")
logging.getLogger("PIL").addHandler(logging.NullHandler())
LARGEST = 100_000_000  # pixels; decoding takes up to 16 bytes for each, and a small file can claim any number
HEAD = 1 << 16  # bytes, after which a colour profile has ended
ZIP = b"PK\3\4"  # begins an .npz file
REVERSIBLE = 1  # wavelet of JPEG 2000, byte 13 of the coding style
MODES = ("1", "L", "LA", "P", "PA", "RGB", "RGBA", "CMYK", "YCbCr")


class Kind(NamedTuple):
    """How a format says the bits per channel of the picture at hand, and the number of pictures in the file."""

    bits: Callable[[ImageFile], int]
    count: Callable[[ImageFile], int]


class Shape(NamedTuple):
    """Of the images that a model takes."""

    channels: int  # 1 or 3
    height: int
    width: int

    @property
    def size(self) -> tuple[int, int]:
        """As Pillow names it."""
        return self.width, self.height

    @property
    def mode(self) -> str:
        """The kind of pixels, as Pillow names it."""
        return {1: "L", 3: "RGB"}[self.channels]

    @property
    def array(self) -> tuple[int, ...]:
        """Of one image: (H, W) or (H, W, 3)."""
        return (self.height, self.width) if self.channels == 1 else (self.height, self.width, self.channels)


def _eight(file: ImageFile) -> int:
    return 8  # the format has no more


def _one(file: ImageFile) -> int:
    return 1  # the format has no more


def _counted(file: ImageFile) -> int:
    return file.n_frames


KINDS = {
    "AVIF": Kind(containers.avif_bits, _counted),
    "BMP": Kind(_eight, _one),
    "GIF": Kind(_eight, containers.gif_count),
    "JPEG": Kind(_eight, _one),  # of 12 bits it is not opened
    "JPEG2000": Kind(containers.jpeg2000_bits, containers.jpeg2000_count),
    "MPO": Kind(_eight, _counted),  # several JPEG in one file
    "PCX": Kind(_eight, _one),
    "PNG": Kind(containers.png_bits, _counted),
    "PPM": Kind(containers.ppm_bits, containers.ppm_count),
    "QOI": Kind(_eight, _one),
    "SGI": Kind(containers.sgi_bits, _one),
    "TGA": Kind(_eight, _one),
    "TIFF": Kind(containers.tiff_bits, containers.tiff_count),
    "WEBP": Kind(_eight, _counted),
}


@functools.cache
def formats() -> tuple[str, ...]:
    """The formats of pictures that are read; EPS, a program that Ghostscript would be called to run, is none of them."""
    Image.init()
    return tuple(sorted(KINDS.keys() & Image.OPEN.keys()))


def files(folder: Path) -> list[Path]:
    """Whatever is in a folder and below, sorted; hidden names are left out, and links to folders are not followed.

    What is no file, as a pipe, a link to nothing or a folder that cannot be listed, is among them, to be named where it is read.
    """
    found, todo = [], [folder]
    while todo:
        here = todo.pop()
        try:
            with scandir(here) as entries:
                for entry in entries:
                    if not entry.name.startswith("."):
                        (todo if entry.is_dir(follow_symlinks=False) else found).append(Path(entry.path))
        except OSError:
            found.append(here)
    return sorted(found)


def regular(path: Path) -> None:
    """InputError unless it is a file, or a link to one; opening a pipe would wait for its other end."""
    try:
        mode = path.stat().st_mode
    except OSError as error:
        reason = "it is a link to nothing" if path.is_symlink() and isinstance(error, FileNotFoundError) else said(error, path)
    else:
        if stat.S_ISREG(mode):
            return
        folder = "it is a link to a folder" if path.is_symlink() else "it is a folder that cannot be listed"
        reason = folder if stat.S_ISDIR(mode) else "it is a pipe, a socket or a device"
    raise InputError(f"{shown(path)} cannot be read ({reason}): replace or remove it")


def encoded(path: Path, folder: Path) -> None:
    """InputError unless the path of a file, as seen from a folder above it, is UTF-8; DVC cannot hash it otherwise."""
    if any(map(_byte, str(path.relative_to(folder)))):
        raise InputError(f"{shown(path)} has a name that is not UTF-8, which DVC cannot hash: rename it")


def read(path: Path) -> Iterator[tuple[str, Image.Image]]:
    """The pictures of a file, one at a time, turned as their EXIF orientation says; named `film.gif[1]` where there are several.

    InputError naming a file that is no picture, or the picture that is damaged or has more than 8 bits per channel.
    """
    regular(path)
    name = shown(path)
    with _decoding(path, name):
        file = Image.open(path, formats=formats())
    with file:
        _bounded(file, name)
        kind, bits = KINDS[file.format], 0
        with _decoding(path, name):
            count = kind.count(file)
        for number in range(count):
            here = name if count == 1 else f"{name}[{number}]"
            with _decoding(path, here):
                file.seek(number)
                _bounded(file, here)
                if not bits or file.format == "TIFF":  # in the others all pictures of a file have the same
                    bits = kind.bits(file)
                picture = _picture(file, bits, here)
            yield here, picture


def only(path: Path) -> Image.Image:
    """The picture of a file that holds one; InputError as `read`, and naming a file that holds several."""
    name, picture = next(read(path))
    if name != shown(path):
        raise InputError(f"{shown(path)} holds several pictures: save each as a file of its own")
    return picture


def array(path: Path, shape: Shape, wanted: str) -> np.ndarray:
    """The images of an .npz file, canonical uint8; `wanted` says in a message who asks for the shape."""
    regular(path)
    with path.open("rb") as file:
        if file.read(4) != ZIP:
            raise InputError(f"{shown(path)} is no .npz file: save it with numpy.savez_compressed(path, images=...)")
    try:
        pixels = images.load_npz(path)
    except InputError as error:
        raise InputError(said(error, path)) from None
    if pixels.shape[1:] != shape.array:
        raise InputError(f"{shown(path)} holds images of shape {pixels.shape[1:]}, but {wanted} {shape.array}")
    return pixels


def fit(picture: Image.Image, size: tuple[int, int], mode: str) -> Image.Image:
    """A picture laid on black where transparent, made grey or coloured, cut in the middle and resampled to (width, height)."""
    if picture.has_transparency_data:
        picture = picture if picture.mode == "RGBA" else picture.convert("RGBA")
        picture = Image.alpha_composite(Image.new("RGBA", picture.size, "black"), picture)
    return ImageOps.fit(picture.convert(mode), size, Image.Resampling.LANCZOS)


class Alike:
    """Counts pictures that share their pixels with another, by a hash of 16 bytes."""

    def __init__(self) -> None:
        self._seen: Counter[bytes] = Counter()

    def add(self, pixels: np.ndarray) -> None:
        """Count a picture, an array in C order."""
        code = hashlib.blake2b(str(pixels.shape).encode(), digest_size=16)
        code.update(pixels.data)
        self._seen[code.digest()] += 1

    @property
    def total(self) -> int:
        """Of all pictures."""
        return self._seen.total()

    @property
    def count(self) -> int:
        """Of those that share their pixels with another."""
        return sum(times for times in self._seen.values() if times > 1)

    def sentence(self) -> str:
        """That some are alike, or nothing where none are."""
        return f"{self.count} of {self.total} pictures are alike" if self.count else ""


@contextlib.contextmanager
def _decoding(path: Path, name: str) -> Iterator[None]:
    """Make an InputError that names the picture of whatever a decoder raises."""
    try:
        yield
    except (InputError, MemoryError):
        raise
    except Exception as error:  # every format's decoder has errors of its own
        if isinstance(error, Image.DecompressionBombError):  # Pillow's own limit, which is larger
            raise InputError(f"{name} has more than {LARGEST:,} pixels, and no more are read: make it smaller") from None
        reason = said(error, path)
        if isinstance(error, UnidentifiedImageError):
            reason = f"it is damaged, or none of {', '.join(formats())} with at most 8 bits per channel"
        raise InputError(f"{name} cannot be read as a picture ({reason}): replace or remove it") from error


def _bounded(file: ImageFile, name: str) -> None:
    """InputError where a picture has more than LARGEST pixels."""
    if math.prod(file.size) > LARGEST:
        shape = f"{file.width:,} × {file.height:,} pixels"
        raise InputError(f"{name} has {shape}, and at most {LARGEST:,} are read: make it smaller")


def _picture(file: ImageFile, bits: int, name: str) -> Image.Image:
    """The picture at hand."""
    if bits > 8:
        raise InputError(f"{name} has more than 8 bits per channel ({bits}): save it with 8 bits per channel")
    picture = ImageOps.exif_transpose(file)
    if picture.mode not in MODES:
        raise InputError(f"{name} has pixels of the kind {picture.mode}: save it in grey or RGB with 8 bits per channel")
    level = picture.info.get("transparency")
    if picture.mode in ("1", "L") and bits < 8 and level is not None and level < 2**bits:
        picture.info["transparency"] = level * 255 // (2**bits - 1)  # Pillow brings the pixels to 0..255, but not this level
    return picture


def lossy(path: Path) -> bool:
    """Whether the format loses something: JPEG and AVIF do, WebP and JPEG 2000 unless asked not to.

    InputError naming a file that cannot be read.
    """
    regular(path)
    with _decoding(path, shown(path)), path.open("rb") as file:
        head = file.read(HEAD)
    if head[:4] == b"RIFF" and head[8:12] == b"WEBP":
        return b"VP8L" not in head
    if head[4:8] == b"jP  " or head[:4] == b"\xff\x4f\xff\x51":
        style = head.find(b"\xff\x52")
        return head[style + 13 : style + 14] != bytes([REVERSIBLE])
    return head[:3] == b"\xff\xd8\xff" or head[4:8] == b"ftyp"


def shown(path: Path | str) -> str:
    """A name on one line, which can be written to any file of Unicode text."""
    return _printable(str(path).replace("\\", "\\\\"))


def said(error: Exception, path: Path) -> str:
    """What an error says, on one line and with that path as it is shown; of one of the system's only what is wrong."""
    text = error.strerror if isinstance(error, OSError) and error.strerror else str(error) or type(error).__name__
    return _printable(re.sub(r"\s*[\r\n]\s*", " ", text.replace(str(path), shown(path)).strip())).rstrip(".")


def _printable(text: str) -> str:
    if text.isprintable():
        return text
    return "".join(each if each.isprintable() else _escaped(each) for each in text)


def _escaped(character: str) -> str:
    errors = "surrogateescape" if _byte(character) else "surrogatepass"
    return repr(character.encode("utf-8", errors))[2:-1]


def _byte(character: str) -> bool:
    """Whether a character of a name stands for a byte that is no UTF-8: Python keeps it as a lone surrogate of this range."""
    return "\udc80" <= character <= "\udcff"
