"""Stages `train_vae`, `train_pixelcnn`, `train_glow`, `train_variant`: train one model, or variant, on a benchmark's in-set.

Reads data/settings/<benchmark>/<model>/training.json, which `check` resolves from params.yaml, and data/processed/<benchmark>/in.
Writes the weights of the best epoch to data/models/<benchmark>/<model>/best.safetensors and, of the three models, those of some
epochs to snapshots/; DVCLive writes curves and sample grids to metrics/<benchmark>/train/<model>/. A variant that names its seeds
has a folder seed_<n> for each in both places.

The state after every epoch is in data/trainings/, or in the folder named by the environment variable LIKELIHOOD_TRAININGS, under
a hash of settings, data and code. An interrupted training goes on from there, and one that was done before, for another benchmark
with the same in-set, gives its results again.
"""

import argparse
import functools
import os
import sys
from pathlib import Path
from typing import Any

import numpy as np
import torch
from dvclive import Live
from lightning_fabric import Fabric
from tqdm import tqdm

from likelihood.common import images, params, stage
from likelihood.training import processes
from likelihood.training.loop import Schedule, Training
from likelihood.training.mutated import Mutated
from likelihood.training.progress import Progress, fingerprint
from likelihood.training.record import Record, build

SCHEDULE = ("lr", "muon_lr", "weight_decay", "batch_size", "epochs", "epoch_images", "warmup", "clip_norm")


def train(fabric: Fabric, name: str, benchmark: str) -> None:
    """Train a model, once per seed, in this process its share of every batch; the first process writes."""
    settings = params.resolved(benchmark, f"{name}/training")
    os.environ.setdefault("CUBLAS_WORKSPACE_CONFIG", ":4096:8")  # without it cuBLAS has no deterministic algorithms
    torch.use_deterministic_algorithms(True, warn_only=True)
    for seed in settings["seeds"]:
        member = f"seed_{seed}" if settings["named"] else ""
        weights, metrics = Path("data/models") / benchmark / name / member, Path("metrics") / benchmark / "train" / name / member
        train_seed(fabric, settings, seed, Path("data/processed") / benchmark / "in", weights, metrics)


def train_seed(fabric: Fabric, settings: dict[str, Any], seed: int, source: Path, weights: Path, metrics: Path) -> None:
    """Train with one seed on the images in `source`."""
    loop, mutation = settings["loop"], settings["mutation"]
    data: np.ndarray | Mutated = images.load(source / "train.npy")
    validation: np.ndarray | Mutated = images.load(source / "val.npy")[: loop["validation_images"]]
    if mutation:
        data, validation = (Mutated(x, mutation, seed) for x in (data, validation))
    model, arguments = build(settings["family"], settings["architecture"], data.shape[1:], seed)
    schedule = Schedule(**{key: loop[key] for key in SCHEDULE}, seed=seed)
    bar = tqdm(unit="step", leave=False, disable=None if fabric.is_global_zero else True)

    def on_step(epoch: int, step: int, bits: float) -> None:
        if step == 1:
            bar.reset(schedule.steps_per_epoch)
            bar.set_description(f"epoch {epoch}/{schedule.epochs}")
        bar.update()
        bar.set_postfix(bits=f"{bits:.3f}")

    training = Training(fabric, model, data, validation, schedule, on_step)
    if not fabric.is_global_zero:
        training.restore(*fabric.broadcast(({}, 0)))
        for _ in training.epochs():
            pass
        return
    progress = Progress(kept_at(settings, seed, source))
    with Live(str(metrics), dvcyaml=None, save_dvc_exp=False, report=None) as live:
        record = Record(progress, live, model, (settings["family"], arguments), loop, seed)
        if len(record.epochs) == schedule.epochs:
            print("the same training was done before: taking its results", flush=True)
        elif record.epochs:
            print(f"going on after epoch {len(record.epochs)} of {schedule.epochs}", flush=True)
        training.restore(*fabric.broadcast((record.state, len(record.epochs))))
        for epoch in training.epochs():
            record.add(epoch, training.state())
        bar.close()
        record.finish(weights, snapshots=not settings["variant"])


def kept_at(settings: dict[str, Any], seed: int, source: Path) -> Path:
    """The folder of a training's state, named after a hash of all that determines its result."""
    code = {Path(module.__file__) for module in list(sys.modules.values()) if getattr(module, "__file__", None)}
    here = sorted(file for file in code if Path(__file__).parent in file.parents)
    what = [{key: settings[key] for key in ("family", "loop", "architecture", "mutation")}, seed, torch.__version__]
    key = fingerprint(what, [source / "train.npy", source / "val.npy", *here])
    return Path(os.environ.get("LIKELIHOOD_TRAININGS", "data/trainings")) / f"{settings['family']}_{key[:16]}"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("model", help="vae, pixelcnn, glow, or the name of a variant")
    parser.add_argument("--benchmark", required=True)
    arguments = parser.parse_args()
    processes.launch(functools.partial(train, name=arguments.model, benchmark=arguments.benchmark))


if __name__ == "__main__":
    stage.run(main)
