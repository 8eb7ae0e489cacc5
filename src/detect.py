"""Which images are unlike those that models were trained on: `python src/detect.py --benchmark fashion_mnist IMAGES…`

IMAGES are pictures, folders of pictures, read through with all below them, and .npz files (key `images`, uint8, of the models'
shape). Pictures are turned as their camera says, cut, resampled and coloured into that shape, as own images are. One line an
image: whether it is flagged, that is p ≤ the rate of false alarms asked for; p, the share of held-out in-distribution images that
are at least as outlying by the chosen score (likelihood/calibration.py); bits/dim of every model. `--output` writes everything
about every image instead, as .csv or .json, whole or not at all.

Exit status: 0 nothing flagged, 1 something flagged, 2 bad input, or a file that could not be read; the others are done all the
same.
"""

import argparse
import json
import os
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import numpy as np
import pandas as pd
import torch
from tqdm import tqdm

import params
import stage
from likelihood import comparison
from likelihood.data import images, own
from likelihood.detector import BATCH, Detector
from likelihood.errors import InputError

HERE = Path(__file__).resolve().parents[1]
FLAGGED, FAILED = 1, 2


class Named(NamedTuple):
    """An image, canonical uint8, or why there is none; and what it is called."""

    name: str
    pixels: np.ndarray | None
    fault: str = ""


def files(paths: list[Path]) -> list[Path]:
    """The files named, and those in the folders named, sorted; hidden ones are left out. InputError where one does not exist."""
    found = []
    for path in paths:
        if not path.exists():
            raise InputError(f"{path} does not exist: name pictures, folders or .npz files")
        inside = sorted(each for each in path.rglob("*") if each.is_file()) if path.is_dir() else [path]
        found += [each for each in inside if each == path or not any(p.startswith(".") for p in each.relative_to(path).parts)]
    if not found:
        raise InputError(f"{', '.join(map(str, paths))}: there is no file in it")
    return found


def read(path: Path, frame: own.Own) -> Iterator[Named]:
    """The images of one file."""
    try:
        if path.suffix != ".npz":
            yield Named(str(path), frame.picture(path))
            return
        pixels = images.load_npz(path)
        if pixels.shape[1:] != frame.shape:
            raise InputError(f"{path} holds images of shape {pixels.shape[1:]}; the models know {frame.shape}")
        for number, image in enumerate(pixels):
            yield Named(f"{path}[{number}]", image)
    except InputError as error:
        yield Named(str(path), None, str(error))


def batches(found: list[Path], frame: own.Own) -> Iterator[list[Named]]:
    """The images of files in order, some at a time, so that a folder of any size fits into memory."""
    batch: list[Named] = []
    bar, given = tqdm(found, unit="file", leave=False, disable=None), 0
    for path in bar:
        for image in read(path, frame):
            batch.append(image)
            if len(batch) == BATCH:
                yield batch
                given, batch = given + BATCH, []
                bar.set_postfix(images=given)  # a single .npz may hold most of them
    if batch:
        yield batch


class Output:
    """Where the table goes: lines on the terminal, or a file of everything, whole or not at all."""

    def __init__(self, path: Path | None, score: str) -> None:
        self.path, self.score, self.rows = path, score, 0
        if path is None:
            return
        if path.suffix not in (".csv", ".json"):
            raise InputError(f"{path} must end in .csv or .json")
        if not path.parent.is_dir():
            raise InputError(f"{path.parent} is not a folder: make it first")
        self.partial = path.with_name(f".{path.name}.partial")
        self.file = self.partial.open("w", encoding="utf-8", newline="")

    def add(self, table: pd.DataFrame) -> None:
        """Write some rows."""
        if self.path is None:
            self.show(table)
        elif self.path.suffix == ".csv":
            table.to_csv(self.file, index=False, header=not self.rows)
        else:
            lines = [json.dumps(row) for row in table.to_dict("records")]
            self.file.write((",\n" if self.rows else "[\n") + ",\n".join(lines))
        self.rows += len(table)

    def show(self, table: pd.DataFrame) -> None:
        """A line an image."""
        likelihoods = [name for name in table if name.endswith((".bits_per_dim", ".nats"))]
        for row in table.to_dict("records"):
            verdict, p = "FLAGGED" if row["flagged"] else "normal ", row[f"{self.score}.p"]
            tqdm.write("  ".join([verdict, f"p {p:.4f}", *(f"{name} {row[name]:8.3f}" for name in likelihoods), row["image"]]))

    def close(self, whole: bool) -> None:
        """Put the file in its place, or take it away."""
        if self.path is None:
            return
        if self.path.suffix == ".json":
            self.file.write("\n]\n" if self.rows else "[]\n")
        self.file.close()
        if whole:
            os.replace(self.partial, self.path)
        else:
            self.partial.unlink()


def chosen(detector: Detector, score: str | None) -> str:
    """The score that flags: the one named, or the density of code lengths, of all models if there are several."""
    default = f"{comparison.ALL_MODELS if len(detector.models) > 1 else next(iter(detector.models))}.code_kde"
    name = score or default
    if name not in detector.names:
        raise InputError(f"there is no score {name!r}; there are {', '.join(detector.names)}")
    return name


def detect(arguments: argparse.Namespace) -> int:
    """Look at all images; the exit status."""
    found = files(arguments.images)
    device = "cuda" if torch.cuda.is_available() else "cpu"
    detector = Detector.load(HERE, arguments.benchmark, arguments.model, device)
    score = chosen(detector, arguments.score)
    if not detector.least_rate() <= arguments.rate < 1.0:
        raise InputError(
            f"--rate is {arguments.rate}; {len(detector.calibration)} calibration images can tell rates from"
            f" {detector.least_rate():.4f} to below 1: ask for another, or raise preprocess.validation_fraction and train again"
        )
    if others := detector.other_codecs():
        print(f"warning: calibrated with other versions of {', '.join(others)}: run `dvc repro`", file=sys.stderr)
    channels, height, width = detector.shape
    frame = own.Own(Path(), height, width, channels, convert=True)
    output, whole, flagged, seen, skipped = Output(arguments.output, score), False, 0, 0, 0
    try:
        for batch in batches(found, frame):
            for bad in (image for image in batch if image.pixels is None):
                tqdm.write(f"skipped: {bad.fault}", file=sys.stderr)
                skipped += 1
            good = [image for image in batch if image.pixels is not None]
            if good:
                table = detector(np.stack([image.pixels for image in good]))
                table.insert(0, "image", [image.name for image in good])
                table.insert(1, "flagged", table[f"{score}.p"] <= arguments.rate)
                output.add(table)
                flagged, seen = flagged + int(table["flagged"].sum()), seen + len(good)
        whole = True
    finally:
        output.close(whole)
    print(
        f"{flagged} of {seen} images flagged by {score} at a rate of false alarms of {arguments.rate:g}; {skipped} skipped",
        file=sys.stderr,
    )
    return FAILED if skipped else FLAGGED if flagged else 0


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0], epilog=__doc__.split("\n\n")[-1])
    parser.add_argument("images", nargs="+", type=Path, metavar="IMAGES", help="pictures, folders of pictures, .npz files")
    parser.add_argument("--benchmark", required=True, help="a name under benchmarks: in params.yaml, trained or pulled")
    parser.add_argument("--model", action="append", help="use this model only; may be given again; all three by default")
    parser.add_argument("--score", help="the score that flags, as glow.complexity; all.code_kde by default")
    parser.add_argument("--rate", type=float, default=0.05, help="rate of false alarms, 0.05 by default")
    parser.add_argument("--output", type=Path, help="write everything about every image to this .csv or .json")
    arguments = parser.parse_args()
    try:
        params.of_benchmark(params.load(HERE / "params.yaml"), arguments.benchmark)
        status = detect(arguments)
    except InputError as error:
        print(f"error: {error}", file=sys.stderr)
        status = FAILED
    sys.exit(status)


if __name__ == "__main__":
    stage.run(main)
