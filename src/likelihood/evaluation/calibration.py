"""Calibrated scores: how often an image from where the held-out ones come from would look as outlying. And detectors of them.

    p(x) = (1 + #{i : s(x_i) ≥ s(x)}) / (1 + n)

with s a score, fitted on one half of the validation images, and x_i the n images of the other half: the conformal p-value [1, 2].
An image that comes from where these come from has p ≤ α with a probability of at most α, whatever the score. So flagging all
that have p ≤ α gives a rate of false alarms of α. This holds for one score, chosen beforehand, and on average over validation
sets; for a given one the rate varies by about sqrt(α (1 − α) / n). The best epoch was chosen on the same images, which is
neglected.

Scores that are equal up to the rounding of the statistics they are computed from are ties, and count as ≥. A statistic is known
to RESOLUTION of its size or of one nat (likelihood/scores/density.py), so a score is known to

    τ = max(RESOLUTION |s|, sqrt(Σ_k (∂s/∂t_k · RESOLUTION max(|t_k|, 1))²))

by the propagation of independent errors, the derivatives by differences. Held-out images whose intervals s ± τ overlap, directly
or through others, are ties. The upper end of all their intervals is the *level* of each, and p counts #{i : level_i ≥ s(x)}. So a
held-out image has the same p however its score was rounded, and p is never smaller than without ties.

A detector is a folder of what judging needs besides the weights, without any image: data/detectors/<benchmark>, or
<benchmark>.<variant> for one variant. The scored validation images are split in two, by a permutation drawn from `seed`.

    reference.parquet      statistics and code lengths of the half that scores are fitted on
    calibration.parquet    the levels of every score on the other half
    detector.json          shape of the images, models, versions of the codecs, and how many training pictures were resized or of
                           lossy formats

metrics/detectors/<benchmark>.csv, likewise, has at some rates of false alarms the share of the in-set's test images that every
score of this detector flags. Test images are in neither half. A variant of several seeds is no detector: its detector.json says
so, and its table is empty.

References:
    [1] Algorithmic learning in a random world (Vovk, Gammerman & Shafer, 2005), chapter 2
    [2] Testing for outliers with conformal p-values (Bates et al., 2023), https://arxiv.org/abs/2104.08279
"""

import json
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from likelihood import scores
from likelihood.common import counts, images, selection
from likelihood.evaluation import results
from likelihood.scores import complexity
from likelihood.scores.base import p_values
from likelihood.scores.density import RESOLUTION

TOGETHER = (results.ALL_MODELS, results.NO_MODEL)
REFERENCE, LEVELS, FACTS = "reference.parquet", "calibration.parquet", "detector.json"
RATES = (0.01, 0.05, 0.1)  # of false alarms, that are measured on test images
COLUMNS = ["benchmark", "model", "score", "rate", "flagged", "calibrated", "n"]
PUBLISHED = {"resized": 0.0, "lossy": 0.0}  # images of published sets are neither


def samples(x: np.ndarray, codes: pd.DataFrame, statistics: dict[str, pd.DataFrame]) -> dict[str, scores.Sample]:
    """What is known of uint8 images (N, C, H, W): by model, for all models at once if there are several, and without a model."""
    found = {model: scores.Sample(x, codes, table) for model, table in statistics.items()}
    if len(found) > 1:
        pooled = results.pooled({model: {"": sample} for model, sample in found.items()})
        found[results.ALL_MODELS] = pooled[""]
    return found | {results.NO_MODEL: scores.Sample(x, codes, pd.DataFrame(index=range(len(codes))))}


def fitted(reference: dict[str, scores.Sample]) -> dict[str, scores.Score]:
    """All scores of single images, by `<model>.<score>`, fitted on reference images."""
    found, single = {}, [list(sample.statistics) for model, sample in reference.items() if model not in TOGETHER]
    for model, sample in reference.items():
        names = scores.pooling(*single) if model == results.ALL_MODELS else scores.applicable(list(sample.statistics))
        for name in names:
            score = scores.get(name)
            if score.batch == 1:
                found[f"{model}.{name}"] = score.fit(sample)
    return found


def judges(reference: pd.DataFrame, models: list[str]) -> dict[str, scores.Score]:
    """All scores of single images of these models, fitted on a table with columns `code.<codec>` and `<model>.<statistic>`."""
    statistics = {model: part(reference, model) for model in models}
    no_images = np.empty((len(reference), 0))  # `Score.fit` reads none
    return fitted(samples(no_images, part(reference, "code"), statistics))


def part(table: pd.DataFrame, prefix: str) -> pd.DataFrame:
    """The columns that begin with `<prefix>.`, without this prefix."""
    return table[[name for name in table if name.startswith(f"{prefix}.")]].rename(columns=lambda name: name[len(prefix) + 1 :])


def _model(name: str) -> str:
    """The model of `<model>.<score>`."""
    return name.split(".")[0]


def scored(judges: dict[str, scores.Score], known: dict[str, scores.Sample]) -> pd.DataFrame:
    """Every score of every image: one row per image, one column per score."""
    return pd.DataFrame({name: judge.score(known[_model(name)]) for name, judge in judges.items()})


def margins(judges: dict[str, scores.Score], known: dict[str, scores.Sample]) -> pd.DataFrame:
    """τ of every score of every image: its uncertainty because statistics are rounded."""
    found = scored(judges, known)
    squares = found * 0.0
    for model, sample in known.items():
        own = {name: judge for name, judge in judges.items() if _model(name) == model}
        for column in sample.statistics:
            step = pd.DataFrame(0.0, index=found.index, columns=list(own))
            for sign in (-1.0, 1.0):
                exact = sample.statistics[column]
                moved = sample.statistics.assign(**{column: exact + sign * RESOLUTION * np.maximum(exact.abs(), 1.0)})
                shift = scored(own, {model: sample._replace(statistics=moved)}) - found[list(own)]
                step = np.maximum(step, shift.abs())
            squares[list(own)] += step**2
    return np.maximum(np.sqrt(squares), RESOLUTION * found.abs())


def levels(values: np.ndarray, margins: np.ndarray) -> np.ndarray:
    """The level of each of n calibration images, float32 (n,): the largest score within rounding of its own or of its ties'."""
    order = np.argsort(values - margins, kind="stable")
    upper = (values + margins)[order]
    single = upper.astype(np.float32)  # half the size; rounded up before it is seen which intervals overlap
    single = np.where(single < upper, np.nextafter(single, np.float32(np.inf)), single)
    highest = np.maximum.accumulate(single)
    ends = np.append((values - margins)[order][1:] > highest[:-1], True)  # where a group of ties ends
    group = np.cumsum(np.append(0, ends[:-1]))
    found = np.empty(len(values), dtype=np.float32)
    found[order] = highest[ends][group]
    return found


def calibrated(
    x: np.ndarray, codes: pd.DataFrame, known: dict[str, pd.DataFrame], seed: int
) -> tuple[pd.DataFrame, pd.DataFrame]:
    """The two tables of a detector, float32: what scores are fitted on, and the levels of every score, `<model>.<score>`.

    Arguments:
        x: the held-out images that were scored, uint8 (N, C, H, W).
        codes: their code lengths in nats.
        known: by model, its statistics of them, in nats.
        seed: of which half of them is for which table.
    """
    n = len(x)
    fit, rest = np.split(selection.compared("val", n, n, seed), [n - counts.calibrating(n)])
    every = pd.concat([table.add_prefix(f"{name}.") for name, table in {"code": codes, **known}.items()], axis=1)
    reference = every.iloc[fit].reset_index(drop=True).astype(np.float32)  # the precision of the models' numbers
    found = judges(reference, list(known))
    held_out = rows_of(x, codes, known, rest)
    values, rounding = scored(found, held_out), margins(found, held_out)
    return reference, pd.DataFrame({name: levels(values[name].to_numpy(), rounding[name].to_numpy()) for name in found})


def rows_of(x: np.ndarray, codes: pd.DataFrame, known: dict[str, pd.DataFrame], rows: np.ndarray) -> dict[str, scores.Sample]:
    """What is known (`samples`) of the images in these rows."""
    tables = {model: table.iloc[rows].reset_index(drop=True) for model, table in known.items()}
    return samples(x[rows], codes.iloc[rows].reset_index(drop=True), tables)


class Calibration:
    """What a detector knows besides its models.

    Arguments:
        reference: statistics and code lengths of the images that scores are fitted on (`judges`).
        levels: of the other half, one column per score, `<model>.<score>`.
        models: which ones to use. Scores of all models at once are calibrated for all, so they are left out where one is missing.
    """

    def __init__(self, reference: pd.DataFrame, levels: pd.DataFrame, models: list[str]) -> None:
        every = {name.split(".")[0] for name in reference} - {"code"}
        partial = set(models) < every
        found = judges(reference, models)
        self.judges = {name: judge for name, judge in found.items() if not (partial and _model(name) == results.ALL_MODELS)}
        self.levels = levels

    @classmethod
    def load(cls, folder: Path, models: list[str]) -> "Calibration":
        """Read both tables from a folder. Raises FileNotFoundError where one is missing."""
        return cls(pd.read_parquet(folder / REFERENCE), pd.read_parquet(folder / LEVELS), models)

    def judged(self, known: dict[str, scores.Sample]) -> pd.DataFrame:
        """For each image of `samples`: `<model>.<score>`, higher is more outlying, and `<model>.<score>.p` in (0, 1]."""
        found, columns = scored(self.judges, known), {}
        for name in self.judges:
            columns[name] = found[name].to_numpy()
            columns[f"{name}.p"] = p_values(self.levels[name].to_numpy(), columns[name])
        return pd.DataFrame(columns)


def write_detector(
    benchmark: str, name: str, facts: dict[str, dict[str, Any]], statistics: dict[str, dict[str, pd.DataFrame]], seed: int
) -> dict[str, pd.DataFrame]:
    """Write the detector `name` of a benchmark, and what it flags of test images.

    Arguments:
        facts: of every model, what model.json says.
        statistics: by model and set, of the scored images; of the sets, `val` and `test` are used.
        seed: of the split in two.

    Returns the code lengths of the scored validation and test images.
    """
    index = {split: next(iter(statistics.values()))[split]["index"].to_numpy() for split in ("val", "test")}
    source = Path("data/processed") / benchmark / "in"
    pixels = {split: np.array(images.load(source / f"{split}.npy")[rows]) for split, rows in index.items()}
    known = {split: {model: found[split].drop(columns="index") for model, found in statistics.items()} for split in index}
    codes = {split: complexity.lengths(x) for split, x in pixels.items()}
    reference, levels = calibrated(pixels["val"], codes["val"], known["val"], seed)
    described = {
        "shape": list(pixels["val"].shape[1:]),
        "models": {model: {key: facts[model][key] for key in ("draws", "unit")} for model in statistics},
        "codecs": complexity.versions(),
        "prepared": json.loads((source / "statistics.json").read_text(encoding="utf-8")).get("prepared", PUBLISHED),
    }
    _save(name, described, {REFERENCE: reference, LEVELS: levels})
    judged = Calibration(reference, levels, list(statistics)).judged(samples(pixels["test"], codes["test"], known["test"]))
    rows = []
    for column in levels:
        p = judged[f"{column}.p"]
        shares = {rate: round(float((p <= rate).mean()), results.DIGITS) for rate in RATES}
        rows += [(benchmark, *column.split("."), rate, share, len(levels), len(p)) for rate, share in shares.items()]
    results.save(Path("metrics/detectors") / f"{name}.csv", pd.DataFrame(rows, columns=COLUMNS).to_csv(index=False))
    print(f"a detector fitted on {len(reference)} images, calibrated on {len(levels)}")
    return codes


def write_none(name: str) -> None:
    """Write that there is no such detector, as of several seeds."""
    _save(name, {"shape": [], "models": {}, "codecs": {}, "prepared": PUBLISHED}, {})
    results.save(Path("metrics/detectors") / f"{name}.csv", pd.DataFrame(columns=COLUMNS).to_csv(index=False))


def _save(name: str, described: dict[str, Any], tables: dict[str, pd.DataFrame]) -> None:
    with images.replaced(Path("data/detectors") / name) as folder:
        for file, table in tables.items():
            table.to_parquet(folder / file, index=False, compression="zstd")
        (folder / FACTS).write_text(json.dumps(described, indent=1) + "\n", encoding="utf-8")
