"""Stage `plot`: the figures of one benchmark, from its tables, training curves and sample grids, in plots/<benchmark>/figures."""

import argparse
import json
from pathlib import Path

import matplotlib.image
import numpy as np
import pandas as pd

from likelihood.common import images
from likelihood.figures import likelihoods as figures
from likelihood.runtime import stage
from likelihood.settings import params

MODELS = ("vae", "pixelcnn", "glow")
DPI = 150


def read_curve(folder: Path) -> pd.DataFrame:
    """A training's curve: columns epoch, train, validation, unit."""
    (train,) = (folder / "metrics" / "train").glob("*.tsv")
    unit = train.stem
    validation = folder / "metrics" / "validation" / train.name
    columns = {"train": train, "validation": validation}
    curve = pd.DataFrame({name: pd.read_csv(path, sep="\t", index_col="step")[unit] for name, path in columns.items()})
    return curve.rename_axis("epoch").reset_index().assign(unit=unit)


def read_grids(folder: Path) -> dict[int, np.ndarray]:
    """A training's sample grids by epoch."""
    return {int(path.stem.removeprefix("epoch_")): matplotlib.image.imread(path) for path in folder.glob("epoch_*.png")}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--benchmark", required=True)
    benchmark = parser.parse_args().benchmark
    values = params.load()
    entry = params.of_benchmark(values, benchmark)
    plots, metrics = Path("plots") / benchmark, Path("metrics") / benchmark
    table = pd.read_parquet(plots / "tables" / "likelihoods.parquet")
    summary = json.loads((metrics / "ood" / "metrics.json").read_text(encoding="utf-8"))
    rows = table["model"].unique()
    auroc = {row: {out: summary[row][out]["auroc"] for out in entry["out"]} for row in rows}
    trained = {model: metrics / "train" / model / "plots" for model in MODELS}
    epoch_images = {model: params.of_model(values, model, benchmark)["epoch_images"] for model in MODELS}
    drawn = {
        "likelihoods": figures.likelihood_histograms(table, entry["in"], entry["out"], auroc, values["plot"]["bins"]),
        "curves": figures.loss_curves(
            {model: read_curve(folder) for model, folder in trained.items()}, entry["in"], epoch_images
        ),
        "samples": figures.sample_grids(
            {model: read_grids(folder / "images" / "samples") for model, folder in trained.items()}, entry["in"], epoch_images
        ),
    }
    with images.replaced(plots / "figures") as folder:
        for name, figure in drawn.items():
            figure.savefig(folder / f"{name}.png", dpi=DPI, metadata={"Software": None})  # the same bytes every time


if __name__ == "__main__":
    stage.run(main)
