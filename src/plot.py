"""Stage `plot`: the figures of one benchmark, in plots/<benchmark>/figures, and contact sheets, in plots/<benchmark>/contact.

Reads the benchmark's tables and maps, data/processed/<benchmark>, training curves and sample grids. Contact sheets have the most
and least likely images of every set. As they show images of the data sets, they are neither committed nor shared.
"""

import argparse
from pathlib import Path

import numpy as np
import pandas as pd
from PIL import Image

from likelihood.common import images, params, stage
from likelihood.common.params import MODELS
from likelihood.figures import benchmark as figures
from likelihood.figures import maps

SHEET_DPI = 110


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--benchmark", required=True)
    benchmark = parser.parse_args().benchmark
    values = params.load()
    entry = params.of_benchmark(values, benchmark)
    plots = Path("plots") / benchmark
    table = pd.read_parquet(plots / "tables" / "likelihoods.parquet")
    auroc = pd.read_csv(plots / "tables" / "auroc.csv", index_col="out").to_dict()
    drawn = figures.of_models({model: Path("metrics") / benchmark / "train" / model / "plots" for model in MODELS}, entry["in"])
    drawn["likelihoods"] = figures.likelihood_histograms(table, entry["in"], entry["out"], auroc, values["plot"]["bins"])
    source = Path("data/processed") / benchmark
    x = {"test": images.load(source / "in" / "test.npy")}
    x |= {out: images.load(source / "out" / f"{out}.npy") for out in entry["out"]}
    found = {name: mapped(x[name], Path("data/maps") / benchmark / f"{name}.npz") for name in x}
    units = table.groupby("model", sort=False)["unit"].first()
    models = {name: next(maps.Model(*each) for each in units.items() if each[0].startswith(name)) for name in found["test"].means}
    drawn["maps"] = maps.maps(found, models, entry["in"])
    with images.replaced(plots / "figures") as folder:
        figures.save(drawn, folder)
        limit_colors(folder / "samples.png")
    with images.replaced(plots / "contact") as folder:
        for row, known in table.groupby("model", sort=False):
            figures.save({row: figures.likeliest(seen(x, known), row, entry["in"], known["unit"].iloc[0])}, folder, SHEET_DPI)


def limit_colors(path: Path) -> None:
    """Give a figure a palette of 256 colours: grids of samples hardly compress, and then take a third of the space."""
    with Image.open(path, formats=["PNG"]) as figure:
        reduced = figure.convert("RGB").quantize(256, Image.Quantize.MEDIANCUT, dither=Image.Dither.NONE)
    reduced.save(path, optimize=True)


def seen(x: dict[str, np.ndarray], known: pd.DataFrame) -> dict[str, tuple[np.ndarray, np.ndarray]]:
    """The scored images of each set and their likelihoods under one model, from its rows of the table."""
    of_set = {name: known[known["set"] == name] for name in x}
    return {name: (np.array(x[name][rows["index"].to_numpy()]), rows["value"].to_numpy()) for name, rows in of_set.items()}


def mapped(x: np.ndarray, path: Path) -> maps.Maps:
    """The maps of a set, and the images that they are of."""
    with np.load(path, allow_pickle=False) as file:
        means = {name.removeprefix("mean_"): file[name] for name in file.files if name.startswith("mean_")}
        return maps.Maps(np.array(x[file["index"]]), {model: file[model] for model in means}, means)


if __name__ == "__main__":
    stage.run(main)
