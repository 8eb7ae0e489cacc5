"""Stage `analyse`: what takes more than one scoring to learn about the three models; none is trained again.

    gradients      of every model, log squared gradient norms, of all weights and of each layer (analyses/probes.py)
    vae_regret     the VAE's likelihood regret (analyses/probes.py)
    residuals      of every model, what is left of an image and what else a model says of it (analyses/residuals.py)
    glow_lid       of Glow, in how many directions an image could have been drawn otherwise (analyses/lid.py)
    corruptions    statistics and residuals of test images, corrupted in steps (analyses/corruptions.py)
    samples        statistics of images that the models draw themselves, each under every model
    claims         likelihoods by contrast and by epoch, of every model (analyses/dissection.py)

Reads data/settings/<benchmark>/analyses.json, the best weights, snapshots and data/processed/<benchmark>. Writes Parquet files to
data/analyses/<benchmark>/<analysis>. For gradients, regret and residuals there is one per set, with `index` and the numbers of
each image, `<model>.<number>` where they are of every model: of all scored validation images, to fit on, and of those images of
the other sets that the table of scores compares. LIDs are of a few images of `val`, `test` and the natural out-sets, or of every
out-set where none is natural. For `samples` there is one per model that draws, with a column `<model>.<statistic>` for each model
that judges them; for `claims` one per model.
"""

import argparse
import functools
import json
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import torch
from torch import Tensor

from likelihood.analyses import lid, residuals
from likelihood.analyses.corruptions import IMAGES, corrupted
from likelihood.analyses.dissection import dissect
from likelihood.analyses.probes import fisher, probe, regret
from likelihood.common import images, params, selection, stage
from likelihood.common.params import MODELS
from likelihood.models.shared import checkpoint
from likelihood.models.shared.base import LikelihoodModel
from likelihood.statistics.measure import Measure, device, measured, sets_of, statistics, write

KNOWN = 500  # training images that the Fisher information is of
DRAWS = 4  # of noise for an image's gradient, where a model needs noise
VALUES = 500 * 28 * 28  # of samples: 500 grey images, and 127 of colour, which a PixelCNN takes seconds each to draw


def gradients(model: LikelihoodModel, known: Tensor) -> Measure:
    """What makes the columns of `gradients`, of a model that has seen the images `known`."""
    draws = DRAWS if model.lower_bound else 1
    return functools.partial(probe, model, draws=draws, information=fisher(model, known, draws))


def likelihood_regret(model: LikelihoodModel, known: Tensor) -> Measure:
    """What makes the column of `vae_regret`."""
    return lambda x: {"regret": regret(model, x)}


def of_residuals(model: LikelihoodModel, known: Tensor) -> Measure:
    """What makes the columns of `residuals`."""
    return functools.partial(residuals.measure, model)


# What is measured, and how it is stored: hundreds of log norms per image in half precision, exact to about 1 % of their spread.
MEASURES: dict[str, tuple[Callable[[LikelihoodModel, Tensor], Measure], type]] = {
    "gradients": (gradients, np.float16),
    "regret": (likelihood_regret, np.float64),
    "residuals": (of_residuals, np.float32),
}


def loaded(benchmark: str, names: Iterable[str] = MODELS) -> dict[str, LikelihoodModel]:
    """The best models of these names, where they are to compute."""
    folder = Path("data/models") / benchmark
    return {name: checkpoint.load(folder / name / "best.safetensors")[1].to(device()) for name in names}


def per_image(analysis: str, benchmark: str, settings: dict[str, Any], folder: Path) -> None:
    """Write the tables of gradients, regret or residuals."""
    kind, source = analysis.rpartition("_")[2], Path("data/processed") / benchmark
    prepare, stored = MEASURES[kind]
    names = MODELS if analysis == kind else [analysis.removesuffix(f"_{kind}")]
    models = loaded(benchmark, names)
    known = torch.from_numpy(np.array(images.load(source / "in" / "train.npy")[:KNOWN]))
    measures = {name: prepare(model, known) for name, model in models.items()}
    tables, seed = {}, settings["seed"]
    for side in ("in", "out"):
        sets = sets_of(source / side, models[names[0]], settings["scored"], seed)
        for stem, (index, x) in ((stem, found) for stem, found in sets.items() if stem != "train"):
            rows = selection.compared(stem, len(index), settings["compared"], seed)
            parts = [pd.Series(index[rows], name="index")]
            for name, model in models.items():
                found = measured(measures[name], model.core_batch, x[rows], f"{stem}, {name}")
                parts.append(found.astype(stored).add_prefix(f"{name}." if analysis == kind else ""))
            tables[stem] = pd.concat(parts, axis=1)
    write(tables, folder)


def glow_lid(benchmark: str, settings: dict[str, Any], folder: Path) -> None:
    """Write the tables of `glow_lid`, and lid.json: t, and the dimension of validation images that it is chosen by."""
    source, seed, count = Path("data/processed") / benchmark, settings["seed"], min(lid.IMAGES, settings["compared"])
    model = loaded(benchmark, ["glow"])["glow"]
    inside, outside = (sets_of(source / side, model, settings["scored"], seed) for side in ("in", "out"))
    index, known = {}, {}
    for name in ("val", "test", *(settings["natural"] or outside)):
        positions, x = (inside | outside)[name]
        rows = selection.compared(name, len(positions), count, seed)[:count]
        index[name] = positions[rows]
        known[name] = measured(functools.partial(lid.measure, model), lid.CORE_BATCH, x[rows], name).to_numpy()
        if name == "val":
            train = torch.from_numpy(np.array(images.load(source / "in" / "train.npy")))
            dimension = lid.local_dimension(torch.from_numpy(x[rows]), train)
    t = lid.threshold(known["val"], dimension)
    tables = {name: lid.table(found, t).assign(index=index[name]) for name, found in known.items()}
    write(tables, folder, {"lid": {"log_threshold": t, "dimension": dimension}})


def corruptions(benchmark: str, settings: dict[str, Any], folder: Path) -> None:
    """Write the tables `val`, to fit on, `test` and one of every kind and severity, with a column `<model>.<number>` for each."""
    models = loaded(benchmark)
    sets, seed = (
        sets_of(Path("data/processed") / benchmark / "in", models[MODELS[0]], settings["scored"], settings["seed"]),
        settings["seed"],
    )
    index, x = {}, {}
    for name in ("val", "test"):
        rows = selection.compared(name, len(sets[name][0]), IMAGES, seed)
        index[name], x[name] = sets[name][0][rows], sets[name][1][rows]
    for kind, severity, changed in corrupted(x["test"]):
        index[f"{kind}_{severity}"], x[f"{kind}_{severity}"] = index["test"], changed
    tables = {}
    for stem in x:
        parts = [pd.Series(index[stem], name="index")]
        for name, model in models.items():
            title = f"{stem}, {name}"
            found = [
                statistics(model, x[stem], settings["draws"][name], title),
                measured(functools.partial(residuals.measure, model), model.core_batch, x[stem], title),
            ]
            parts += [table.astype(np.float32).add_prefix(f"{name}.") for table in found]
        tables[stem] = pd.concat(parts, axis=1)
    write(tables, folder)


def samples(benchmark: str, settings: dict[str, Any], folder: Path) -> None:
    """Write the tables of `samples`, by the model that draws; a VAE's are draws of P(x | z), not its means."""
    models, tables = loaded(benchmark), {}
    for drawing, model in models.items():
        x = model.sample(max(1, VALUES // model.dims), torch.Generator().manual_seed(settings["seed"])).cpu().numpy()
        parts = [
            statistics(asked, x, settings["draws"][name], f"samples of {drawing}, {name}").add_prefix(f"{name}.")
            for name, asked in models.items()
        ]
        tables[drawing] = pd.concat(parts, axis=1)
    write(tables, folder)


def claims(benchmark: str, settings: dict[str, Any], folder: Path) -> None:
    """Write the tables of `claims`."""
    source, tables = Path("data/processed") / benchmark, {}
    mean = json.loads((source / "in" / "statistics.json").read_text(encoding="utf-8"))["mean"]
    for name in MODELS:
        weights = Path("data/models") / benchmark / name
        _, model = checkpoint.load(weights / "best.safetensors")
        inside, outside = (sets_of(source / side, model, settings["claims"], settings["seed"]) for side in ("in", "out"))
        sets = {"test": inside["test"][1], **{out: outside[out][1] for out in settings["natural"]}}
        tables[name] = dissect(weights, sets, mean, settings["draws"][name])
    write(tables, folder)


WHOLE = {"glow_lid": glow_lid, "corruptions": corruptions, "samples": samples, "claims": claims}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("analysis", help="gradients, vae_regret, residuals, glow_lid, corruptions, samples or claims")
    parser.add_argument("--benchmark", required=True)
    arguments = parser.parse_args()
    analysis, benchmark = arguments.analysis, arguments.benchmark
    settings = params.resolved(benchmark, "analyses")
    folder = Path("data/analyses") / benchmark / analysis
    if analysis in WHOLE:
        WHOLE[analysis](benchmark, settings, folder)
    else:
        per_image(analysis, benchmark, settings, folder)


if __name__ == "__main__":
    stage.run(main)
