"""The figures of trainings, from what DVCLive wrote of them: loss curves and samples. And how figures are saved."""

from collections.abc import Mapping
from pathlib import Path

import matplotlib.image
import numpy as np
import pandas as pd
from matplotlib.figure import Figure

from likelihood.figures import likelihoods

DPI = 150


def read_curve(folder: Path) -> pd.DataFrame:
    """A training's curve, from its `plots`: columns epoch, images (seen by then), train, validation, unit."""
    (train,) = (folder / "metrics" / "train").glob("*.tsv")
    unit = train.stem
    columns = {
        "images": folder / "metrics" / "images.tsv",
        "train": train,
        "validation": train.parents[1] / "validation" / train.name,
    }
    curve = pd.DataFrame({name: pd.read_csv(path, sep="\t", index_col="step").iloc[:, -1] for name, path in columns.items()})
    return curve.rename_axis("epoch").reset_index().assign(unit=unit)


def read_grids(folder: Path) -> dict[int, np.ndarray]:
    """A training's sample grids by epoch, from its `plots`."""
    files = (folder / "images" / "samples").glob("epoch_*.png")
    return {int(path.stem.removeprefix("epoch_")): matplotlib.image.imread(path) for path in files}


def of_models(folders: Mapping[str, Path], in_name: str) -> dict[str, Figure]:
    """Curves and samples of several trainings, by row name; `folders` are their `plots`."""
    curves = {row: read_curve(folder) for row, folder in folders.items()}
    epoch_images = {row: int(curve["images"].iloc[0]) for row, curve in curves.items()}
    grids = {row: read_grids(folder) for row, folder in folders.items()}
    return {
        "curves": likelihoods.loss_curves(curves, in_name, epoch_images),
        "samples": likelihoods.sample_grids(grids, in_name, epoch_images),
    }


def of_variant(folder: Path, row: str, in_name: str) -> dict[str, Figure]:
    """Curves and samples of a variant, of each of its seeds if it names several; `folder` is that of its metrics."""
    seeds = sorted(folder.glob("seed_*"), key=lambda path: int(path.name.removeprefix("seed_")))
    rows = {f"{row}, {path.name.replace('_', ' ')}": path / "plots" for path in seeds} or {row: folder / "plots"}
    return of_models(rows, in_name)


def save(figures: Mapping[str, Figure], folder: Path, dpi: int = DPI) -> None:
    """Write each figure to <name>.png, the same bytes every time."""
    for name, figure in figures.items():
        figure.savefig(folder / f"{name}.png", dpi=dpi, metadata={"Software": None})
