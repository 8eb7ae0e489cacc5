"""Stages `train_vae`, `train_pixelcnn`, `train_glow`: train one model on one benchmark's in-set.

Reads data/processed/<benchmark>/in only. Writes the weights of the best epoch to data/models/<benchmark>/<model>/,
as best.safetensors, and those of the epochs named in params.yaml to snapshots/; DVCLive writes curves and sample grids to
metrics/<benchmark>/train/<model>/.
"""

import argparse
import os
from pathlib import Path
from typing import Any

import numpy as np
import torch
from dvclive import Live
from lightning_fabric import Fabric
from torchvision.utils import make_grid

import params
import stage
from likelihood.data import images
from likelihood.models import checkpoint
from likelihood.models.base import LikelihoodModel
from likelihood.training import Epoch, Schedule, fit

SCHEDULE = ("lr", "batch_size", "epochs", "epoch_images", "warmup", "clip_norm")
LOOP_ONLY = (*SCHEDULE, "validation_images", "snapshots", "sample_images")  # what is left over builds the model


def build(name: str, settings: dict[str, Any], shape: tuple[int, ...], seed: int) -> tuple[LikelihoodModel, dict[str, Any]]:
    """A freshly initialised model and its constructor's arguments."""
    arguments = {"shape": list(shape), **{key: value for key, value in settings.items() if key not in LOOP_ONLY}}
    torch.manual_seed(seed)
    return checkpoint.model_class(name)(**arguments), arguments


def sample_grid(model: LikelihoodModel, n: int, seed: int) -> np.ndarray:
    """n samples in a square grid, uint8 (height, width, 3)."""
    samples = model.sample(n, torch.Generator().manual_seed(seed))
    return make_grid(samples, nrow=round(n**0.5), pad_value=255).permute(1, 2, 0).cpu().numpy()


class Record:
    """What a training leaves behind, written by the first process only: weights, curves, sample grids."""

    def __init__(
        self, folder: Path, live: Live, name: str, arguments: dict[str, Any], settings: dict[str, Any], seed: int
    ) -> None:
        self.folder, self.live, self.name, self.arguments = folder, live, name, arguments
        self.settings, self.seed = settings, seed
        self.best: Epoch | None = None

    def add(self, epoch: Epoch, model: LikelihoodModel) -> None:
        """Log one epoch; keep its weights if it is the best so far or named in `snapshots`."""
        print(f"epoch {epoch.number}: train {epoch.train:.3f}, validation {epoch.validation:.3f} {model.unit}", flush=True)
        if self.best is None or epoch.validation < self.best.validation:
            self.best = epoch
            checkpoint.save(self.folder / "best.safetensors", model.state_dict(), self.name, self.arguments)
        if epoch.number in self.settings["snapshots"]:
            file = self.folder / "snapshots" / f"epoch_{epoch.number:03d}.safetensors"
            checkpoint.save(file, model.state_dict(), self.name, self.arguments)
            model.eval()
            grid = sample_grid(model, self.settings["sample_images"], self.seed)
            model.train()
            self.live.log_image(f"samples/epoch_{epoch.number:03d}.png", grid)
        self.live.step = epoch.number
        self.live.log_metric(f"train/{model.unit}", epoch.train)
        self.live.log_metric(f"validation/{model.unit}", epoch.validation)
        self.live.log_metric(f"best/{model.unit}", self.best.validation, plot=False)
        self.live.log_metric("best/epoch", self.best.number, plot=False)
        self.live.make_summary()


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("model", help="file name of the model in src/likelihood/models")
    parser.add_argument("--benchmark", required=True)
    arguments = parser.parse_args()
    values = params.load()
    settings = params.of_model(values, arguments.model, arguments.benchmark)
    seed = values["seed"]
    source = Path("data/processed") / arguments.benchmark / "in"
    train = images.load(source / "train.npy")
    validation = images.load(source / "val.npy")[: settings["validation_images"]]
    fabric = Fabric()
    fabric.launch()
    os.environ.setdefault("CUBLAS_WORKSPACE_CONFIG", ":4096:8")  # without it cuBLAS has no deterministic algorithms
    torch.use_deterministic_algorithms(True, warn_only=True)
    model, constructor = build(arguments.model, settings, train.shape[1:], seed)
    schedule = Schedule(**{key: settings[key] for key in SCHEDULE}, seed=seed)
    epochs = fit(fabric, model, train, validation, schedule)
    if not fabric.is_global_zero:
        for _ in epochs:
            pass
        return
    folder = Path("data/models") / arguments.benchmark / arguments.model
    (folder / "snapshots").mkdir(parents=True, exist_ok=True)
    metrics = Path("metrics") / arguments.benchmark / "train" / arguments.model
    with Live(str(metrics), dvcyaml=None, save_dvc_exp=False, report=None) as live:
        record = Record(folder, live, arguments.model, constructor, settings, seed)
        for epoch in epochs:
            record.add(epoch, model)


if __name__ == "__main__":
    stage.run(main)
