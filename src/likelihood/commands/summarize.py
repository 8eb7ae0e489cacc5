"""Mean ± standard deviation over the seeds of a sweep: `likelihood summarize` after `dvc exp run --queue -S seed=0,1,2 …`.

Reads the finished experiments that derive from the last commit, and that commit itself, whose results count as another seed.
Those that agree in every parameter but `seed` form one group and one Markdown table: mean bits/dim (of binarised images in their
own bits/dim) of the in-set's test images and of each out-set, and AUROC of −log p, by model. The deviation is the sample's (n −
1); experiments with equal parameters count once. A line above each table says in which parameters its group differs from the
others. What was run without the stage `check`, as `dvc exp run --single-item` does, has old numbers beside new parameters, and is
left out.
"""

import argparse
import contextlib
import statistics
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import dvc.api
from dvc.utils.serialize import loads_yaml

from likelihood.commands import audit
from likelihood.common import stage
from likelihood.common.errors import InputError
from likelihood.docs import tables
from likelihood.figures.titles import AXIS, row_title, set_title
from likelihood.settings import checks

HEADS = ("benchmark", "model", "out-set", "bits/dim test", "bits/dim out-set", "AUROC of −log p")
METRICS = "metrics/{}/ood/metrics.json"
Settings = tuple[tuple[str, str], ...]  # dotted name and value of every parameter of a group but the seed


def leaves(values: dict[str, Any], prefix: str = "") -> Iterator[tuple[str, Any]]:
    """Dotted names and values of a nested mapping."""
    for key, value in values.items():
        if isinstance(value, dict):
            yield from leaves(value, f"{prefix}{key}.")
        else:
            yield f"{prefix}{key}", value


def measured(commit: str) -> bool:
    """Whether the results of a commit are those of its own parameters, by its dvc.lock."""
    with contextlib.suppress(InputError):  # without a dvc.lock there are none
        text = audit.output("git", "show", f"{commit}:./dvc.lock", folder=Path())
        lock = loads_yaml(text)["stages"]  # numbers as DVC reads them
        values = dvc.api.params_show("params.yaml", rev=commit)
        evaluated = all(f"evaluate@{name}" in lock for name in values["run"])
        return evaluated and lock["check"]["params"]["params.yaml"] == values
    return False


def finished() -> list[str]:
    """Revisions with results: the last commit, then its finished experiments; InputError when there are none of these."""
    rows = [row for row in dvc.api.exp_show() if row["rev"] != "workspace"]
    commits = [row["rev"] for row in rows if row["typ"] == "baseline"]
    done = {row["rev"]: row["Experiment"] for row in rows if row["typ"] != "baseline" and row["State"] in ("Success", None)}
    if not done:
        raise InputError(
            "no finished experiment derives from the last commit: queue some, e.g. `dvc exp run --queue -S seed=0,1,2`, and start"
            " them with `dvc queue start`"
        )
    own = [commit for commit in commits if measured(commit)]
    if len(own) < len(commits):
        stage.say("note: the last commit has no results of its own parameters, and is left out")
    kept = [revision for revision in done if measured(revision)]
    others = [name or revision for revision, name in done.items() if revision not in kept]
    if others:
        why = "whose numbers are not those of their parameters (--single-item and --downstream skip the stage `check`)"
        if not kept:
            raise InputError(f"there are only experiments {why}: run them without these options")
        stage.say(f"note: left out are experiments {why}: {', '.join(others)}")
    return own + kept


def collect(revisions: list[str]) -> dict[Settings, dict[int, dict[str, Any]]]:
    """Metrics of every revision, by settings, seed and benchmark."""
    groups: dict[Settings, dict[int, dict[str, Any]]] = {}
    for revision in revisions:
        values = dict(leaves(dvc.api.params_show("params.yaml", rev=revision)))
        seed = values.pop("seed")
        settings = tuple(sorted((key, "empty" if value is None else str(value)) for key, value in values.items()))
        if seed not in groups.setdefault(settings, {}):
            groups[settings][seed] = {name: dvc.api.metrics_show(METRICS.format(name), rev=revision) for name in values["run"]}
    return groups


def spread(values: list[float]) -> str:
    """Mean ± standard deviation; a single value by itself."""
    mean = statistics.mean(values)
    return f"{mean:.3f} ± {statistics.stdev(values):.3f}" if len(values) > 1 else f"{mean:.3f}"


def rows(benchmark: str, by_seed: list[dict[str, Any]]) -> Iterator[tuple[str, ...]]:
    """One row per model and out-set of a benchmark, from the metrics of every seed."""
    found = [metrics[benchmark] for metrics in by_seed]
    for model in (model for model in found[0] if model != "images"):
        unit = next(unit for unit in AXIS if unit in found[0][model])
        test = spread([metrics[model][unit]["test"] for metrics in found])
        for out in (name for name in found[0][model] if name != unit):
            likelihood = spread([metrics[model][unit][out] for metrics in found])
            auroc = spread([metrics[model][out]["auroc"] for metrics in found])
            yield benchmark, row_title(model, unit), set_title(out), test, likelihood, auroc


def table(groups: dict[Settings, dict[int, dict[str, Any]]]) -> str:
    """Every group's heading and Markdown table."""
    every = {pair for settings in groups for pair in settings}
    shared = {pair for pair in every if all(pair in settings for settings in groups)}
    parts = []
    for settings, by_seed in groups.items():
        own = [f"{key} = {value}" for key, value in settings if (key, value) not in shared]
        parts += [
            f"{', '.join(own) or 'all parameters equal'}; {'seeds' if len(by_seed) > 1 else 'seed'}"
            f" {', '.join(str(seed) for seed in sorted(by_seed))}",
            "",
        ]
        found = list(by_seed.values())
        cells = [row for benchmark in found[0] for row in rows(benchmark, found)]
        parts += [tables.markdown("lllrrr", HEADS, cells), ""]
    return "\n".join(parts)


def run(_arguments: argparse.Namespace) -> int:
    """Print the tables; the exit status."""
    checks.load()
    with audit.opened(Path()):
        print(table(collect(finished())), end="")
    return 0
