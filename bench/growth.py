"""How cost grows: with the number of images, their size, the width of the model; and what memory does with the number of images.

    slope = d log(cost) / d log(size), the least-squares line through the measured sizes: 1 is proportional growth

Times are medians of interleaved rounds, so that a drifting machine touches all sizes alike. Memory is that of a fresh process
after training on a file of images, without the pages of the file itself, which the system can take back at any time.
"""

import json
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import torch
from lightning_fabric import Fabric

from bench.machine import ROOT, store
from bench.run import our_log_prob, pictures, training
from likelihood.common import images, params
from likelihood.models.shared import checkpoint
from likelihood.models.shared.base import LikelihoodModel
from likelihood.settings import resolve
from likelihood.training.loop import Schedule, Training

ROUNDS = 5
DEFAULTS = {
    name: resolve.training(params.load(ROOT / "params.yaml"), "fashion_mnist", name)["architecture"] for name in params.MODELS
}
WIDTH = {"vae": "hidden", "pixelcnn": "channels", "glow": "hidden"}
WIDTHS = {"vae": (400, 800, 1600), "pixelcnn": (32, 64, 128), "glow": (64, 128, 256)}
SIDES = (16, 32, 64)
COUNTS = (200, 400, 800)
FILES = (10_000, 40_000, 160_000)


def built(name: str, side: int = 28, **changes: int) -> LikelihoodModel:
    """A model of the default architecture with some of its arguments changed, for grey square images."""
    torch.manual_seed(0)
    model = checkpoint.model_class(name)(shape=(1, side, side), **{**DEFAULTS[name], **changes})
    x = pictures(32, (1, side, side))
    model.initialize(x, model.noise(len(x), np.random.default_rng(0)))
    return model


def step(name: str, side: int = 28, **changes: int) -> Callable[[], float]:
    """One training step of 16 images."""
    model = built(name, side, **changes)
    return training(model, our_log_prob(model), 16, 1, (1, side, side))


def scoring(name: str, count: int) -> Callable[[], object]:
    """The scoring of `count` images by one process."""
    model, x = built(name).eval(), torch.from_numpy(pictures(count).numpy())
    return lambda: [model.statistics(part) for part in x.split(model.core_batch)]


def seconds(works: list[Callable[[], object]]) -> list[float]:
    """Median time of each piece of work, the pieces taken in turn."""
    times: list[list[float]] = [[] for _ in works]
    for number in range(ROUNDS + 1):
        for work, found in zip(works, times, strict=True):
            start = time.perf_counter()
            work()
            if number:  # the first warms up
                found.append(time.perf_counter() - start)
    return [statistics.median(found) for found in times]


def memory(count: int) -> float:
    """MB of a process that has trained a VAE on a file of `count` images."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "train.npy"
        images.save(path, pictures(count).numpy())
        command = [sys.executable, "-m", "bench.growth", str(path)]
        found = subprocess.run(command, cwd=ROOT, check=True, capture_output=True, text=True).stdout
    return float(found.split()[-1])


def train_on(path: Path) -> float:
    """Train a VAE on 10,000 images of a file; MB of this process that are its own."""
    data = images.load(path)
    schedule = Schedule(
        lr=1e-4, muon_lr=1e-4, weight_decay=0.0, batch_size=128, epochs=1, epoch_images=10_000, warmup=0.1, clip_norm=1.0, seed=0
    )
    list(Training(Fabric(accelerator="cpu", devices=1), built("vae"), data, data[:100], schedule).epochs())
    (line,) = [line for line in Path("/proc/self/status").read_text(encoding="utf-8").splitlines() if line.startswith("RssAnon")]
    return int(line.split()[1]) / 1024.0


def slope(sizes: tuple[int, ...], costs: list[float]) -> float:
    """Of the line through the logarithms."""
    return float(np.polyfit(np.log(sizes), np.log(costs), 1)[0])


def main() -> None:
    rows = []
    for name in DEFAULTS:
        for cost, sizes, works in (
            ("scoring, number of images", COUNTS, [scoring(name, count) for count in COUNTS]),
            ("training step, height and width of the images", SIDES, [step(name, side) for side in SIDES]),
            ("training step, width of the model", WIDTHS[name], [step(name, **{WIDTH[name]: width}) for width in WIDTHS[name]]),
        ):
            found = seconds(works)
            rows.append({"model": name, "cost": cost, "sizes": sizes, "seconds": found, "slope": round(slope(sizes, found), 2)})
            print(json.dumps(rows[-1]), flush=True)
    megabytes = [memory(count) for count in FILES]
    found = {"model": "vae", "cost": "memory of a training, number of images", "sizes": FILES, "megabytes": megabytes}
    rows.append({**found, "slope": round(slope(FILES, megabytes), 3)})
    print(json.dumps(rows[-1]), flush=True)
    store("growth", {"rounds": ROUNDS, "rows": rows})


if __name__ == "__main__":
    if len(sys.argv) > 1:
        print(train_on(Path(sys.argv[1])))
    else:
        main()
