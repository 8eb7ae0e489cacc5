"""Stage `evaluate_analysis`: what an analysis says of detection, or of the claims of Nalisnick et al. (2019).

Reads data/analyses/<benchmark>/<analysis>, data/scores/<benchmark> and data/processed/<benchmark>. Writes to
metrics/scores/<benchmark>/<analysis>/, for gradients, regret, residuals and LIDs

    scores.csv         the measures of evaluate.py, on the same images, of the scores that need this analysis; LIDs are of fewer

for `corruptions`

    corruptions.csv    per kind and severity, the measures of every score of single images against the test images as they are;
                       intervals are over images, each with its corruption
    likelihoods.csv    mean bits/dim per model, kind and severity

for `samples`

    samples.csv        per model, of test images, its own samples and each natural out-set, the mean likelihood and the AUROC of
                       -log p: of test images, and of its samples, against the set

for `claims` what evaluation/claims.py describes; and figures to plots/<benchmark>/<analysis>/.
"""

import argparse
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from matplotlib.figure import Figure

from likelihood import scores
from likelihood.analyses.corruptions import corrupted
from likelihood.common import images, params, stage
from likelihood.common.errors import InputError
from likelihood.common.params import MODELS
from likelihood.common.units import bits_per_dim
from likelihood.data import base as data
from likelihood.evaluation import calibration, claims, metrics, results
from likelihood.evaluation.calibration import part
from likelihood.evaluation.results import DIGITS, Compared
from likelihood.figures import benchmark as figures
from likelihood.figures.maps import PUBLIC
from likelihood.figures.titles import model_title, score_title, set_title
from likelihood.scores import complexity

DPI = 130
DETECTOR = "statistics_kde"  # of all models, the best of a single image on development pairs; a figure shows what it misses
SHOWN = 4  # scores in the figure of corruptions, beside -log p
SAMPLES = "samples"  # what a set is called that a model draws itself
BINS = 60  # of the histograms of samples


def read_added(folder: Path, index: dict[str, np.ndarray]) -> dict[str, pd.DataFrame]:
    """The numbers of an analysis by set, of images at these positions. InputError where one is missing or not finite."""
    found = {}
    for name, wanted in index.items():
        table = pd.read_parquet(folder / f"{name}.parquet").set_index("index")
        if not set(wanted) <= set(table.index):
            raise InputError(f"{folder} has other images of {name} than the model's statistics: rerun `dvc repro`")
        found[name] = table.loc[wanted].reset_index(drop=True)
        if not np.isfinite(found[name].to_numpy()).all():
            raise InputError(f"{folder}: a number of {name} is not finite; train with a lower lr")
    return found


def compare(benchmark: str, analysis: str, values: dict[str, Any]) -> tuple[pd.DataFrame, dict[str, Figure]]:
    """The measures of the scores that need an analysis: of its model or, where it has no name, of every model and all at once.

    And a figure of what the score DETECTOR of all models misses, where the analysis has what it needs and images may be shown.
    """
    outs, seed, resamples = params.of_benchmark(values, benchmark)["out"], values["seed"], values["evaluate"]["bootstrap"]
    every, folder, count = "_" not in analysis, Path("data/analyses") / benchmark / analysis, values["evaluate"]["images"]
    few = len(pd.read_parquet(folder / "val.parquet")) if analysis == "glow_lid" else None
    if few:
        count = len(pd.read_parquet(folder / "test.parquet"))
        outs = [out for out in outs if (folder / f"{out}.parquet").is_file()]  # the natural ones, or all
    of_models = {model: results.of_model(benchmark, model) for model in (MODELS if every else [analysis.split("_", 1)[0]])}
    first = next(iter(of_models.values()))[1]
    compared = Compared(benchmark, results.index_of(first, outs), count, seed, few)
    added = read_added(folder, compared.index)
    bare, samples, tables = compared.bare() if analysis == "residuals" else compared.uncoded(), {}, []
    for model, (facts, statistics) in of_models.items():
        own = compared.statistics(statistics)
        more = {name: part(table, model) if every else table for name, table in added.items()}
        row = results.row_name(model, facts)
        samples[row] = results.with_statistics(bare, {name: own[name].join(more[name]) for name in own})
        names = scores.needing(list(more["val"]), list(samples[row]["val"].statistics))
        tables.append(results.compare(names, samples[row], row, outs, resamples, seed))
    drawn = {}
    if every:
        names = scores.needing(list(more["val"]), *(list(found["val"].statistics) for found in samples.values()))
        if names:
            pooled = results.pooled(samples)
            tables.append(results.compare(names, pooled, results.ALL_MODELS, outs, resamples, seed))
            drawn = missed(pooled, params.of_benchmark(values, benchmark)["in"]) if DETECTOR in names else {}
    table = pd.concat(tables, ignore_index=True)
    table.insert(0, "benchmark", benchmark)
    return table, drawn


def missed(samples: dict[str, scores.Sample], in_name: str) -> dict[str, Figure]:
    """The images that DETECTOR finds least and most outlying, of test images and of natural out-sets that may be shown."""
    source = {name: in_name if name == "test" else name for name in samples}
    shown = [name for name in samples if name != "val" and source[name] in PUBLIC and data.natural(source[name])]
    if "test" not in shown or len(shown) < 2:
        return {}
    score = scores.get(DETECTOR).fit(samples["val"])
    sets = {name: (samples[name].images, score.score(samples[name])) for name in shown}
    return {"missed": figures.missed(sets, score_title(results.ALL_MODELS, score.title), in_name)}


def corruptions(benchmark: str, values: dict[str, Any]) -> tuple[pd.DataFrame, pd.DataFrame]:
    """The measures of every score by kind and severity, and the models' mean likelihoods."""
    seed, resamples = values["seed"], values["evaluate"]["bootstrap"]
    source, folder = Path("data/processed") / benchmark / "in", Path("data/analyses") / benchmark / "corruptions"
    units = {model: results.of_model(benchmark, model)[0] for model in MODELS}
    known, pixels = {}, {name: images.load(source / f"{name}.npy") for name in ("val", "test")}
    tables = {path.stem: pd.read_parquet(path) for path in folder.glob("*.parquet")}
    index = {name: tables[name]["index"].to_numpy() for name in pixels}
    changed = {f"{kind}_{severity}": x for kind, severity, x in corrupted(pixels["test"][index["test"]])}
    for name, x in {**{name: pixels[name][index[name]] for name in pixels}, **changed}.items():
        statistics = {model: part(tables[name], model) for model in MODELS}
        known[name] = calibration.samples(x, complexity.lengths(x), statistics)
    measures, likelihoods = [], []
    for name, score in calibration.fitted(known["val"]).items():
        model, title = name.split(".")
        row = results.row_name(model, units[model]) if model in units else model
        normal = score.score(known["test"][model])
        for key in changed:
            kind, severity = key.split("_")
            found = metrics.ood_metrics(normal, score.score(known[key][model]), resamples, seed, paired=True)
            measures.append({"model": row, "score": title, "kind": kind, "severity": int(severity), "n": len(normal), **found})
    for model, facts in units.items():
        for key in ("test", *changed) if facts["unit"] == "bits_per_dim" else ():
            kind, severity = key.split("_") if key in changed else ("", 0)
            value = bits_per_dim(known[key][model].column("log_prob"), facts["dims"]).mean()
            likelihoods.append({"model": model, "kind": kind, "severity": int(severity), "value": value})
    found = pd.DataFrame(measures)
    found.insert(0, "benchmark", benchmark)
    return found, pd.DataFrame(likelihoods)


def own_samples(benchmark: str, values: dict[str, Any]) -> tuple[pd.DataFrame, pd.DataFrame]:
    """The table of `samples`, and the likelihood of every image that it is made of."""
    rows, every = [], []
    outs = [out for out in params.of_benchmark(values, benchmark)["out"] if data.natural(out)]
    for model in MODELS:
        facts, known = results.of_model(benchmark, model)
        drawn = part(pd.read_parquet(Path("data/analyses") / benchmark / "samples" / f"{model}.parquet"), model)
        likelihoods = results.likelihoods(facts, known | {SAMPLES: drawn})
        row = results.row_name(model, facts)
        for name in ("test", SAMPLES, *outs):
            value = likelihoods[name]
            every.append(results.likelihood_rows(row, facts["unit"], name, np.arange(len(value)), value))
            against = {
                f"auroc_{normal}": metrics.auroc(likelihoods[normal], value) if name not in ("test", normal) else None
                for normal in ("test", SAMPLES)
            }
            rows.append({"benchmark": benchmark, "model": row, "set": name, "n": len(value), "value": value.mean(), **against})
    return pd.DataFrame(rows), pd.concat(every, ignore_index=True)


def severities(table: pd.DataFrame, likelihoods: pd.DataFrame, in_name: str) -> dict[str, Figure]:
    """The figures of corruptions: likelihoods, and AUROC of -log p and of the SHOWN scores that are best on average."""
    keys = ["model", "score"]
    mean = table.groupby(keys)["auroc"].mean().sort_values(ascending=False)
    plain = list(dict.fromkeys(table.loc[table["score"] == "log_prob", "model"]))
    shown = [*((row, "log_prob") for row in plain), *[key for key in mean.index if key[1] != "log_prob"][:SHOWN]]
    titles = {".".join(key): score_title(key[0], scores.get(key[1]).title) for key in shown}
    curves = table.assign(line=table["model"] + "." + table["score"], value=table["auroc"])
    means, models = likelihoods.assign(line=likelihoods["model"]), {model: model_title(model) for model in MODELS}
    title = f"Trained on {set_title(in_name)}: its own test images, corrupted"
    return {
        "likelihoods": figures.severity_curves(means, models, title, "bits/dim", log=True),
        "scores": figures.severity_curves(curves, titles, title, "AUROC; 0.5 is chance"),
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("analysis", help="gradients, vae_regret, residuals, glow_lid, corruptions, samples or claims")
    parser.add_argument("--benchmark", required=True)
    arguments = parser.parse_args()
    benchmark, analysis, values = arguments.benchmark, arguments.analysis, params.load()
    place, plots = Path("metrics/scores") / benchmark / analysis, Path("plots") / benchmark / analysis
    if analysis == "claims":
        found, dissected, drawn = claims.collect(benchmark, params.of_benchmark(values, benchmark), values["seed"])
        with images.replaced(place) as folder:
            claims.write(found, dissected, folder)
    elif analysis == "corruptions":
        table, likelihoods = corruptions(benchmark, values)
        inside = params.of_benchmark(values, benchmark)["in"]
        drawn = severities(table, likelihoods, inside)
        with images.replaced(place) as folder:
            table.round(DIGITS).to_csv(folder / "corruptions.csv", index=False)
            likelihoods.round(DIGITS).to_csv(folder / "likelihoods.csv", index=False)
    elif analysis == "samples":
        table, likelihoods = own_samples(benchmark, values)
        auroc = {model: group.set_index("set")["auroc_test"] for model, group in table.groupby("model")}
        inside, outs = params.of_benchmark(values, benchmark)["in"], list(dict.fromkeys(table["set"]))[1:]
        drawn = {"likelihoods": figures.likelihood_histograms(likelihoods, inside, outs, auroc, BINS)}
        with images.replaced(place) as folder:
            table.round(DIGITS).to_csv(folder / "samples.csv", index=False)
    else:
        table, drawn = compare(benchmark, analysis, values)
        inside = params.of_benchmark(values, benchmark)["in"]
        pairs = [(benchmark, inside, out) for out in dict.fromkeys(table["out"])]
        rows = {row: score_title(row[0], scores.get(row[1]).title) for row in zip(table["model"], table["score"], strict=True)}
        drawn["scores"] = figures.heat_map(table, rows, {"": pairs})
        with images.replaced(place) as folder:
            table.round(DIGITS).to_csv(folder / "scores.csv", index=False)
    with images.replaced(plots) as folder:
        figures.save(drawn, folder, DPI)


if __name__ == "__main__":
    stage.run(main)
