"""What a score costs: seconds per 1,000 images, from the pixels to the number, by benchmark and model.

    seconds = the model's statistics + the code lengths that the score reads + the score itself

Medians of ROUNDS rounds on test images of every benchmark with committed weights, torch on all cores; codecs on one. Fitting a
score is done once and not counted.
"""

import statistics
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pandas as pd
import torch

import params
from bench.machine import store
from likelihood import codecs, comparison
from likelihood.data import images
from likelihood.models import checkpoint
from likelihood.scores import base as scores

MODELS = ("vae", "pixelcnn", "glow")
IMAGES, ROUNDS = 200, 3


def seconds(work: Callable[[], object], count: int) -> float:
    """Median seconds of `work` on `count` images, for 1,000."""
    taken = []
    for _ in range(ROUNDS):
        start = time.perf_counter()
        work()
        taken.append(time.perf_counter() - start)
    return 1000.0 * statistics.median(taken) / count


def rows(values: dict, benchmark: str) -> list[list[object]]:
    """[benchmark, model, score, seconds] of every score of a benchmark."""
    x = np.array(images.load(Path(f"data/processed/{benchmark}/in/test.npy"))[:IMAGES])
    pixels, codes = [codecs.pixels_of(image) for image in x], codecs.lengths(x)
    coding = {name: seconds(lambda: [encode(image) for image in pixels], len(x)) for name, encode in codecs.CODECS.items()}  # noqa: B023
    samples, cost = {}, {}
    for name in MODELS:
        _, model = checkpoint.load(Path(f"data/models/{benchmark}/{name}/best.safetensors"))
        batches, draws = torch.from_numpy(x).split(model.core_batch), values["score"]["draws"][name]
        cost[name] = seconds(lambda: [model.statistics(batch, draws) for batch in batches], len(x))  # noqa: B023
        parts = [model.statistics(batch, draws) for batch in batches]
        table = pd.DataFrame({key: torch.cat([part[key] for part in parts]).numpy() for key in parts[0]})
        samples[name] = scores.Sample(x, codes, table)
    pooled = comparison.pooled({name: {"test": sample} for name, sample in samples.items()})["test"]
    work = [(name, sample, cost[name], scores.applicable(list(sample.statistics))) for name, sample in samples.items()]
    work.append((comparison.ALL_MODELS, pooled, sum(cost.values()), scores.pooling()))
    work.append((comparison.NO_MODEL, samples[MODELS[0]], 0.0, scores.applicable([])))
    found = []
    for model, sample, before, names in work:
        for name in names:
            score = scores.get(name)
            score.fit(sample)
            total = before + sum(coding[codec] for codec in score.coded) + seconds(lambda: score.score(sample), len(x))  # noqa: B023
            found.append([benchmark, model, name, float(f"{total:.2g}")])
    return found


def main() -> None:
    values = params.load()
    done = [name for name in values["benchmarks"] if Path(f"data/models/{name}").exists()]
    store("scores", {"rows": [row for name in done for row in rows(values, name)], "images": IMAGES, "rounds": ROUNDS})


if __name__ == "__main__":
    main()
