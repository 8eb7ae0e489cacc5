"""Stages `train_vae`, `train_pixelcnn`, `train_glow`: train one model on one benchmark's in-set.

Reads data/processed/<benchmark>/in only. Writes the weights of the best epoch to data/models/<benchmark>/<model>/,
as best.safetensors, and those of the epochs named in params.yaml to snapshots/; DVCLive writes curves and sample grids to
metrics/<benchmark>/train/<model>/.

Its state after every epoch is in data/trainings/, or in the folder named by the environment variable LIKELIHOOD_TRAININGS, under
a hash of settings, data and code. A training that was interrupted goes on from there, and one that was done before, for another
benchmark with the same in-set, gives its results again.
"""

import argparse
import functools
import os
import shutil
import sys
from pathlib import Path
from typing import Any

import numpy as np
import torch
from dvclive import Live
from lightning_fabric import Fabric
from PIL import Image
from torch import Tensor
from torchvision.utils import make_grid

from likelihood.common import images
from likelihood.models.shared import checkpoint
from likelihood.models.shared.base import LikelihoodModel
from likelihood.runtime import processes, stage
from likelihood.settings import params
from likelihood.training.loop import Epoch, Schedule, Training
from likelihood.training.progress import Progress, fingerprint

SCHEDULE = ("lr", "batch_size", "epochs", "epoch_images", "warmup", "clip_norm")
LOOP_ONLY = (*SCHEDULE, "validation_images", "snapshots", "sample_images")  # what is left over builds the model


def build(name: str, settings: dict[str, Any], shape: tuple[int, ...], seed: int) -> tuple[LikelihoodModel, dict[str, Any]]:
    """A freshly initialised model and its constructor's arguments."""
    arguments = {"shape": list(shape), **{key: value for key, value in settings.items() if key not in LOOP_ONLY}}
    torch.manual_seed(seed)
    return checkpoint.model_class(name)(**arguments), arguments


def sample_grid(model: LikelihoodModel, n: int, seed: int) -> np.ndarray:
    """n samples in a square grid, uint8 (height, width, 3)."""
    model.eval()
    samples = model.sample(n, torch.Generator().manual_seed(seed))
    model.train()
    return make_grid(samples, nrow=round(n**0.5), pad_value=255).permute(1, 2, 0).cpu().numpy()


class Record:
    """What a training leaves behind, kept by its first process: weights, curves, sample grids.

    An epoch's files go to the folder of `progress` before its state does, so that all that the state names is there.
    """

    def __init__(
        self,
        progress: Progress,
        live: Live,
        model: LikelihoodModel,
        built: tuple[str, dict[str, Any]],
        settings: dict[str, Any],
        seed: int,
    ) -> None:
        self.progress, self.live, self.model, self.built = progress, live, model, built
        self.settings, self.seed = settings, seed
        self.epochs: list[Epoch] = []
        earlier, tensors = progress.load()
        self.best = {key[len("best.") :]: value for key, value in tensors.items() if key.startswith("best.")}
        self.state = {key: value for key, value in tensors.items() if not key.startswith("best.")}  # to go on from
        for epoch in earlier:
            self.log(epoch)

    def add(self, epoch: Epoch, state: dict[str, Tensor]) -> None:
        """Keep and log one epoch; keep its weights if it is the best so far or named in `snapshots`."""
        if all(epoch.validation < earlier.validation for earlier in self.epochs):
            self.best = {key: value.detach().clone() for key, value in self.model.state_dict().items()}
        if epoch.number in self.settings["snapshots"]:
            checkpoint.save(self.kept(epoch, ".safetensors"), self.model.state_dict(), *self.built)
            Image.fromarray(sample_grid(self.model, self.settings["sample_images"], self.seed)).save(self.kept(epoch, ".png"))
        self.progress.save([*self.epochs, epoch], {**state, **{f"best.{key}": value for key, value in self.best.items()}})
        self.log(epoch)
        print(f"epoch {epoch.number}: train {epoch.train:.3f}, validation {epoch.validation:.3f} {self.model.unit}", flush=True)

    def log(self, epoch: Epoch) -> None:
        """Write the curves up to this epoch, and its samples."""
        self.epochs.append(epoch)
        best = min(self.epochs, key=lambda candidate: candidate.validation)
        self.live.step = epoch.number
        if epoch.number in self.settings["snapshots"]:
            self.live.log_image(f"samples/{self.kept(epoch, '.png').name}", self.kept(epoch, ".png"))
        self.live.log_metric(f"train/{self.model.unit}", epoch.train)
        self.live.log_metric(f"validation/{self.model.unit}", epoch.validation)
        self.live.log_metric(f"best/{self.model.unit}", best.validation, plot=False)
        self.live.log_metric("best/epoch", best.number, plot=False)
        self.live.make_summary()

    def kept(self, epoch: Epoch, suffix: str) -> Path:
        """A file of an epoch that waits for the end of the training."""
        return self.progress.folder / "snapshots" / f"epoch_{epoch.number:03d}{suffix}"

    def finish(self, folder: Path) -> None:
        """Put the weights of the best epoch and the snapshots in their place."""
        checkpoint.save(folder / "best.safetensors", self.best, *self.built)
        (folder / "snapshots").mkdir(exist_ok=True)
        for file in (self.progress.folder / "snapshots").glob("*.safetensors"):
            shutil.copy(file, folder / "snapshots")


def train(fabric: Fabric, name: str, benchmark: str) -> None:
    """Train one model in this process, its share of every batch; the first process writes."""
    values = params.load()
    settings, seed = params.of_model(values, name, benchmark), values["seed"]
    source = Path("data/processed") / benchmark / "in"
    data = images.load(source / "train.npy")
    validation = images.load(source / "val.npy")[: settings["validation_images"]]
    os.environ.setdefault("CUBLAS_WORKSPACE_CONFIG", ":4096:8")  # without it cuBLAS has no deterministic algorithms
    torch.use_deterministic_algorithms(True, warn_only=True)
    model, constructor = build(name, settings, data.shape[1:], seed)
    schedule = Schedule(**{key: settings[key] for key in SCHEDULE}, seed=seed)
    training = Training(fabric, model, data, validation, schedule)
    if not fabric.is_global_zero:
        training.restore(*fabric.broadcast(({}, 0)))
        for _ in training.epochs():
            pass
        return
    code = {Path(module.__file__) for module in list(sys.modules.values()) if getattr(module, "__file__", None)}
    here = sorted(file for file in code if Path(__file__).parent in file.parents)
    key = fingerprint([name, settings, seed, torch.__version__], [source / "train.npy", source / "val.npy", *here])
    progress = Progress(Path(os.environ.get("LIKELIHOOD_TRAININGS", "data/trainings")) / f"{name}_{key[:16]}")
    metrics = Path("metrics") / benchmark / "train" / name
    with Live(str(metrics), dvcyaml=None, save_dvc_exp=False, report=None) as live:
        record = Record(progress, live, model, (name, constructor), settings, seed)
        if len(record.epochs) == schedule.epochs:
            print("the same training was done before: taking its results", flush=True)
        elif record.epochs:
            print(f"going on after epoch {len(record.epochs)} of {schedule.epochs}", flush=True)
        training.restore(*fabric.broadcast((record.state, len(record.epochs))))
        for epoch in training.epochs():
            record.add(epoch, training.state())
        record.finish(Path("data/models") / benchmark / name)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("model", help="file name of the model in src/likelihood/models")
    parser.add_argument("--benchmark", required=True)
    arguments = parser.parse_args()
    processes.run(functools.partial(train, name=arguments.model, benchmark=arguments.benchmark))


if __name__ == "__main__":
    stage.run(main)
