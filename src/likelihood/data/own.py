"""A user's own images: data/own/<name>/, declared under `own` in params.yaml.

Either `train.npz` and `test.npz` (key `images`, uint8), used as they are, or pictures in any subfolders: every file but hidden
ones must be one, and hold one (pictures.py says what is read). Of pictures, an in-set has 80 % for training and 20 % for testing,
drawn with a seed of this file; as an out-set all are used. Of .npz files an out-set is `test.npz`.

Pictures are first turned as their EXIF orientation says. One that is not of the declared height, width and channels is refused,
or with `convert` cut in the middle to the declared proportions, resampled (Lanczos), made grey by its luminance or coloured by
three equal channels; transparency is laid on black. How many are alike after that is said.
"""

import sys
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from likelihood.common import counts
from likelihood.common.errors import InputError
from likelihood.data import base, pictures
from likelihood.data.pictures import lossy, shown

SEED = 80_20
LEAST = counts.pictures_for(counts.LEAST + 1)  # for an in-set, one image to train on beside those held out
TENTH = counts.pictures_for(counts.images_for(counts.LEAST, 0.1))


@dataclass(frozen=True)
class Own:
    """A declared set: its folder, the shape of its images, and whether pictures are brought into it."""

    folder: Path
    height: int
    width: int
    channels: int  # 1 or 3
    convert: bool

    @property
    def image(self) -> pictures.Shape:
        """The declared shape."""
        return pictures.Shape(self.channels, self.height, self.width)

    @property
    def shape(self) -> tuple[int, ...]:
        """Of one image: (H, W) or (H, W, 3)."""
        return self.image.array

    def in_set(self) -> tuple[dict[str, np.ndarray], dict[str, float]]:
        """The splits `train` and `test`, canonical uint8, and which shares of the pictures were `resized` and of `lossy` formats.

        InputError naming the file that is wrong or missing.
        """
        if self._arrays():
            splits = {split: self._array(split) for split in ("train", "test")}
            self._say_alike(image for split in splits.values() for image in split)
            return splits, {"resized": 0.0, "lossy": 0.0}
        files = self._files()
        if len(files) < LEAST:
            needed = f"at least {LEAST} are needed, or {TENTH} where a tenth is held out"
            raise InputError(f"{shown(self.folder)} holds {len(files)} pictures: {needed}")
        found, prepared = self._pictures(files)
        # RandomState's stream is frozen, default_rng's may change with NumPy's version.
        order = np.random.RandomState(SEED).permutation(len(found))
        train, test = np.split(order, [counts.of_pictures(len(found))])
        return {"train": found[np.sort(train)], "test": found[np.sort(test)]}, prepared

    def out_set(self) -> np.ndarray:
        """The images as an out-set, canonical uint8; InputError as `in_set`."""
        if not self._arrays():
            return self._pictures(self._files())[0]
        found = self._array("test")
        self._say_alike(found)
        return found

    def hashable(self) -> None:
        """InputError naming what DVC cannot hash: a link to a folder, a pipe, a link to nothing, a name that is not UTF-8."""
        for path in (self.folder, *sorted(self.folder.rglob("*"))):
            if path.is_symlink() and path.is_dir():
                hidden = "is a link to a folder, behind which DVC does not look"
                raise InputError(f"{shown(path)} {hidden}: put the pictures there, or link each")
            if not path.is_dir() and path != self.folder:
                pictures.regular(path)
            pictures.encoded(path, self.folder.parent)

    def _files(self) -> list[Path]:
        name = shown(self.folder)
        if not self.folder.is_dir():
            raise InputError(f"{name} is not a folder: put the images there, or take its name out of the benchmark")
        found = pictures.files(self.folder)
        if not found:
            raise InputError(f"{name} is empty: put pictures there, or train.npz and test.npz")
        return found

    def _arrays(self) -> bool:
        files = self._files()
        arrays = [path for path in files if path.suffix == ".npz"]
        if arrays and len(arrays) < len(files):
            held = " and ".join(shown(path.name) for path in (arrays[0], next(path for path in files if path not in arrays)))
            raise InputError(f"{shown(self.folder)} holds both {held}: .npz files or pictures, not both")
        return bool(arrays)

    def _array(self, split: str) -> np.ndarray:
        path = self.folder / f"{split}.npz"
        if not path.exists():
            raise InputError(f"{shown(path)} is missing: save it with numpy.savez_compressed(path, images=...)")
        return pictures.array(path, self.image, "params.yaml declares")

    def _pictures(self, files: list[Path]) -> tuple[np.ndarray, dict[str, float]]:
        """The pictures of files in the declared shape, and what `in_set` says of them."""
        found, before, resized = [], pictures.Alike(), 0
        for path in files:
            picture = pictures.only(path)
            resized += picture.size != self.image.size
            before.add(np.asarray(picture.convert("RGBA")))
            found.append(self._fitted(shown(path), picture))
        self._say_alike(found, before.count)
        return np.stack(found), {"resized": resized / len(files), "lossy": sum(map(lossy, files)) / len(files)}

    def _fitted(self, name: str, picture: Image.Image) -> np.ndarray:
        size, mode = self.image.size, self.image.mode
        if self.convert:
            picture = pictures.fit(picture, size, mode)
        elif picture.size != size or picture.mode != mode:
            held = f"{picture.height}×{picture.width} of the kind {picture.mode}"
            declared = f"{self.height}×{self.width} of the kind {mode}"
            raise InputError(f"{name} is {held}, but params.yaml declares {declared}: change it, or set convert to true")
        return np.asarray(picture)

    def _say_alike(self, found: Iterable[np.ndarray], before: int | None = None) -> None:
        """Warn of images that share their pixels, and of those of them that did not `before` they were converted."""
        alike = pictures.Alike()
        for image in found:
            alike.add(image)
        made = alike.count - before if before is not None else 0
        if alike.count:
            cause = f", {made} of them only once converted (size, colours, transparency laid on black)" if made > 0 else ""
            print(f"warning: {shown(self.folder)}: {alike.sentence()}{cause}", file=sys.stderr)


DataSet = base.Published | base.Part | base.Made | Own


def find(name: str, declared: dict[str, dict[str, Any]], folder: Path) -> DataSet:
    """The data set of that name: one of those declared, whose images are below `folder`, or one of the library's."""
    return Own(folder / name, **declared[name]) if name in declared else base.get(name)
