"""Stage `train_companion`: train models that scores compare a model with, on the same in-set; out-sets are never seen.

A companion is named after the model that it accompanies and its kind:

    <model>_seeds         the same model from other random numbers, one for each of `companions.seeds`
    <model>_background    the same model on mutated images (likelihood/training/mutated.py), `companions.mutation` of their values
    pixelcnn_local        a PixelCNN of one layer, which sees no more than a patch of 7 by 4 pixels [1]

Reads data/processed/<benchmark>/in only. Writes data/companions/<benchmark>/<companion>/<member>/: best.safetensors and curves,
where a member is a seed, or the kind. All else is as in train.py: the schedule, and how an interrupted training goes on.

References:
    [1] On the out-of-distribution generalization of probabilistic image modelling (Zhang et al., 2021),
        https://arxiv.org/abs/2109.02639
"""

import argparse
import functools
import os
import sys
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import torch
from dvclive import Live
from lightning_fabric import Fabric

from likelihood.common import images
from likelihood.models.shared import checkpoint
from likelihood.runtime import processes, stage
from likelihood.settings import params
from likelihood.training.loop import Schedule, Training
from likelihood.training.mutated import Mutated
from likelihood.training.progress import Progress, fingerprint
from train import SCHEDULE, Record, build

LOCAL_LAYERS = 1


class Member(NamedTuple):
    """One training of a companion."""

    name: str
    settings: dict[str, Any]  # of the model and of the loop
    seed: int
    mutation: float  # share of mutated values


def members(values: dict[str, Any], companion: str, benchmark: str) -> tuple[str, list[Member]]:
    """The model that a companion accompanies, and the trainings it takes, from all of params.yaml."""
    model, kind = companion.split("_", 1)
    settings = {**params.of_model(values, model, benchmark), "snapshots": []}
    seed, own = values["seed"], values["companions"]
    if kind == "seeds":
        return model, [Member(f"seed_{other}", settings, other, 0.0) for other in own["seeds"]]
    if kind == "background":
        return model, [Member(kind, settings, seed, own["mutation"])]
    return model, [Member(kind, {**settings, "layers": LOCAL_LAYERS}, seed, 0.0)]


def train_member(fabric: Fabric, model: str, member: Member, source: Path, folder: Path) -> None:
    """Train one member in this process, its share of every batch; the first process writes `folder`."""
    settings = member.settings
    data: np.ndarray | Mutated = images.load(source / "train.npy")
    validation: np.ndarray | Mutated = images.load(source / "val.npy")[: settings["validation_images"]]
    if member.mutation:
        data, validation = (Mutated(x, member.mutation, member.seed) for x in (data, validation))
    network, constructor = build(model, settings, data.shape[1:], member.seed)
    schedule = Schedule(**{key: settings[key] for key in SCHEDULE}, seed=member.seed)
    training = Training(fabric, network, data, validation, schedule)
    if not fabric.is_global_zero:
        training.restore(*fabric.broadcast(({}, 0)))
        for _ in training.epochs():
            pass
        return
    code = {Path(module.__file__) for module in list(sys.modules.values()) if getattr(module, "__file__", None)}
    here = sorted(file for file in code if Path(__file__).parent in file.parents)
    what = [model, settings, member.seed, member.mutation, torch.__version__]
    key = fingerprint(what, [source / "train.npy", source / "val.npy", *here])
    progress = Progress(Path(os.environ.get("LIKELIHOOD_TRAININGS", "data/trainings")) / f"{model}_{key[:16]}")
    with Live(str(folder / "curves"), dvcyaml=None, save_dvc_exp=False, report=None) as live:
        record = Record(progress, live, network, (model, constructor), settings, member.seed)
        if record.epochs:
            print(f"{member.name}: going on after epoch {len(record.epochs)} of {schedule.epochs}", flush=True)
        training.restore(*fabric.broadcast((record.state, len(record.epochs))))
        for epoch in training.epochs():
            record.add(epoch, training.state())
        checkpoint.save(folder / "best.safetensors", record.best, *record.built)


def train(fabric: Fabric, companion: str, benchmark: str) -> None:
    """Train every member of a companion, one after the other."""
    os.environ.setdefault("CUBLAS_WORKSPACE_CONFIG", ":4096:8")  # without it cuBLAS has no deterministic algorithms
    torch.use_deterministic_algorithms(True, warn_only=True)
    model, trainings = members(params.load(), companion, benchmark)
    for member in trainings:
        folder = Path("data/companions") / benchmark / companion / member.name
        train_member(fabric, model, member, Path("data/processed") / benchmark / "in", folder)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("companion", help="<model>_seeds, <model>_background or pixelcnn_local")
    parser.add_argument("--benchmark", required=True)
    arguments = parser.parse_args()
    processes.run(functools.partial(train, companion=arguments.companion, benchmark=arguments.benchmark))


if __name__ == "__main__":
    stage.run(main)
