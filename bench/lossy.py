"""What becomes of a detector's rate of false alarms when ordinary images were made in another way: by JPEG, WebP or resizing.

The same test images of the in-set, none of which a detector has seen, are written as pictures in several ways and read again as
`likelihood detect` reads them. Of each way the share that the default score flags at RATES. Needs BENCHMARKS enabled by `run`,
pulled (`likelihood pull`), with their images (`dvc repro preprocess`).
"""

import tempfile
from collections.abc import Callable
from pathlib import Path

import numpy as np
from PIL import Image

from bench.machine import store
from likelihood.common import images
from likelihood.data import pictures
from likelihood.detection.detector import Detector

BENCHMARKS = ("fashion_mnist", "cifar10_30k")
IMAGES, RATES, DIGITS = 1000, (0.05, 0.1), 3


def enlarged(factor: int, resample: Image.Resampling) -> Callable[[Image.Image], Image.Image]:
    """A picture so many times as wide and high."""
    return lambda picture: picture.resize((factor * picture.width, factor * picture.height), resample)


WAYS: dict[str, tuple[Callable[[Image.Image], Image.Image], str, dict[str, object]]] = {
    "PNG, as they are": (lambda picture: picture, "png", {}),
    "WebP, lossless": (lambda picture: picture, "webp", {"lossless": True}),
    "JPEG, quality 95": (lambda picture: picture, "jpg", {"quality": 95}),
    "JPEG, quality 75": (lambda picture: picture, "jpg", {"quality": 75}),
    "WebP, quality 80": (lambda picture: picture, "webp", {"quality": 80}),
    "enlarged 4 times, nearest pixel": (enlarged(4, Image.Resampling.NEAREST), "png", {}),
    "enlarged 4 times, bilinear": (enlarged(4, Image.Resampling.BILINEAR), "png", {}),
    "enlarged 4 times, bicubic": (enlarged(4, Image.Resampling.BICUBIC), "png", {}),
}


def made(x: np.ndarray, way: str, folder: Path) -> np.ndarray:
    """Canonical images written in one way and read again, in the same shape."""
    change, suffix, options = WAYS[way]
    shape = pictures.Shape(1 if x.ndim == 3 else 3, *x.shape[1:3])
    found = []
    for number, image in enumerate(x):
        picture = Image.fromarray(image)
        path = folder / f"{number}.{suffix}"
        change(picture).save(path, **options)
        found.append(np.asarray(pictures.fit(pictures.only(path), shape.size, shape.mode)))
    return np.stack(found)


def rows(benchmark: str) -> list[dict[str, object]]:
    """Of every way, which share is flagged at each rate."""
    detector = Detector.load(".", benchmark)
    x = images.load(Path(f"data/processed/{benchmark}/in/test.npy"))[:IMAGES]
    x = np.ascontiguousarray(x[:, 0] if x.shape[1] == 1 else x.transpose(0, 2, 3, 1))
    found = []
    for way in WAYS:
        with tempfile.TemporaryDirectory() as folder:
            p = detector.p_values(images.to_network(made(x, way, Path(folder))))
        flagged = {f"{rate:g}": round(float((p <= rate).mean()), DIGITS) for rate in RATES}
        found.append({"benchmark": benchmark, "way": way, "flagged": flagged})
        print(f"{benchmark}, {way}: {flagged}", flush=True)
    return found


def main() -> None:
    store("lossy", {"rows": [row for benchmark in BENCHMARKS for row in rows(benchmark)], "images": IMAGES})


if __name__ == "__main__":
    main()
