"""What a score costs: seconds per 1,000 images, from the pixels to the number, by benchmark and model.

    seconds = statistics of the model, its variants and analyses + the code lengths that the score reads + the score itself

Medians of ROUNDS rounds on test images of every benchmark with weights in data/; torch on all cores, codecs on one. Training and
fitting are done once and not counted. All benchmarks with results are timed in one call, so all must be enabled by `run`, pulled
(`likelihood pull`) and have their images (`dvc repro preprocess`).
"""

import statistics
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np
import pandas as pd
import torch
from torch import Tensor

from analyse import KNOWN, MEASURES
from bench.machine import store
from likelihood import scores
from likelihood.analyses import lid
from likelihood.common import images, params
from likelihood.evaluation import results
from likelihood.models.glow.model import Glow
from likelihood.models.shared import checkpoint
from likelihood.models.shared.base import LikelihoodModel
from likelihood.scores import complexity
from likelihood.settings import resolve
from score import members

IMAGES, LIDS, ROUNDS = 64, 4, 3


def seconds(work: Callable[[], object], count: int) -> float:
    """Median seconds of `work`, which handles `count` images, per 1,000 images."""
    taken = []
    for _ in range(ROUNDS):
        start = time.perf_counter()
        work()
        taken.append(time.perf_counter() - start)
    return 1000.0 * statistics.median(taken) / count


class Measured(NamedTuple):
    """Statistics of the images, and their cost in seconds per 1,000 images."""

    table: pd.DataFrame
    cost: float


def measured(measure: Callable[[Tensor], dict[str, Tensor]], x: np.ndarray, batch: int) -> Measured:
    """The statistics of images that `measure` gives, and their cost."""
    batches = torch.from_numpy(x).split(batch)
    rounds: list[list[dict[str, Tensor]]] = []
    cost = seconds(lambda: rounds.append([measure(part) for part in batches]), len(x))
    parts = rounds[-1]
    return Measured(pd.DataFrame({key: torch.cat([part[key] for part in parts]).numpy() for key in parts[0]}), cost)


def together(parts: Sequence[Measured]) -> Measured:
    """Several in one: their columns side by side, their costs added."""
    return Measured(pd.concat([part.table for part in parts], axis=1), sum(part.cost for part in parts))


def extras(benchmark: str, name: str, model: LikelihoodModel, x: np.ndarray, draws: int) -> dict[str, Measured]:
    """Statistics of those variants and analyses of a model that are in data/, by name; LIDs are timed on LIDS images."""
    found = {}
    for folder in sorted(Path(f"data/models/{benchmark}").glob(f"{name}_*")):
        parts = []
        for end, variant in members(folder).items():
            part = measured(lambda images, of=variant: of.statistics(images, draws), x, variant.core_batch)
            parts.append(part._replace(table=part.table.add_suffix(end or f"@{folder.name.removeprefix(f'{name}_')}")))
        found[folder.name] = together(parts)
    known = torch.from_numpy(np.array(images.load(Path(f"data/processed/{benchmark}/in/train.npy"))[:KNOWN]))
    for kind, (prepare, _) in MEASURES.items():
        if any(Path(f"data/analyses/{benchmark}/{analysis}").exists() for analysis in (kind, f"{name}_{kind}")):
            found[kind] = measured(prepare(model, known), x, model.core_batch)
    if isinstance(model, Glow) and Path(f"data/analyses/{benchmark}/glow_lid").exists():
        few = torch.from_numpy(x[:LIDS])
        # What the score takes does not depend on the dimensions.
        found["lid"] = Measured(pd.DataFrame({"lid": np.zeros(len(x))}), seconds(lambda: lid.measure(model, few), len(few)))
    return found


def rows(values: dict, benchmark: str) -> list[list[object]]:
    """[benchmark, model, score, seconds] for every score of a benchmark."""
    x = np.array(images.load(Path(f"data/processed/{benchmark}/in/test.npy"))[:IMAGES])
    pixels, codes = [complexity.pixels_of(image) for image in x], complexity.lengths(x)
    coding = {name: seconds(lambda: [encode(image) for image in pixels], len(x)) for name, encode in complexity.CODECS.items()}  # noqa: B023
    found: list[list[object]] = []

    def add(model: str, sample: scores.Sample, before: float, names: Sequence[str]) -> None:
        for name in names:
            score = scores.get(name).fit(sample)
            total = before + sum(coding[codec] for codec in score.coded) + seconds(lambda: score.score(sample), len(x))  # noqa: B023
            found.append([benchmark, model, name, float(f"{total:.2g}")])

    own: dict[str, Measured] = {}
    with_residuals: dict[str, Measured] = {}
    for name in params.MODELS:
        _, model = checkpoint.load(Path(f"data/models/{benchmark}/{name}/best.safetensors"))
        draws = resolve.scoring(values, benchmark, name)["draws"]
        own[name] = measured(lambda images, of=model, n=draws: of.statistics(images, n), x, model.core_batch)
        add(name, scores.Sample(x, codes, own[name].table), own[name].cost, scores.applicable(list(own[name].table)))
        for kind, extra in extras(benchmark, name, model, x, draws).items():
            if kind == "residuals":
                with_residuals[name] = together((own[name], extra))
            columns = own[name].table.join(extra.table)
            names = scores.needing(list(extra.table), list(columns))
            for key in names:
                before = extra.cost + (own[name].cost if "log_prob" in scores.get(key).needs else 0.0)
                add(name, scores.Sample(x, codes, columns), before, [key])
    add(results.NO_MODEL, scores.Sample(x, codes, pd.DataFrame(index=range(len(x)))), 0.0, scores.applicable([]))
    done: set[str] = set()
    for parts in (own, with_residuals):
        names = [name for name in scores.pooling(*(part.table for part in parts.values())) if name not in done] if parts else []
        samples = {name: {"test": scores.Sample(x, codes, part.table)} for name, part in parts.items()}
        if names:
            add(results.ALL_MODELS, results.pooled(samples)["test"], sum(part.cost for part in parts.values()), names)
        done.update(names)
    return found


def main() -> None:
    values = params.load()
    done = [name for name in values["benchmarks"] if Path(f"metrics/{name}/ood/metrics.json").exists()]
    needed = ("data/models/{}/glow", "data/processed/{}/in/test.npy")
    if lacking := [name for name in done if not all(Path(path.format(name)).exists() for path in needed)]:
        ways = f"name them under `run`, then `likelihood pull {' '.join(lacking)}` and `dvc repro preprocess`"
        raise SystemExit(f"error: no weights or images of {', '.join(lacking)}: {ways}")
    store("scores", {"rows": [row for name in done for row in rows(values, name)], "images": IMAGES, "rounds": ROUNDS})


if __name__ == "__main__":
    main()
