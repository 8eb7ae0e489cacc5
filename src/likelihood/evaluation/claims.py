"""The numbers and figures behind the claims of Nalisnick et al. (2019), from scores and from the analysis `claims`.

explain.json holds

    split       for Glow and each set, the mean of each part of log p(x) in bits/dim, and the AUROC of minus this part alone;
                the parts are means over draws, and without the 8 bits/dim that turn a density on [0, 1] into levels 0..255
    constants   for each model, the most and the least likely grey level and their bits/dim
    code        for each set, the mean size of an image under the best of the codecs, bits/dim
    samples     for each natural out-set, the share of a model's samples that look in-distribution, and the share of held-out
                images of both sets: those that a random forest [1], trained on pixels of as many images of each, calls
                in-distribution

<model>.csv has the columns experiment, at, set (analyses/dissection.py), n images, mean of bits/dim,
and auroc of -log p, the out-set against `test` at the same λ or epoch. The figures are split, constants, entropy,
contrast and training.

References:
    [1] Random forests (Breiman, 2001), Machine Learning 45
"""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from matplotlib.figure import Figure
from PIL import Image
from sklearn.ensemble import RandomForestClassifier

from likelihood.common import images, selection
from likelihood.common.params import MODELS
from likelihood.common.units import bits_per_dim
from likelihood.data import base as data
from likelihood.evaluation import metrics, results
from likelihood.evaluation.results import DIGITS
from likelihood.figures import claims as figures
from likelihood.scores import complexity

PARTS = {
    "log_pz": "log p(z)",
    "ladj": "log |det| of the flow",
    "ladj_preprocess": "log |det| of the preprocessing",
    "dequantization": "−log q(u | x) of the dequantisation",
}
TREES = 200
PADDING, BLANK = 2, 255  # between the pictures of a grid, and in cells without one
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
    drawn = folder / "drawn.png"  # where the grids of the epochs are of something else
    last = drawn if drawn.exists() else max(folder.glob("epoch_*.png"), key=lambda path: int(path.stem.removeprefix("epoch_")))
    return np.asarray(Image.open(last, formats=["PNG"]))


def pictures(grid: np.ndarray, shape: tuple[int, int, int]) -> np.ndarray:
    """The samples in a grid (height, width, 3): uint8 (N, C, H, W), N at least 1. A single one has no padding."""
    channels, height, width = shape
    if grid.shape[:2] == (height, width):
        return grid.transpose(2, 0, 1)[None, :channels]
    rows, columns = ((size - PADDING) // (step + PADDING) for size, step in zip(grid.shape, (height, width), strict=False))
    cells = [
        grid[PADDING + r * (height + PADDING) :, PADDING + c * (width + PADDING) :][:height, :width]
        for r in range(rows)
        for c in range(columns)
    ]
    kept = [cell for cell in cells if not (cell == BLANK).all()] or cells[:1]
    return np.stack(kept).transpose(0, 3, 1, 2)[:, :channels]


def in_distribution(inside: np.ndarray, outside: np.ndarray, judged: Mapping[str, np.ndarray], seed: int) -> dict[str, float]:
    """The share of images that look in-distribution, by name.

    Arguments:
        inside, outside: what the forest learns from, uint8 (N, C, H, W) and (M, C, H, W).
        judged: images by name, each (K, C, H, W).
        seed: of the forest.
    """
    pixels = np.concatenate([inside, outside]).reshape(len(inside) + len(outside), -1)
    forest = RandomForestClassifier(TREES, random_state=seed).fit(pixels, np.repeat([0, 1], [len(inside), len(outside)]))
    return {name: float((forest.predict(x.reshape(len(x), -1)) == 0).mean()) for name, x in judged.items()}


def look_of_samples(processed: Path, out: str, grids: dict[str, np.ndarray], seed: int) -> dict[str, float]:
    """The share of samples, and of images new to the forest, that look more like the in-set than like the out-set.

    The forest learns from equally many of both sets: one that has seen few images of a set hardly calls any its own. All are
    drawn at random, as the images of a set may stand class by class.
    """
    sets = {"val": processed / "in/val.npy", "test": processed / "in/test.npy", out: processed / "out" / f"{out}.npy"}
    shuffled = {}
    for name, path in sets.items():
        x = images.load(path)
        shuffled[name] = x[selection.compared(name, len(x), len(x), seed)[: 2 * LOOKED_AT]]
    count = min(len(shuffled["val"]), len(shuffled[out]) // 2, LOOKED_AT)
    judged = {"test": shuffled["test"][:LOOKED_AT], out: shuffled[out][count : count + LOOKED_AT]}
    judged |= {model: pictures(grid, shuffled["test"].shape[1:]) for model, grid in grids.items()}
    return in_distribution(shuffled["val"][:count], shuffled[out][:count], judged, seed)


def code_lengths(processed: Path, outs: list[str], seed: int) -> dict[str, float]:
    """The mean size of an image under the best of the codecs, bits/dim, by set."""
    code = {}
    for name in ("test", *outs):
        x = images.load(processed / ("in" if name == "test" else "out") / f"{name}.npy")
        x = x[selection.scored(name, len(x), CODED, seed)]
        code[name] = float(bits_per_dim(-complexity.lengths(x).min(axis=1).mean(), x[0].size))
    return code


def measured(table: pd.DataFrame) -> pd.DataFrame:
    """The contents of <model>.csv, from the likelihood of every image."""
    rows = []
    for (experiment, at), group in table.groupby(["experiment", "at"], sort=False):
        values = {name: found["value"].to_numpy() for name, found in group.groupby("set", sort=False)}
        for name, found in values.items():
            auroc = metrics.auroc(values["test"], found) if name != "test" else None
            rows.append([experiment, at, name, len(found), round(found.mean(), DIGITS), auroc and round(auroc, DIGITS)])
    return pd.DataFrame(rows, columns=["experiment", "at", "set", "n", "mean", "auroc"])


Evidence = tuple[dict[str, Any], dict[str, pd.DataFrame], dict[str, Figure]]


def collect(benchmark: str, entry: dict[str, Any], seed: int) -> Evidence:
    """The contents of explain.json, of <model>.csv, and the figures, by name. `entry` is the benchmark's in params.yaml."""
    in_name, outs, processed = entry["in"], entry["out"], Path("data/processed") / benchmark
    facts, statistics, likelihoods = {}, {}, {}
    for model in MODELS:
        facts[model], statistics[model] = results.of_model(benchmark, model)
        likelihoods[model] = results.likelihoods(facts[model], statistics[model])
    units = {model: facts[model]["unit"] for model in MODELS}
    means = {model: {name: float(likelihoods[model][name].mean()) for name in ("test", *outs)} for model in MODELS}
    numbers, parts = split(statistics["glow"], facts["glow"]["dims"], outs)
    found: dict[str, Any] = {"split": numbers}
    drawn = {"split": figures.split(parts, in_name, outs)} if parts else {}  # there is none where all images are alike
    if "constant" in outs and len(likelihoods["glow"]["constant"]) == 256:
        levels = {model: likelihoods[model]["constant"] for model in MODELS}
        found["constants"] = {model: constants(levels[model]) for model in MODELS}
        drawn["constants"] = figures.constants(levels, means, units, in_name, outs)
    found["code"] = code_lengths(processed, outs, seed)
    grids = {model: newest_samples(Path("metrics") / benchmark / "train" / model / "plots/images/samples") for model in MODELS}
    natural = [out for out in outs if data.natural(out) and len(statistics["glow"][out]) > 1]  # one half is for learning
    found["samples"] = {out: look_of_samples(processed, out, grids, seed) for out in natural}
    drawn["entropy"] = figures.entropy(found["code"], {m: means[m] for m in MODELS if units[m] == "bits_per_dim"}, in_name, outs)
    dissected = {
        model: measured(pd.read_parquet(Path("data/analyses") / benchmark / "claims" / f"{model}.parquet")) for model in MODELS
    }
    for experiment, name, xlabel, title in (
        ("contrast", "contrast", "contrast λ", "images of less and less contrast"),
        ("epoch", "training", "epoch", "likelihood by epoch, from snapshots of the weights in 8 bits"),
    ):
        of = {model: table[table["experiment"] == experiment] for model, table in dissected.items()}
        drawn[name] = figures.lines(of, units, in_name, outs, xlabel, title, reverse=experiment == "contrast")
    return results.rounded(found), dissected, drawn


def write(found: dict[str, Any], dissected: dict[str, pd.DataFrame], folder: Path) -> None:
    """Write explain.json and the tables into a folder."""
    (folder / "explain.json").write_text(json.dumps(found, indent=1) + "\n", encoding="utf-8")
    for model, table in dissected.items():
        table.to_csv(folder / f"{model}.csv", index=False)
