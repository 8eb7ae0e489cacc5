"""Arrays of 8-bit images on disk: their two layouts, their files, their statistics, their hash.

Canonical: uint8 N×H×W (grey) or N×H×W×3 (RGB), as data sets are published and hashed. Network: uint8 (N, C, H, W), C = 1 or 3.
Both are plain .npy files in C order, so they can be memory-mapped and the same pixels always give the same bytes.
"""

import contextlib
import hashlib
import os
import shutil
from collections.abc import Iterator
from pathlib import Path

import numpy as np

from likelihood.common.errors import InputError


def load(path: Path) -> np.ndarray:
    """Memory-map network images, uint8 (N, C, H, W), read-only; InputError naming the file when it holds anything else."""
    images = _open(path)
    if images.ndim != 4 or images.shape[1] not in (1, 3):
        raise InputError(f"{path} holds an array of shape {images.shape}, not (N, 1 or 3, H, W): rerun the stage that writes it")
    return images


def load_canonical(path: Path) -> np.ndarray:
    """Memory-map canonical images, uint8 N×H×W or N×H×W×3, read-only; InputError naming the file when it holds anything else."""
    images = _open(path)
    _check_canonical(images, path)
    return images


def load_npz(path: Path) -> np.ndarray:
    """Read canonical images from the key `images` of an .npz file; InputError naming the file when it holds anything else."""
    try:
        with np.load(path, allow_pickle=False) as archive:
            images = archive["images"] if "images" in archive.files else None
    except Exception as error:  # damaged zip, damaged member, a plain .npy or a pickle in disguise: each raises a type of its own
        raise InputError(f"{path} cannot be read as an .npz file of images ({error}): replace it") from error
    if images is None:
        raise InputError(f"{path} has no key 'images': save it with numpy.savez_compressed(path, images=...)")
    _check_canonical(images, path)
    return np.ascontiguousarray(images)


def save(path: Path, images: np.ndarray) -> None:
    """Write a uint8 array as .npy in C order, whole or not at all; makes the folder."""
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = path.with_name(f".{path.name}.partial")
    images = np.ascontiguousarray(images)
    try:
        with temporary.open("wb") as file:
            # Not numpy.save: on a full disk its tofile raises an OSError without an errno.
            np.lib.format.write_array_header_1_0(file, np.lib.format.header_data_from_array_1_0(images))
            file.write(images.data)
        os.replace(temporary, path)
    except OSError as error:
        error.filename = str(path)
        raise
    finally:
        temporary.unlink(missing_ok=True)


@contextlib.contextmanager
def replaced(folder: Path) -> Iterator[Path]:
    """Give an empty folder to fill, which takes the place of `folder` at the end; after a failure `folder` is as it was."""
    temporary = folder.with_name(f".{folder.name}.partial")
    shutil.rmtree(temporary, ignore_errors=True)
    temporary.mkdir(parents=True)
    try:
        yield temporary
        if folder.exists():
            shutil.rmtree(folder)
        os.replace(temporary, folder)
    finally:
        shutil.rmtree(temporary, ignore_errors=True)


def to_network(images: np.ndarray) -> np.ndarray:
    """Canonical N×H×W or N×H×W×3 -> (N, C, H, W) in C order."""
    return np.ascontiguousarray(images[:, None] if images.ndim == 3 else images.transpose(0, 3, 1, 2))


def sha256(images: np.ndarray) -> str:
    """SHA-256 of the pixels in C order, without shape or header, as hexadecimal digits."""
    return hashlib.sha256(np.ascontiguousarray(images).data).hexdigest()


def statistics(images: np.ndarray) -> dict[str, int | list[int] | list[float]]:
    """Count, shape (C, H, W), and per channel the mean and variance of the grey levels 0..255 of (N, C, H, W) images.

    The variance is the population's, over images and pixels together. Sums are of whole numbers: exact, and the same everywhere.
    """
    count, channels, height, width = images.shape
    levels = np.arange(256)
    histogram = np.zeros((channels, 256), dtype=np.int64)
    for start in range(0, count, 1000):  # bincount widens to 64 bits: a part at a time bounds the memory
        for channel in range(channels):
            histogram[channel] += np.bincount(images[start : start + 1000, channel].ravel(), minlength=256)
    pixels = count * height * width
    first, second = [[int(total) for total in histogram @ levels**power] for power in (1, 2)]
    return {
        "count": count,
        "shape": [channels, height, width],
        "mean": [total / pixels for total in first],
        "variance": [(pixels * square - total**2) / pixels**2 for total, square in zip(first, second, strict=True)],
    }


def _open(path: Path) -> np.ndarray:
    try:
        images = np.load(path, mmap_mode="r", allow_pickle=False)
    except FileNotFoundError as error:
        raise InputError(f"{path} does not exist: run the stage that writes it, `dvc repro`") from error
    except (ValueError, EOFError) as error:
        raise InputError(f"{path} cannot be read as an array ({error}): delete it and rerun the stage that writes it") from error
    if not isinstance(images, np.ndarray) or images.dtype != np.uint8 or not images.flags.c_contiguous or not images.size:
        raise InputError(f"{path} does not hold uint8 images in C order: delete it and rerun the stage that writes it")
    return images


def _check_canonical(images: np.ndarray, path: Path) -> None:
    if images.dtype != np.uint8 or not images.size or not (images.ndim == 3 or (images.ndim == 4 and images.shape[3] == 3)):
        held = f"{path} holds {images.dtype} of shape {images.shape}"
        raise InputError(f"{held}: images must be uint8 of shape [N, H, W] or [N, H, W, 3]")
