"""Stage `curve`: the second-order analysis of a Glow (likelihood/statistics/curvature.py) against the gap that it shows.

Reads data/processed/<benchmark>, Glow's best weights and its scores. Writes metrics/claims/<benchmark>/curvature.json: for every
natural out-set, in nats, the measured gap of the mean log p of its images and of the in-set's test images, its share that the
log-determinant has, and the gap as predicted by the first order, by the second, and by variances alone; total variances of the
sets; the share of the Hessian's diagonal that is negative.
"""

import argparse
import json
from pathlib import Path

import numpy as np
import pandas as pd

from likelihood.common import images
from likelihood.common.errors import InputError
from likelihood.data import base as data
from likelihood.models.glow.model import Glow
from likelihood.models.shared import checkpoint
from likelihood.runtime import stage
from likelihood.settings import params
from likelihood.statistics import curvature

DIGITS = 4


def total_variance(x: np.ndarray) -> float:
    """Σ of the pixels' variances over uint8 images (N, C, H, W), of pixels in [0, 1]."""
    return round(float((x.astype(np.float32) / 255.0).var(axis=0, dtype=np.float64).sum()), DIGITS)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--benchmark", required=True)
    benchmark = parser.parse_args().benchmark
    outs = [name for name in params.of_benchmark(params.load(), benchmark)["out"] if data.natural(name)]
    processed, scored = Path("data/processed") / benchmark, Path("data/scores") / benchmark
    _, model = checkpoint.load(Path("data/models") / benchmark / "glow" / "best.safetensors")
    if not isinstance(model, Glow):
        raise InputError(f"data/models/{benchmark}/glow/best.safetensors does not hold a Glow: rerun `dvc repro`")
    inside = np.array(images.load(processed / "in" / "test.npy"))
    at = curvature.expand(model, inside.reshape(len(inside), -1).mean(axis=0))
    sides = {"test": "in", **dict.fromkeys(outs, "out")}
    statistics = {name: pd.read_parquet(scored / side / "glow" / f"{name}.parquet") for name, side in sides.items()}
    means = {name: table["log_prob"].mean() for name, table in statistics.items()}
    volume = {name: table[["ladj", "ladj_preprocess"]].sum(axis=1) for name, table in statistics.items()}
    found: dict[str, object] = {
        "negative_diagonal": round(float((np.diag(at.hessian) < 0).mean()), DIGITS),
        "total_variance": {"test": total_variance(inside)},
        "std_of_ladj": round(float(volume["test"].std()), DIGITS),
        "gaps": {},
    }
    for out in outs:
        outside = np.array(images.load(processed / "out" / f"{out}.npy"))
        found["total_variance"][out] = total_variance(outside)
        found["gaps"][out] = {
            "measured": round(float(means[out] - means["test"]), DIGITS),
            "ladj": round(float(volume[out].mean() - volume["test"].mean()), DIGITS),
            **{order: round(gap, DIGITS) for order, gap in curvature.predicted_gap(at, inside, outside).items()},
        }
    path = Path("metrics/claims") / benchmark / "curvature.json"
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(found, indent=1) + "\n", encoding="utf-8")


if __name__ == "__main__":
    stage.run(main)
