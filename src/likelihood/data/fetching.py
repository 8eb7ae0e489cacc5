"""Published sets: from the user's folder, from earlier downloads, or from their sources, never without a check of the pixels.

Order: `<folder>/<set>/<split>.npz` (key `images`), the folder being the one the environment variable LIKELIHOOD_IMAGES names;
then `<downloads>/<set>/<split>.npy`, kept from an earlier run; then the set's sources, in order. What a source gives is kept in
`downloads` only after every split has the right count, shape and SHA-256. A part is cut from the whole set, which the folder may
hold as `<folder>/<whole>/<split>.npz`, as far as the part needs it. A part by class also needs labels, there the key `labels`. As
labels are not kept, what a source gives for such a part is cut at once: all parts by class of that set are kept instead of it.

`dvc exp run --temp` and the queue run in a checkout of their own below the one that started them, with what git and DVC hold; DVC
names that one in the environment variable DVC_ROOT. `bring` links what git does not have there: own pictures, downloads, and what
trainings have kept. All of these files are replaced whole or only read, so nothing that an experiment does reaches them, and DVC
hashes own pictures as it does where the experiment was started.
"""

import errno
import os
import shutil
import tempfile
from collections.abc import Mapping
from pathlib import Path

import numpy as np

from likelihood.common import images
from likelihood.common.errors import InputError
from likelihood.data import base
from likelihood.data.base import Part, Published

FOLDER_VARIABLE = "LIKELIHOOD_IMAGES"
KEPT = {"data/own": "**/*", "data/downloads": "*/*.npy", "data/trainings": "*/**/*"}


def fetch(name: str, dataset: Published | Part, split: str, downloads: Path, folder: Path | None) -> tuple[np.ndarray, str]:
    """One split's canonical pixels, uint8 N×H×W or N×H×W×3, and where they came from.

    InputError when the file in `folder` is not the set it claims to be, when every source fails, and when the disk is full.
    """
    if folder is not None and not folder.is_dir():
        raise InputError(f"{FOLDER_VARIABLE} names {folder}, which is not a folder: correct or unset it")
    alias = dataset.alias if isinstance(dataset, Published) else None
    for given in (folder / known / f"{split}.npz" for known in (name, alias) if folder and known):
        if given.exists():
            pixels = images.load_npz(given)
            if fault := _fault(pixels, dataset, split):
                raise InputError(f"{given} is not {name} {split}: {fault}; replace or remove it")
            return pixels, str(given)
    if isinstance(dataset, Part) and (found := _whole(name, dataset, split, downloads, folder)):
        whole, origin = found
        try:
            return _checked(dataset, split, whole), origin
        except ValueError as error:
            raise InputError(f"{name} {split} cannot be cut from {origin}: {error}; replace or remove it") from None
    kept = downloads / name / f"{split}.npy"
    if kept.exists():
        try:
            pixels = images.load_canonical(kept)
        except InputError:
            kept.unlink()
        else:
            if not _fault(pixels, dataset, split):
                return pixels, str(kept)
    if isinstance(dataset, Part):
        of, parts = base.get(dataset.of), base.by_class(dataset.of)
        fetched, origin = _from_sources(dataset.of, of, dataset.positions[split][0], parts, downloads)
    else:
        fetched, origin = _from_sources(name, dataset, split, {name: dataset}, downloads)
    return fetched[name, split], origin


def _whole(name: str, part: Part, split: str, downloads: Path, folder: Path | None) -> tuple[dict[str, np.ndarray], str] | None:
    """What a split of a part is cut from, as a source gives it, and where it came from; None where only a source has labels."""
    whole_split, _ = part.positions[split]
    given = folder / part.of / f"{whole_split}.npz" if folder else None
    if given and given.exists():
        labels = {f"{whole_split}_labels": _labels(given, name)} if part.classes else {}
        return {whole_split: images.load_npz(given), **labels}, str(given)
    if part.classes:
        return None
    pixels, origin = fetch(part.of, base.get(part.of), whole_split, downloads, None)
    return {whole_split: pixels}, origin


def _labels(path: Path, name: str) -> np.ndarray:
    """The labels of the images in a file of the user's folder, of which `name` is a part."""
    try:
        with np.load(path, allow_pickle=False) as archive:
            labels = archive["labels"] if "labels" in archive.files else None
    except Exception as error:  # as in images.load_npz
        raise InputError(f"{path} cannot be read as an .npz file of images and labels ({error}): replace it") from error
    if labels is None:
        call = "numpy.savez_compressed(path, images=..., labels=...)"
        raise InputError(f"{path} has no key 'labels', by which {name} is cut from it: save it with {call}")
    return labels


def _from_sources(
    name: str, dataset: Published, split: str, keep: Mapping[str, Published | Part], downloads: Path
) -> tuple[dict[tuple[str, str], np.ndarray], str]:
    """By set and split, all pixels of the sets to keep, which are the published set `name` or parts of it; and their source."""
    keys = "key 'images', uint8" if name in keep else "keys 'images', uint8, and 'labels'"
    wanted = f"set {FOLDER_VARIABLE} to a folder that holds {dataset.alias or name}/{split}.npz ({keys})"
    if not dataset.sources:
        raise InputError(f"{name} cannot be downloaded: {wanted}")
    downloads.mkdir(parents=True, exist_ok=True)
    failures = []
    for source in dataset.sources:
        # Inside `downloads`, so that what fits here fits there, and removed with all that a failed source has left.
        with tempfile.TemporaryDirectory(prefix=f".{name}.", dir=downloads, ignore_cleanup_errors=True) as scratch:
            try:
                given = source.fetch(Path(scratch))
                fetched = {(each, part): _checked(keep[each], part, given) for each in keep for part in keep[each].splits}
            except Exception as error:  # whatever a source does wrong, the next one is tried and the reason told
                if isinstance(error, OSError) and error.errno in (errno.ENOSPC, errno.EDQUOT):
                    raise InputError(
                        f"the disk is full while fetching {name} into {downloads}: free some and run again"
                    ) from error
                failures.append(f"{source.name} ({_reason(error)})")
                continue
        for (each, part), pixels in fetched.items():
            images.save(downloads / each / f"{part}.npy", pixels)
        return fetched, source.name
    raise InputError(
        f"{name} could not be downloaded from {', nor from '.join(failures)}: connect to the network and run again, or {wanted}"
    )


def _checked(dataset: Published | Part, split: str, given: Mapping[str, np.ndarray]) -> np.ndarray:
    """A split's pixels, out of what a source gives; ValueError saying what is wrong with that."""
    pixels = _cut(dataset, split, given) if isinstance(dataset, Part) else given[split]
    if fault := _fault(pixels, dataset, split):
        raise ValueError(fault)
    return pixels


def _cut(part: Part, split: str, given: Mapping[str, np.ndarray]) -> np.ndarray:
    """The images of a part, from the leading images of the whole set; ValueError where they or their labels are missing."""
    whole_split, positions = part.positions[split]
    pixels, labels = given[whole_split], given.get(f"{whole_split}_labels")
    needed = int(positions.max()) + 1
    if len(pixels) < needed:
        raise ValueError(f"it holds {len(pixels)} images, not the first {needed}")
    if part.classes:
        if labels is None:
            raise ValueError("it gives no labels")
        if labels.shape != (len(pixels),):
            raise ValueError(f"its labels are of shape {labels.shape}, not {(len(pixels),)}")
        positions = positions[np.isin(labels[positions], part.classes)]
    return pixels[positions]


def _fault(pixels: np.ndarray, dataset: Published | Part, split: str) -> str | None:
    """What is wrong with the pixels of a split, or None."""
    expected = dataset.splits[split]
    shape = (expected.count, *dataset.shape)
    if pixels.dtype != np.uint8 or pixels.shape != shape:
        return f"it holds {pixels.dtype} of shape {pixels.shape}, not uint8 of shape {shape}"
    if expected.sha256 is not None and (found := images.sha256(pixels)) != expected.sha256:
        return f"its pixels have the SHA-256 {found}, not {expected.sha256}"
    return None


def _reason(error: Exception) -> str:
    """The last line of an exception's message: torchvision and apt put the cause there."""
    lines = str(error).strip().splitlines()
    return lines[-1].strip() if lines else type(error).__name__


def root() -> Path:
    """The checkout that started this run: the folder of this process, or one above it."""
    here = Path.cwd()
    started = Path(os.environ.get("DVC_ROOT", here)).resolve()
    return started if started in here.resolve().parents else here


def bring() -> None:
    """Link what is kept in the checkout that started this run and is not in this one."""
    there = root()
    if there == Path.cwd():
        return
    for folder, pattern in KEPT.items():
        for file in sorted((there / folder).glob(pattern)):
            place = Path(file.relative_to(there))
            if file.is_file() and file.suffix != ".partial" and not place.exists():
                place.parent.mkdir(parents=True, exist_ok=True)
                _link(file.resolve(), place)


def _link(file: Path, place: Path) -> None:
    try:
        os.link(file, place)
    except OSError:  # on another file system, or of a kind that has no links
        shutil.copyfile(file, place)
