"""A user's own images: data/own/<name>/, declared under `own` in params.yaml.

Either `train.npz` and `test.npz` (key `images`, uint8), used as they are, or pictures of any format that Pillow reads, EPS
excepted, in any subfolders, of which every file but hidden ones must be one. Of pictures, an in-set has 80 % for training and
20 % for testing, drawn with a seed of this file; as an out-set all are used. Of .npz files an out-set is `test.npz`.

Pictures are first turned as their EXIF orientation says. One that is not of the declared height, width and channels is refused,
or with `convert` cut in the middle to the declared proportions, resampled (Lanczos), made grey by its luminance or coloured by
three equal channels; transparency is laid on black. More than 8 bits a channel are always refused.
"""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image, ImageOps

from likelihood.data import base, images
from likelihood.errors import InputError

SEED = 80_20
TRAIN_PART = 0.8
LEAST = 10  # pictures, for an in-set
MODES = {1: "L", 3: "RGB"}
EIGHT_BITS = ("1", "L", "LA", "P", "PA", "RGB", "RGBA", "CMYK", "YCbCr")


@dataclass(frozen=True)
class Own:
    """A declared set: its folder, the shape of its images, and whether pictures are brought into it."""

    folder: Path
    height: int
    width: int
    channels: int  # 1 or 3
    convert: bool

    @property
    def shape(self) -> tuple[int, ...]:
        """Of one image: (H, W) or (H, W, 3)."""
        return (self.height, self.width) if self.channels == 1 else (self.height, self.width, 3)

    def in_set(self) -> dict[str, np.ndarray]:
        """The splits `train` and `test`, canonical uint8; InputError naming the file that is wrong or missing."""
        if self._arrays():
            return {split: self._array(split) for split in ("train", "test")}
        pictures = self._pictures()
        if len(pictures) < LEAST:
            raise InputError(f"{self.folder} holds {len(pictures)} pictures: at least {LEAST} are needed to train on them")
        # RandomState's stream is frozen, default_rng's may change with NumPy's version.
        order = np.random.RandomState(SEED).permutation(len(pictures))
        train, test = np.split(order, [round(TRAIN_PART * len(pictures))])
        return {"train": pictures[np.sort(train)], "test": pictures[np.sort(test)]}

    def out_set(self) -> np.ndarray:
        """The images as an out-set, canonical uint8; InputError as `in_set`."""
        return self._array("test") if self._arrays() else self._pictures()

    def _files(self) -> list[Path]:
        if not self.folder.is_dir():
            raise InputError(f"{self.folder} is not a folder: put the images there, or take its name out of the benchmark")
        found = [path for path in sorted(self.folder.rglob("*")) if path.is_file()]
        files = [path for path in found if not any(part.startswith(".") for part in path.relative_to(self.folder).parts)]
        if not files:
            raise InputError(f"{self.folder} is empty: put pictures there, or train.npz and test.npz")
        return files

    def _arrays(self) -> bool:
        files = self._files()
        arrays = [path for path in files if path.suffix == ".npz"]
        if arrays and len(arrays) < len(files):
            other = next(path for path in files if path not in arrays)
            raise InputError(f"{self.folder} holds both {arrays[0].name} and {other.name}: .npz files or pictures, not both")
        return bool(arrays)

    def _array(self, split: str) -> np.ndarray:
        path = self.folder / f"{split}.npz"
        if not path.exists():
            raise InputError(f"{path} is missing: save it with numpy.savez_compressed(path, images=...)")
        pixels = images.load_npz(path)
        if pixels.shape[1:] != self.shape:
            raise InputError(f"{path} holds images of shape {pixels.shape[1:]}, but params.yaml declares {self.shape}")
        return pixels

    def _pictures(self) -> np.ndarray:
        return np.stack([self.picture(path) for path in self._files()])

    def picture(self, path: Path) -> np.ndarray:
        """One picture in the declared shape, canonical uint8; InputError naming a file that is no picture or of another shape."""
        try:
            with Image.open(path, formats=formats()) as file:
                picture = ImageOps.exif_transpose(file)
                picture.load()
        except Exception as error:  # every format's decoder has errors of its own
            raise InputError(f"{path} cannot be read as a picture ({error}): replace or remove it") from error
        if picture.mode not in EIGHT_BITS:
            raise InputError(f"{path} has pixels of the kind {picture.mode}: save it with 8 bits a channel")
        size, mode = (self.width, self.height), MODES[self.channels]
        if self.convert:
            if picture.has_transparency_data:
                picture = picture.convert("RGBA")
                picture = Image.alpha_composite(Image.new("RGBA", picture.size, "black"), picture)
            picture = ImageOps.fit(picture.convert(mode), size, Image.Resampling.LANCZOS)
        elif picture.size != size or picture.mode != mode:
            held = f"{picture.height}×{picture.width} of the kind {picture.mode}"
            declared = f"{self.height}×{self.width} of the kind {mode}"
            raise InputError(f"{path} is {held}, but params.yaml declares {declared}: change it, or set convert to true")
        return np.asarray(picture)


def formats() -> list[str]:
    """The formats of pictures that are read: Pillow's without EPS, which is a program that Ghostscript would be called to run."""
    Image.init()
    return sorted(set(Image.OPEN) - {"EPS"})


DataSet = base.Published | base.Part | base.Made | Own


def find(name: str, declared: dict[str, dict[str, Any]], folder: Path) -> DataSet:
    """The data set of that name: one of those declared, whose images are below `folder`, or one of the library's."""
    return Own(folder / name, **declared[name]) if name in declared else base.get(name)
