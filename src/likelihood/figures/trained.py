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


def read_grids(folder: Path, epoch_images: int) -> dict[str, np.ndarray]:
    """A training's grids of samples by what their titles say of them, from its `plots`.

    A model whose pictures are no samples (`picture` of models/shared/base.py) has a grid of samples beside them, the last.
    """
    samples = folder / "images" / "samples"
    epochs = {int(path.stem.removeprefix("epoch_")): path for path in samples.glob("epoch_*.png")}
    drawn = (samples / "drawn.png").exists()
    meant = "means of pixels, " if drawn else ""
    titles = {f"{meant}epoch {epoch}\n({epoch * epoch_images:,} images)": epochs[epoch] for epoch in sorted(epochs)}
    if drawn:
        titles["drawn pixels,\nbest epoch"] = samples / "drawn.png"
    return {title: matplotlib.image.imread(path) for title, path in titles.items()}


def of_models(folders: Mapping[str, Path], in_name: str) -> dict[str, Figure]:
    """Curves and samples of several trainings, by row name; `folders` are their `plots`."""
    curves = {row: read_curve(folder) for row, folder in folders.items()}
    epoch_images = {row: int(curve["images"].iloc[0]) for row, curve in curves.items()}
    grids = {row: read_grids(folder, epoch_images[row]) for row, folder in folders.items()}
    return {
        "curves": likelihoods.loss_curves(curves, in_name, epoch_images),
        "samples": likelihoods.sample_grids(grids, in_name),
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
