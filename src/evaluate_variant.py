"""Stage `evaluate_variant`: the scores and measures of a variant, on the same images as those of the three models.

Reads the statistics of the variant and of its family's model, data/processed/<benchmark>, data/maps/<benchmark>, and the
variant's weights, curves and samples. Writes

    metrics/<benchmark>/variants/<variant>.json    as metrics/<benchmark>/ood/metrics.json; of several seeds, the means over seeds
    metrics/scores/<benchmark>/<variant>/          scores.csv: every score of the variant alone, under its name, and, under its
                                                   family's, those that compare the model with it
                                                   curvature.json of a flow of constant volume
    plots/<benchmark>/<variant>/                   histograms of its likelihoods, its loss curve and samples; and ratio.png, which
                                                   pixels the likelihood ratio to its family's model sees (maps/places.py):
                                                   log p_variant(x) - log p(x) = Σ_ij (map_variant,ij(x) - map_ij(x))

and a detector of the variant (evaluation/calibration.py).

For several seeds, with n - 1 in the denominator of std, and the family's own model as one of them,

    seeds.csv          AUROC of every score over seeds, each measured by itself: benchmark, model, score, out, seeds, auroc_mean,
                       auroc_std, auroc_least, auroc_greatest
    likelihoods.csv    mean likelihood of each set over seeds, in the model's unit: benchmark, model, set,
                       seeds, mean, std

The statistics of a variant named <family>_<kind> are those of the model as `<statistic>@<kind>` to the scores that need them.
"""

import argparse
import json
import math
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from matplotlib.figure import Figure

from likelihood import scores
from likelihood.common import images, params, stage
from likelihood.evaluation import calibration, results
from likelihood.evaluation.results import DIGITS, Compared
from likelihood.figures import benchmark as figures
from likelihood.figures.maps import Maps, Model, maps
from likelihood.figures.titles import kind, model_title

INTERVAL = ("auroc_low", "auroc_high")

Statistics = dict[str, pd.DataFrame]  # by set


def of_seeds(statistics: Statistics) -> list[Statistics]:
    """The statistics of each seed under the names that a single model's have; none of a single model."""
    ends = dict.fromkeys(column.split("@")[1] for column in statistics["test"] if "@" in column)
    return [
        {
            name: table.filter(regex=f"^index$|@{end}$").rename(columns=lambda column: column.split("@")[0])
            for name, table in statistics.items()
        }
        for end in ends
    ]


def summary_of(facts: dict[str, Any], by_seed: list[Statistics], row: str, outs: list[str], resamples: int, seed: int) -> dict:
    """What a variant's metrics.json says of its model, or of its models the means of likelihoods and measures of -log p.

    Such a mean has no interval: those of its models are over images, and not of a mean over trainings.
    """
    found = [results.summary(facts, statistics, outs, resamples, seed)[0] for statistics in by_seed]
    left_out = INTERVAL if len(found) > 1 else ()
    mean = {
        key: {name: float(np.mean([each[key][name] for each in found])) for name in found[0][key] if name not in left_out}
        for key in found[0]
    }
    return results.rounded({row: mean, "images": {name: len(by_seed[0][name]) for name in ("train", "test", *outs)}})


def spread(parts: list[pd.DataFrame]) -> pd.DataFrame:
    """Mean, standard deviation and extremes of AUROC over tables of seeds, by model, score and out-set, in their order."""
    groups = pd.concat(parts).groupby(["model", "score", "out"], sort=False)["auroc"]
    found = groups.agg(seeds="size", auroc_mean="mean", auroc_std="std", auroc_least="min", auroc_greatest="max")
    return found.reset_index()


def mean_likelihoods(facts: dict[str, Any], by_seed: list[Statistics], row: str, names: list[str]) -> pd.DataFrame:
    """Mean likelihood of every set, and its standard deviation over seeds."""
    found = [results.likelihoods(facts, statistics) for statistics in by_seed]
    means = {name: [each[name].mean() for each in found] for name in names}
    rows = [[row, name, len(values), np.mean(values), np.std(values, ddof=1)] for name, values in means.items()]
    return pd.DataFrame(rows, columns=["model", "set", "seeds", "mean", "std"])


def over_seeds(
    bare: dict[str, scores.Sample],
    compared: Compared,
    facts: dict[str, Any],
    by_seed: list[Statistics],
    row: str,
    outs: list[str],
    seed: int,
) -> dict[str, list[pd.DataFrame]]:
    """The tables `seeds` and `likelihoods` of models that differ in their seed."""
    chosen = [compared.statistics(each) for each in by_seed]
    measured, names = [results.with_statistics(bare, each) for each in chosen], scores.applicable(list(chosen[0]["val"]))
    shown = ["test", *outs]
    indexed = [{name: each[name].iloc[compared.rows[name]] for name in shown} for each in by_seed]
    return {
        "seeds": [spread([results.compare(names, each, row, outs, 1, seed) for each in measured])],
        "likelihoods": [mean_likelihoods(facts, indexed, row, shown)],
    }


def ratio(benchmark: str, variant: str, family: str, entry: dict[str, Any], facts: dict[str, Any]) -> dict[str, Figure]:
    """The figure of the pixels that the ratio to the family's model sees, of the same unit.

    There is none where the variant does not say where in an image its likelihood arises.
    """
    from likelihood.maps.places import has_places, maps_of  # only here: what has no ratio needs no PyTorch
    from likelihood.models.shared import checkpoint

    model = checkpoint.load(Path("data/models") / benchmark / variant / "best.safetensors")[1]
    if not has_places(model):
        return {}
    found, source = {}, Path("data/processed") / benchmark
    for name in ("test", *entry["out"]):
        with np.load(Path("data/maps") / benchmark / f"{name}.npz", allow_pickle=False) as file:
            index, bits = file["index"], file[family]
        x = np.array(images.load(source / ("in" if name == "test" else "out") / f"{name}.npy")[index])
        other = maps_of(model, x, facts["draws"], f"{name}, {variant}") / -math.log(2.0)
        found[name] = Maps(x, {family: bits, variant: other, "difference": bits - other}, {})
    unit, name = facts["unit"], kind(variant, family)
    rows = {family: Model(family, unit), variant: Model(name, unit), "difference": Model("difference", unit, signed=True)}
    title = f"what the likelihood ratio of {model_title(family)} and its variant {name} sees"
    return {"ratio": maps(found, rows, entry["in"], title)}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("variant", help="a name under variants: in params.yaml")
    parser.add_argument("--benchmark", required=True)
    arguments = parser.parse_args()
    variant, benchmark = arguments.variant, arguments.benchmark
    values = params.load()
    entry, seed = params.of_benchmark(values, benchmark), values["seed"]
    outs, resamples, family = entry["out"], values["evaluate"]["bootstrap"], values["variants"][variant]["family"]
    facts, own = results.of_model(benchmark, variant)
    seeds = of_seeds(own)
    row, sets = variant, ["val", "test", *outs]
    summary = summary_of(facts, seeds or [own], row, outs, resamples, seed)

    if seeds:
        codes = {}
        calibration.write_none(f"{benchmark}.{variant}")
    else:
        codes = calibration.write_detector(benchmark, f"{benchmark}.{variant}", {variant: facts}, {variant: own}, seed)
    compared = Compared(benchmark, results.index_of(own, outs), values["evaluate"]["images"], seed)
    bare, chosen = compared.bare(codes), compared.statistics(own)
    found: dict[str, list[pd.DataFrame]] = {"scores": [pd.DataFrame(columns=results.COLUMNS)]}
    if not seeds:
        names = scores.applicable(list(chosen["val"]))
        found["scores"].append(results.compare(names, results.with_statistics(bare, chosen), row, outs, resamples, seed))
    drawn = figures.of_variant(Path("metrics") / benchmark / "train" / variant, row, entry["in"])
    if family in params.MODELS:
        base_facts, base = results.of_model(benchmark, family)
        if not seeds and facts["unit"] == base_facts["unit"]:  # ratios to others mean nothing
            drawn |= ratio(benchmark, variant, family, entry, facts)
        title, base_chosen = results.row_name(family, base_facts), compared.statistics(base)
        end = kind(variant, family)
        added = chosen if seeds else {name: table.add_suffix(f"@{end}") for name, table in chosen.items()}
        both = {name: base_chosen[name].join(added[name]) for name in sets}
        names = scores.needing(list(added["val"]), list(both["val"]))
        found["scores"].append(results.compare(names, results.with_statistics(bare, both), title, outs, resamples, seed))
        if seeds:
            found |= over_seeds(bare, compared, base_facts, [base, *seeds], title, outs, seed)
    elif seeds:  # of a family of one's own, which no benchmark trains by itself
        found |= over_seeds(bare, compared, facts, seeds, row, outs, seed)

    results.save(Path("metrics") / benchmark / "variants" / f"{variant}.json", json.dumps(summary, indent=1) + "\n")
    with images.replaced(Path("metrics/scores") / benchmark / variant) as folder:
        for name, parts in found.items():
            table = pd.concat([part for part in parts if len(part)] or parts, ignore_index=True)
            table.insert(0, "benchmark", benchmark)
            table.round(DIGITS).to_csv(folder / f"{name}.csv", index=False)
        second_order = Path("data/scores") / benchmark / "out" / variant / "curvature.json"
        if second_order.exists():
            shutil.copy(second_order, folder)
    if not seeds:
        per_image = results.likelihoods(facts, own)
        parts = [
            results.likelihood_rows(row, facts["unit"], name, own[name]["index"].to_numpy(), per_image[name])
            for name in ("train", "test", *outs)
        ]
        auroc = {row: {out: summary[row][out]["auroc"] for out in outs}}
        table = pd.concat(parts, ignore_index=True)
        drawn["likelihoods"] = figures.likelihood_histograms(table, entry["in"], outs, auroc, values["plot"]["bins"])
    with images.replaced(Path("plots") / benchmark / variant) as folder:
        figures.save(drawn, folder)


if __name__ == "__main__":
    stage.run(main)
