"""Stage preprocess: one benchmark's raw images as (N, C, H, W) uint8 arrays to memory-map, in data/processed/<benchmark>/.

Writes in/{train,val,test}.npy, out/<set>.npy, and a statistics.json in each folder. The validation split is drawn from the
in-set's training images; test and out-sets keep their order. What in/ holds depends on the in-set alone, so a changed out-set
retrains nothing. The counts are known here, before anything is trained: too few images for a detector are refused.
"""

import argparse
import json
from pathlib import Path

import numpy as np

from likelihood.common import counts, images, params, stage
from likelihood.common.errors import InputError


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--benchmark", required=True, help="a name under benchmarks: in params.yaml")
    benchmark = parser.parse_args().benchmark
    values = params.load()
    fraction = values["preprocess"]["validation_fraction"]
    raw = Path("data/raw") / benchmark
    print(detector(len(images.load_canonical(raw / "in/train.npy")), fraction, values["score"]["images"]))
    with images.replaced(Path("data/processed") / benchmark) as folder:
        preprocess_in(raw / "in", folder / "in", values["seed"], fraction)
        preprocess_out(raw / "out", folder / "out")


def preprocess_in(raw: Path, folder: Path, seed: int, validation_fraction: float) -> None:
    """Split train into train and val, by a permutation drawn with `seed`; the statistics are those of the new train."""
    published = images.load_canonical(raw / "train.npy")
    val, train = split(len(published), seed, validation_fraction)
    images.save(folder / "val.npy", images.to_network(published[val]))
    images.save(folder / "test.npy", images.to_network(images.load_canonical(raw / "test.npy")))
    pixels = images.to_network(published[train])  # (N, C, H, W)
    images.save(folder / "train.npy", pixels)
    statistics = images.statistics(pixels)
    if (raw / "prepared.json").exists():  # of a user's own images
        statistics["prepared"] = json.loads((raw / "prepared.json").read_text(encoding="utf-8"))
    write_json(folder / "statistics.json", statistics)


def preprocess_out(raw: Path, folder: Path) -> None:
    """Convert every out-set; the statistics are by name."""
    statistics = {}
    for path in sorted(raw.glob("*.npy")):
        pixels = images.to_network(images.load_canonical(path))  # (N, C, H, W)
        images.save(folder / path.name, pixels)
        statistics[path.stem] = images.statistics(pixels)
    write_json(folder / "statistics.json", statistics)


def split(count: int, seed: int, validation_fraction: float) -> tuple[np.ndarray, np.ndarray]:
    """Indices of the validation images and of the training images: disjoint, together all of 0..count-1, neither empty."""
    # RandomState's stream is frozen, default_rng's may change with NumPy's version.
    order = np.random.RandomState(seed).permutation(count)
    held = counts.held_out(count, validation_fraction)
    return order[:held], order[held:]


def detector(count: int, fraction: float, scored: int) -> str:
    """What a detector will be able to tell, of `count` training images; InputError where they are too few for one."""
    held = counts.held_out(count, fraction)
    if held < counts.LEAST:
        raise InputError(
            f"of {count} training images preprocess.validation_fraction {fraction} holds {held} out, but a detector needs"
            f" {counts.LEAST}: take {counts.advice(counts.LEAST, count, fraction)}"
        )
    calibrating = counts.calibrating(min(held, scored))
    smallest, wanted = counts.smallest_rate(calibrating), counts.for_rate(counts.RATE)
    text = (
        f"{held} of {count} images are held out; {calibrating} calibrate a detector, which can resolve rates of false alarms from"
    )
    text = f"{text} {counts.rounded_up(smallest):g}"
    if smallest <= counts.RATE:
        return text
    changes = [counts.advice(wanted, count, fraction)] if held < wanted else []
    changes += [f"score.images {wanted}"] if scored < wanted else []
    return f"{text}; for {counts.RATE:g} take {' and '.join(changes)}"


def write_json(path: Path, values: dict) -> None:
    path.write_text(json.dumps(values, indent=1, sort_keys=True) + "\n", encoding="utf-8")


if __name__ == "__main__":
    stage.run(main)
