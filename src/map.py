"""Stage `map`: where in an image its likelihood under each model comes from, and on what kind of pixels (maps/places.py).

Reads data/settings/<benchmark>/<model>/scoring.json, the best weights of the three models and data/processed/<benchmark>. IMAGES
images stand for the test images and for every out-set. Writes

    data/maps/<benchmark>/<set>.npz    index: positions in their set of the SHOWN images: the most likely one under the PixelCNN,
                                       the first of the random choice, the least likely one; <model>: their maps (n, H, W);
                                       mean_<model>: the mean map (H, W) of all; in bits per pixel
    metrics/<benchmark>/maps.csv       model, unit, set, region; pixels: the region's share of the pixels; bits_per_pixel: their
                                       mean; bits: the region's share of the set's bits
"""

import argparse
import math
import os
from pathlib import Path

import numpy as np
import pandas as pd

from likelihood.common import images, params, selection, stage
from likelihood.common.errors import InputError
from likelihood.common.params import MODELS
from likelihood.maps.places import REGIONS, has_places, maps_of, regions
from likelihood.models.shared import checkpoint
from likelihood.statistics.measure import sets_of

IMAGES, SHOWN = 500, 3
DIGITS = 4
JUDGE = "pixelcnn"  # whose likelihood is exact, and says which images are shown


def shown(bits: np.ndarray) -> np.ndarray:
    """The rows of the images that are shown, from the bits (N,) of all: most likely, some of the random order, least likely."""
    order = np.argsort(bits, kind="stable")
    ends = [int(order[0]), int(order[-1])]
    between = [row for row in range(len(bits)) if row not in ends][: SHOWN - 2]
    return np.array(list(dict.fromkeys([ends[0], *between, ends[1]])))


def shares(bits: np.ndarray, region: np.ndarray) -> pd.DataFrame:
    """One row per region from maps (N, H, W) in bits and the region of every pixel: region, pixels, bits_per_pixel, bits."""
    rows = []
    for number, name in enumerate(REGIONS):
        found = bits[region == number]
        mean = float(found.mean()) if len(found) else math.nan
        rows.append((name, len(found) / bits.size, mean, float(found.sum() / bits.sum())))
    return pd.DataFrame(rows, columns=["region", "pixels", "bits_per_pixel", "bits"])


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--benchmark", required=True)
    benchmark = parser.parse_args().benchmark
    source, models = Path("data/processed") / benchmark, {}
    settings = {name: params.resolved(benchmark, f"{name}/scoring") for name in MODELS}
    seed, count = settings[JUDGE]["seed"], settings[JUDGE]["images"]
    for name in MODELS:
        _, model = checkpoint.load(Path("data/models") / benchmark / name / "best.safetensors")
        if has_places(model):
            models[name] = model
        else:
            print(f"{name} is left out: it does not say where its likelihood arises")
    if not models:
        raise InputError("no model says where its likelihood arises: there is nothing to map")
    tables, arrays = [], {}
    first = next(iter(models.values()))
    every = {
        stem: found
        for side in ("in", "out")
        for stem, found in sets_of(source / side, first, count, seed).items()
        if stem not in ("train", "val")
    }
    for stem, (index, x) in every.items():
        rows = selection.compared(stem, len(index), IMAGES, seed)
        chosen, region = x[rows], regions(x[rows])
        bits = {
            name: maps_of(model, chosen, settings[name]["draws"], f"{stem}, {name}") / -math.log(2.0)
            for name, model in models.items()
        }
        judge = bits.get(JUDGE, next(iter(bits.values())))
        kept = shown(judge.sum(axis=(1, 2)))
        arrays[stem] = {"index": index[rows][kept]}
        arrays[stem] |= {name: found[kept].astype(np.float32) for name, found in bits.items()}
        arrays[stem] |= {f"mean_{name}": found.mean(axis=0).astype(np.float32) for name, found in bits.items()}
        tables += [shares(found, region).assign(model=name, unit=models[name].unit, set=stem) for name, found in bits.items()]
        print(f"{stem}: maps of {len(rows)} images", flush=True)
    table = pd.concat(tables, ignore_index=True)[["model", "unit", "set", "region", "pixels", "bits_per_pixel", "bits"]]
    with images.replaced(Path("data/maps") / benchmark) as folder:
        for stem, found in arrays.items():
            np.savez_compressed(folder / f"{stem}.npz", **found)
    place = Path("metrics") / benchmark / "maps.csv"
    place.parent.mkdir(parents=True, exist_ok=True)
    partial = place.with_name(f".{place.name}.partial")
    table.round(DIGITS).to_csv(partial, index=False)
    os.replace(partial, place)


if __name__ == "__main__":
    stage.run(main)
