"""The tables that figures and pages are drawn from: likelihood of every image, histograms of them, ROC curves."""

import os
from pathlib import Path

import numpy as np
import pandas as pd

BIN_WIDTH = 0.1  # bits/dim; histograms of the page, where the reader cannot choose
LIMIT = 12.0  # bits/dim; a histogram ends here, for a bound has no upper end
ROC_POINTS = 200


def save(path: Path, text: str) -> None:
    """Write a file of text, whole or not at all; makes the folder."""
    path.parent.mkdir(parents=True, exist_ok=True)
    partial = path.with_name(f".{path.name}.partial")
    partial.write_text(text, encoding="utf-8")
    os.replace(partial, path)


def likelihoods(model: str, unit: str, name: str, index: np.ndarray, values: np.ndarray) -> pd.DataFrame:
    """One row an image: model, unit, set, index, value (in the unit; lower is more likely), in single precision."""
    columns = {"index": index.astype(np.int32), "value": values.astype(np.float32)}  # enough to draw, and half the size
    return pd.DataFrame({"model": model, "unit": unit, "set": name, **columns})


def histogram(table: pd.DataFrame) -> pd.DataFrame:
    """Densities of bits/dim in bins of BIN_WIDTH: columns model, set, bits_per_dim (centre of the bin), density.

    Images beyond LIMIT have no bin but count in the density, so that areas can be compared.
    """
    rows = []
    for (model, name), group in table[table["unit"] == "bits_per_dim"].groupby(["model", "set"], sort=False):
        within = group["value"][group["value"] < LIMIT]
        if within.empty:
            continue
        bins, counts = np.unique(np.floor(within / BIN_WIDTH).astype(int), return_counts=True)
        around = np.arange(bins[0] - 1, bins[-1] + 2)  # an empty bin at each end closes the outline
        density = np.zeros(len(around))
        density[bins - around[0]] = counts / (len(group) * BIN_WIDTH)
        centre = np.round((around + 0.5) * BIN_WIDTH, 4)
        rows.append(pd.DataFrame({"model": model, "set": name, "bits_per_dim": centre, "density": np.round(density, 5)}))
    columns = ["model", "set", "bits_per_dim", "density"]
    return pd.concat(rows, ignore_index=True) if rows else pd.DataFrame(columns=columns)


def roc(curves: dict[str, tuple[np.ndarray, np.ndarray]]) -> pd.DataFrame:
    """ROC curves of one model, thinned: columns fpr, tpr, out."""
    rows = []
    for out, (fpr, tpr) in curves.items():
        along = (fpr + tpr) / 2.0  # rises along the curve, in steps and flats alike
        keep = np.unique(np.searchsorted(along, np.linspace(0.0, 1.0, ROC_POINTS)))
        rows.append(pd.DataFrame({"fpr": np.round(fpr[keep], 5), "tpr": np.round(tpr[keep], 5), "out": out}))
    return pd.concat(rows, ignore_index=True)


def write(
    folder: Path,
    table: pd.DataFrame,
    curves: dict[str, dict[str, tuple[np.ndarray, np.ndarray]]],
    auroc: dict[str, dict[str, float]],
) -> None:
    """Write likelihoods.parquet, histogram.csv, auroc.csv, and roc_<model>.csv of every model into an existing folder."""
    table.to_parquet(folder / "likelihoods.parquet", index=False)
    pd.DataFrame(auroc).rename_axis("out").to_csv(folder / "auroc.csv")
    histogram(table).to_csv(folder / "histogram.csv", index=False)
    for model, by_out in curves.items():
        roc(by_out).to_csv(folder / f"roc_{model}.csv", index=False)
