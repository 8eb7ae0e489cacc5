"""Stage `explain`: the figures of the claims of Nalisnick et al. (2019), and the numbers in them.

Reads data/scores/<benchmark>, data/processed/<benchmark> and what `dissect` found. Writes plots/claims/<benchmark>/ (split,
constants, entropy, contrast, training) and metrics/claims/<benchmark>/explain.json:

    split       for Glow and each set, the mean of each part of log p(x) in bits/dim, and the AUROC of minus this part alone
    constants   for each model, the most and the least likely grey level and their bits/dim
    code        for each set, the mean size of an image under the best of the codecs, bits/dim
    samples     for each natural out-set, the share of a model's samples that look in-distribution (claims/samples.py), and
                the share of held-out images of both sets
"""

import argparse
import json
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from PIL import Image

from evaluate import MODELS, read_statistics, rounded
from likelihood.claims import samples
from likelihood.common import images
from likelihood.common.units import bits_per_dim, in_unit
from likelihood.data import base as data
from likelihood.evaluation import metrics, tables
from likelihood.figures import claims as claimfigures
from likelihood.runtime import stage
from likelihood.scores import codecs
from likelihood.settings import params
from likelihood.statistics import selection

PARTS = {"log_pz": "log p(z)", "ladj": "log |det| of the flow", "ladj_preprocess": "log |det| of the preprocessing"}
DPI = 130
LOOKED_AT = 1000  # images per set that a forest learns from, and at most as many others that it is tested on
CODED = 500  # images per set whose compressed size is measured


Parts = dict[str, dict[str, np.ndarray]]


def split(statistics: dict[str, pd.DataFrame], dims: int, outs: list[str]) -> tuple[dict[str, Any], Parts]:
    """Parts of Glow's log-likelihood in bits/dim, for the test images and natural out-sets: their summary, and their values."""
    names = ["test", *(name for name in outs if data.natural(name))]
    numbers, values = {}, {}
    for column, title in PARTS.items():
        by_set = {name: -bits_per_dim(statistics[name][column].to_numpy(), dims) for name in names}
        means = {name: float(found.mean()) for name, found in by_set.items()}
        aurocs = {name: metrics.auroc(-by_set["test"], -by_set[name]) for name in names[1:]}
        numbers[column] = {"mean": means, "auroc": aurocs}
        if any(np.ptp(found) > 0.0 for found in by_set.values()):
            values[f"{title}, bits/dim"] = by_set
    return numbers, values


def constants(levels: np.ndarray) -> dict[str, float]:
    """The extremes of likelihoods (256,) of constant images."""
    ends = {"most_likely": int(levels.argmin()), "least_likely": int(levels.argmax())}
    return ends | {"most": float(levels.min()), "least": float(levels.max())}


def newest_samples(folder: Path) -> np.ndarray:
    """The last grid of samples of a training, (height, width, 3)."""
    return np.asarray(Image.open(max(folder.glob("*.png")), formats=["PNG"]))


def look_of_samples(processed: Path, out: str, grids: dict[str, np.ndarray], seed: int) -> dict[str, float]:
    """The share of samples, and of images new to the forest, that look more like the in-set than like the out-set."""
    inside, test = (images.load(processed / "in" / f"{name}.npy") for name in ("val", "test"))
    outside = images.load(processed / "out" / f"{out}.npy")
    half = len(outside) // 2
    judged = {"test": test[:LOOKED_AT], out: outside[half : half + LOOKED_AT]}
    judged |= {model: samples.pictures(grid, inside.shape[1:]) for model, grid in grids.items()}
    return samples.in_distribution(inside[:LOOKED_AT], outside[: min(half, LOOKED_AT)], judged, seed)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--benchmark", required=True)
    benchmark = parser.parse_args().benchmark
    values = params.load()
    entry, seed = params.of_benchmark(values, benchmark), values["seed"]
    in_name, outs = entry["in"], entry["out"]
    scored, claims = Path("data/scores") / benchmark, Path("metrics/claims") / benchmark
    facts, statistics, likelihoods = {}, {}, {}
    for model in MODELS:
        facts[model], statistics[model] = read_statistics(scored / "in" / model)
        statistics[model] |= read_statistics(scored / "out" / model)[1]
        likelihoods[model] = {
            name: in_unit(statistics[model][name]["log_prob"].to_numpy(), facts[model]["dims"], facts[model]["unit"])
            for name in ("test", *outs)
        }
    units = {model: facts[model]["unit"] for model in MODELS}
    means = {model: {name: float(found.mean()) for name, found in likelihoods[model].items()} for model in MODELS}
    numbers, parts = split(statistics["glow"], facts["glow"]["dims"], outs)
    found: dict[str, Any] = {"split": numbers}
    drawn = {"split": claimfigures.split(parts, in_name)} if parts else {}  # there is none where all images are alike
    if "constant" in outs and len(likelihoods["glow"]["constant"]) == 256:
        levels = {model: likelihoods[model]["constant"] for model in MODELS}
        found["constants"] = {model: constants(levels[model]) for model in MODELS}
        drawn["constants"] = claimfigures.constants(levels, means, units, in_name)
    code = {}
    for name in ("test", *outs):
        x = images.load(Path("data/processed") / benchmark / ("in" if name == "test" else "out") / f"{name}.npy")
        x = x[selection.scored(name, len(x), CODED, seed)]
        code[name] = float(bits_per_dim(-codecs.lengths(x).min(axis=1).mean(), x[0].size))
    found["code"] = code
    grids = {model: newest_samples(Path("metrics") / benchmark / "train" / model / "plots/images/samples") for model in MODELS}
    processed = Path("data/processed") / benchmark
    natural = [out for out in outs if data.natural(out) and len(statistics["glow"][out]) > 1]  # one half is for learning
    found["samples"] = {out: look_of_samples(processed, out, grids, seed) for out in natural}
    drawn["entropy"] = claimfigures.entropy(code, {m: means[m] for m in MODELS if units[m] == "bits_per_dim"}, in_name)
    dissected = {model: pd.read_csv(claims / f"{model}.csv") for model in MODELS}
    for experiment, name, xlabel, title in (
        ("contrast", "contrast", "contrast λ", "images of less and less contrast"),
        ("epoch", "training", "epoch", "likelihood by epoch, from the snapshots"),
    ):
        of = {model: table[table["experiment"] == experiment] for model, table in dissected.items()}
        drawn[name] = claimfigures.lines(of, units, in_name, xlabel, title, reverse=experiment == "contrast")
    tables.save(claims / "explain.json", json.dumps(rounded(found), indent=1) + "\n")
    with images.replaced(Path("plots/claims") / benchmark) as folder:
        for name, figure in drawn.items():
            figure.savefig(folder / f"{name}.png", dpi=DPI, metadata={"Software": None})


if __name__ == "__main__":
    stage.run(main)
