"""Stage `evaluate_other`: the same scores and measures, on the same images, of a model besides the three.

Reads data/scores/<benchmark>/{in,out}/<model>, data/processed/<benchmark>, the model's curves and samples, and what `evaluate`
found for the three models. Writes

    metrics/<benchmark>/other/<model>.json          as metrics/<benchmark>/ood/metrics.json
    metrics/scores/<benchmark>/<model>/scores.csv   every score of a single model, as in metrics/scores/<benchmark>.csv
    plots/<benchmark>/other/<model>/                histograms next to those of the three; its loss curve and samples
"""

import argparse
import json
from pathlib import Path
from typing import Any

import pandas as pd

from evaluate import DIGITS, bare_samples, raw_likelihood, read_statistics, rounded, row_name
from likelihood import scores
from likelihood.common import images
from likelihood.common.units import in_unit
from likelihood.evaluation import comparison, tables
from likelihood.figures import likelihoods as figures
from likelihood.runtime import stage
from likelihood.settings import params
from likelihood.statistics import selection
from plot import DPI, read_curve, read_grids


def scores_of(
    row: str, statistics: dict[str, pd.DataFrame], processed: Path, outs: list[str], evaluated: dict[str, int], seed: int
) -> pd.DataFrame:
    """Every score for which the model's own statistics are enough, on the images that the table of scores compares."""
    samples = {}
    for name in ("val", "test", *outs):
        table = statistics[name]
        chosen = table.iloc[selection.compared(name, len(table), evaluated["images"], seed)].reset_index(drop=True)
        side = "out" if name in outs else "in"
        pixels = images.load(processed / side / f"{name}.npy")[chosen.pop("index").to_numpy()]
        samples[name] = bare_samples({name: pixels})[name]._replace(statistics=chosen)
    names = scores.applicable(list(samples["val"].statistics))
    return comparison.compare(names, samples, row, outs, evaluated["bootstrap"], seed)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("model", help="file name of the model in src/likelihood/models")
    parser.add_argument("--benchmark", required=True)
    arguments = parser.parse_args()
    benchmark, model = arguments.benchmark, arguments.model
    values = params.load()
    entry, seed, evaluated = params.of_benchmark(values, benchmark), values["seed"], values["evaluate"]
    scored, plots, metrics = Path("data/scores") / benchmark, Path("plots") / benchmark, Path("metrics") / benchmark
    facts, statistics = read_statistics(scored / "in" / model)
    statistics |= read_statistics(scored / "out" / model)[1]
    row, unit, outs = row_name(model, facts), facts["unit"], entry["out"]
    names = ("train", "test", *outs)
    per_image = {name: in_unit(statistics[name]["log_prob"].to_numpy(), facts["dims"], unit) for name in names}
    means = {name: float(found.mean()) for name, found in per_image.items()}
    found: dict[str, Any] = raw_likelihood(statistics, outs, evaluated["bootstrap"], seed)["metrics"]
    summary = rounded({row: {unit: means, **found}, "images": {name: len(per_image[name]) for name in names}})
    compared = scores_of(row, statistics, Path("data/processed") / benchmark, outs, evaluated, seed)
    compared.insert(0, "benchmark", benchmark)

    three = pd.read_parquet(plots / "tables" / "likelihoods.parquet")
    own = [tables.likelihoods(row, unit, name, statistics[name]["index"].to_numpy(), per_image[name]) for name in names]
    table = pd.concat([three, *own], ignore_index=True)
    all_found = {**json.loads((metrics / "ood" / "metrics.json").read_text(encoding="utf-8")), **summary}
    auroc = {name: {out: all_found[name][out]["auroc"] for out in outs} for name in table["model"].unique()}
    trained = metrics / "train" / model / "plots"
    epoch_images = {model: params.of_model(values, model, benchmark)["epoch_images"]}
    drawn = {
        "likelihoods": figures.likelihood_histograms(table, entry["in"], outs, auroc, values["plot"]["bins"]),
        "curves": figures.loss_curves({model: read_curve(trained)}, entry["in"], epoch_images),
        "samples": figures.sample_grids({model: read_grids(trained / "images" / "samples")}, entry["in"], epoch_images),
    }
    place = metrics / "other" / f"{model}.json"
    place.parent.mkdir(parents=True, exist_ok=True)
    tables.save(place, json.dumps(summary, indent=1) + "\n")
    with images.replaced(Path("metrics/scores") / benchmark / model) as folder:
        compared.round(DIGITS).to_csv(folder / "scores.csv", index=False)
    with images.replaced(plots / "other" / model) as folder:
        for name, figure in drawn.items():
            figure.savefig(folder / f"{name}.png", dpi=DPI, metadata={"Software": None})  # the same bytes every time


if __name__ == "__main__":
    stage.run(main)
