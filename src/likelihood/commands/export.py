"""`likelihood export`: write the detector of a benchmark, or of a variant, to one file, with a card that says what it is."""

import argparse
import contextlib
import json
from pathlib import Path
from typing import Any

import pandas as pd

from likelihood.commands.audit import output
from likelihood.commands.detect import load, project
from likelihood.common.errors import InputError
from likelihood.common.params import MODELS
from likelihood.data import base as data
from likelihood.detection import archive
from likelihood.evaluation.results import ALL_MODELS, row_name
from likelihood.figures.titles import set_title

SCORE = "code_kde"  # the one that flags by default


def table(path: Path, **values: str) -> pd.DataFrame:
    """The rows of a table of results that have these values. Raises InputError where it is missing."""
    rows = pd.read_csv(_here(path), keep_default_na=False)
    for column, value in values.items():
        rows = rows[rows[column] == value]
    return rows.drop(columns=["benchmark", *values])


def _here(path: Path) -> Path:
    if not path.exists():
        raise InputError(f"{path} is not here: run `dvc repro` to measure it")
    return path


def metrics(root: Path, benchmark: str, models: dict[str, dict[str, Any]]) -> dict[str, Any]:
    """What was measured of a detector: likelihoods by unit and row, false alarms on test images, and AUROC by out-set.

    `models` are those of its detector.json. Raises InputError where a file of results is missing.
    """
    variant = next((name for name in models if name not in MODELS), None)
    judging = variant or ALL_MODELS
    likelihood = f"{benchmark}/variants/{variant}.json" if variant else f"{benchmark}/ood/metrics.json"
    alarm = f"detectors/{benchmark}.{variant}.csv" if variant else f"detectors/{benchmark}.csv"
    score = f"scores/{benchmark}/{variant}/scores.csv" if variant else f"scores/{benchmark}.csv"
    summary = json.loads(_here(root / "metrics" / likelihood).read_text(encoding="utf-8"))
    alarms, found = (table(root / "metrics" / name, model=judging, score=SCORE) for name in (alarm, score))
    likelihoods: dict[str, dict[str, dict[str, float]]] = {}
    for model, facts in models.items():
        row, unit = variant or row_name(model, facts), facts["unit"]
        likelihoods.setdefault(unit, {})[row] = {name: summary[row][unit][name] for name in ("train", "test")}
    return {
        "score": f"{judging}.{SCORE}",
        **likelihoods,
        "false_alarms": alarms.to_dict("records"),
        "detection": found.to_dict("records"),
    }


def commit(root: Path) -> str | None:
    """The commit that last changed dvc.lock, which names the weights; None where that has changed since, without git, and where
    git has not all of the history.
    """
    with contextlib.suppress(InputError, OSError):
        whole = output("git", "rev-parse", "--is-shallow-repository", folder=root).strip() == "false"
        if whole and not output("git", "status", "--porcelain", "--", "dvc.lock", folder=root):
            return output("git", "log", "-1", "--format=%H", "--", "dvc.lock", folder=root).strip() or None
    return None


def members(root: Path, benchmark: str, loaded: dict[str, bytes]) -> dict[str, bytes]:
    """All members of the file: those that a benchmark's detector was loaded from, and the card."""
    facts = json.loads(loaded[archive.FACTS])
    trained_on = facts["trained_on"]
    published = data.get(trained_on) if trained_on in data.names() else None
    licence = published.licence if published else archive.OWN
    images: dict[str, Any] = {"name": trained_on, "title": set_title(trained_on), "licence": licence}
    if published:
        images |= {"count": published.splits["train"].count, "sha256": published.splits["train"].sha256}
    card = {
        "benchmark": benchmark,
        "trained_on": images,
        "shape": facts["shape"],
        "intended_use": archive.USE,
        "metrics": metrics(root, benchmark, facts["models"]),
        "codecs": facts["codecs"],
        "commit": commit(root),
    }
    return archive.complete(loaded, facts, card)


def run(arguments: argparse.Namespace) -> int:
    """Write the file; the exit status."""
    with archive.Written(arguments.output) as file:
        if arguments.model in MODELS:
            raise InputError(f"--model is {arguments.model}: only a variant has a detector apart from the three models'")
        detector = load(None, arguments.benchmark, arguments.model and [arguments.model])  # what does not load is not exported
        file.content = archive.packed(members(project(), arguments.benchmark, detector.members))
    print(f"{arguments.output}: {len(file.content) / 1e6:.1f} MB")
    return 0
