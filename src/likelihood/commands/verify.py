"""Rerun the enabled benchmarks from scratch and compare their metrics with the committed ones: `likelihood verify`.

The tree is copied without dvc.lock, cache, data and kept trainings (downloaded images are reused; their pixels are checked),
`dvc repro` runs there, and two kinds of numbers are compared: the mean likelihood of every model and set, and the AUROC of every
score on every out-set. On the same processor with the same number of threads they are equal to the last digit. Another processor,
a GPU or other versions round differently, and training amplifies that, to about the difference between two seeds; so

    |here − committed| ≤ max(4 s, floor),    floor = 0.02 bits/dim or 0.01 of AUROC,

with s the committed standard deviation of that number over seeds (metrics/scores/<benchmark>/<variant>); without one, 0.05 is
allowed. Exit status 1 when a number is further off.
"""

import argparse
import json
import os
import sys
from pathlib import Path

import pandas as pd

from likelihood.commands import audit
from likelihood.common import stage
from likelihood.common.errors import InputError
from likelihood.detection.command import process
from likelihood.figures.titles import AXIS
from likelihood.settings import checks

DEVIATIONS, UNKNOWN = 4.0, 0.05
FLOOR = {"likelihood": 0.02, "auroc": 0.01}
KEYS = ["quantity", "model", "score", "set"]


def numbers(folder: Path, benchmark: str) -> pd.DataFrame:
    """The numbers of a folder's metrics that are compared: columns quantity, model, score, set, value."""
    summary = json.loads((folder / "metrics" / benchmark / "ood" / "metrics.json").read_text(encoding="utf-8"))
    rows = []
    for model in (model for model in summary if model != "images"):
        unit = next(unit for unit in AXIS if unit in summary[model])
        rows += [("likelihood", model, "log_prob", name, value) for name, value in summary[model][unit].items()]
    table = pd.read_csv(folder / "metrics" / "scores" / f"{benchmark}.csv")
    rows += [("auroc", *row) for row in table[["model", "score", "out", "auroc"]].itertuples(index=False)]
    return pd.DataFrame(rows, columns=[*KEYS, "value"])


def deviations(folder: Path, benchmark: str) -> pd.DataFrame:
    """The committed standard deviations over seeds: columns quantity, model, score, set, std."""
    parts = [pd.DataFrame(columns=[*KEYS, "std"])]
    for seeds in sorted((folder / "metrics" / "scores" / benchmark).glob("[!.]*/seeds.csv")):
        likelihoods = pd.read_csv(seeds.with_name("likelihoods.csv")).assign(quantity="likelihood", score="log_prob")
        aurocs = pd.read_csv(seeds).assign(quantity="auroc").rename(columns={"out": "set", "auroc_std": "std"})
        parts += [likelihoods[[*KEYS, "std"]], aurocs[[*KEYS, "std"]]]
    return pd.concat([part for part in parts if len(part)] or parts, ignore_index=True)


def compare(committed: Path, here: Path, benchmark: str) -> pd.DataFrame:
    """Every number of one benchmark: committed, here, allowed (the largest difference), far (whether it is exceeded).

    A number that only one side has counts as far.
    """
    table = numbers(committed, benchmark).merge(
        numbers(here, benchmark), on=KEYS, how="outer", suffixes=("_committed", "_here"), sort=False
    )
    table = table.merge(deviations(committed, benchmark), on=KEYS, how="left")
    floor = table["quantity"].map(FLOOR)
    table["allowed"] = (DEVIATIONS * table["std"].astype(float)).clip(lower=floor).fillna(UNKNOWN)
    difference = (table["value_here"] - table["value_committed"]).abs()
    table["equal"], table["far"] = difference == 0.0, ~(difference <= table["allowed"])
    return table.drop(columns="std")


def rerun(root: Path, folder: Path) -> None:
    """Run the pipeline on a copy of the tree in an empty folder; InputError when it fails."""
    import dvc  # a ModuleNotFoundError where it is not installed, which is no reason not to import this module

    command = [sys.executable, "-m", dvc.__name__, "repro", "--no-run-cache"]  # a cache that the team shares may hold the results
    audit.copy(root, folder)
    (folder / "dvc.lock").unlink(missing_ok=True)
    downloads = root / "data" / "downloads"
    if downloads.is_dir():
        (folder / "data").mkdir(exist_ok=True)
        (folder / "data" / "downloads").symlink_to(downloads)
    # A training kept elsewhere would be reused instead of repeated; a folder of images may be named from here.
    environment = {key: value for key, value in os.environ.items() if key != "LIKELIHOOD_TRAININGS"}
    if given := environment.get("LIKELIHOOD_IMAGES"):
        environment["LIKELIHOOD_IMAGES"] = os.path.abspath(given)
    # Stages call `python`, which is this one also where no environment is activated.
    environment["PATH"] = f"{Path(sys.executable).parent}{os.pathsep}{environment.get('PATH', os.defpath)}"
    with process(command, cwd=folder, env=environment) as dvc_repro:
        status = dvc_repro.wait()
    if status:
        raise InputError(f"dvc repro failed with status {status}; its messages are above")


def comparable(root: Path, benchmarks: list[str]) -> None:
    """InputError unless the numbers of these benchmarks are there, and of the parameters and the code that would be run again."""
    for benchmark in benchmarks:
        try:
            numbers(root, benchmark)
        except FileNotFoundError as error:
            raise InputError(f"{os.path.relpath(error.filename, root)} is not here: run `dvc repro` first") from None
    with audit.scratch() as folder:
        stale = audit.stale(audit.enabled(root, folder), audit.load_lock(root))
    if stale:
        name, reasons = next(iter(stale.items()))
        raise InputError(f"the results of {len(stale)} enabled stages are stale ({name}: {reasons[0]}): run `dvc repro` first")


def run(_arguments: argparse.Namespace) -> int:
    """Run again, compare and print; the exit status."""
    root, far = Path.cwd(), 0
    benchmarks = checks.load()["run"]
    comparable(root, benchmarks)
    with audit.scratch() as folder:
        rerun(root, folder)
        for benchmark in benchmarks:
            table = compare(root, folder, benchmark)
            unequal = table[~table["equal"]].drop(columns="equal")
            if len(unequal):
                print(unequal.to_string(index=False, float_format="{:.4f}".format))
            equal, distant = int(table["equal"].sum()), int(table["far"].sum())
            print(f"{benchmark}: of {len(table)} numbers {equal} are equal, {distant} too far off")
            far += distant
    if far:
        stage.say(f"{far} numbers differ from the committed ones by more than rounding or another seed explains")
    return 1 if far else 0
