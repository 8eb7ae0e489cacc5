"""What a training leaves behind: the weights of its best epoch, snapshots, curves and sample grids.

The best weights are in half precision; snapshots, which show how a training went, are compact (models/shared/checkpoint.py).
"""

import shutil
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import torch
from dvclive import Live
from PIL import Image
from torch import Tensor
from torchvision.utils import make_grid

from likelihood.models.shared import checkpoint
from likelihood.models.shared.base import LikelihoodModel
from likelihood.training.loop import Epoch
from likelihood.training.progress import Progress


def build(family: str, architecture: dict[str, Any], shape: tuple[int, ...], seed: int) -> tuple[LikelihoodModel, dict[str, Any]]:
    """A freshly initialised model of a family and its constructor's arguments."""
    arguments = {"shape": list(shape), **architecture}
    torch.manual_seed(seed)
    return checkpoint.model_class(family)(**arguments), arguments


def grid(model: LikelihoodModel, draw: Callable[[int, torch.Generator], Tensor], n: int, seed: int) -> np.ndarray:
    """n images by a method of the model that draws them, in a square grid, uint8 (height, width, 3)."""
    if sys.stderr.isatty():  # large images take a while
        print(f"drawing {n} samples", file=sys.stderr, flush=True)
    model.eval()
    samples = draw(n, torch.Generator().manual_seed(seed))
    model.train()
    return make_grid(samples, nrow=round(n**0.5), pad_value=255).permute(1, 2, 0).cpu().numpy()


class Record:
    """The files of one training, written by its first process.

    An epoch's files go to the folder of `progress` before its state does, so that all that the state names is there.

    Arguments:
        progress: where the training keeps its state.
        live: the DVCLive record of curves and samples.
        model: the model in training.
        built: name of the family and the constructor's arguments.
        loop: settings of the loop; `snapshots` and `sample_images` are read.
        seed: of the samples.
    """

    def __init__(
        self,
        progress: Progress,
        live: Live,
        model: LikelihoodModel,
        built: tuple[str, dict[str, Any]],
        loop: dict[str, Any],
        seed: int,
    ) -> None:
        self.progress, self.live, self.model, self.built = progress, live, model, built
        self.loop, self.seed = loop, seed
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
        if epoch.number in self.loop["snapshots"]:
            checkpoint.save(self.kept(epoch, ".safetensors"), checkpoint.compact(self.model.state_dict()), *self.built)
            pictures = grid(self.model, self.model.picture, self.loop["sample_images"], self.seed)
            Image.fromarray(pictures).save(self.kept(epoch, ".png"))
        self.progress.save([*self.epochs, epoch], {**state, **{f"best.{key}": value for key, value in self.best.items()}})
        self.log(epoch)
        print(f"epoch {epoch.number}: train {epoch.train:.3f}, validation {epoch.validation:.3f} {self.model.unit}", flush=True)

    def log(self, epoch: Epoch) -> None:
        """Write the curves up to this epoch, and its samples."""
        self.epochs.append(epoch)
        best = min(self.epochs, key=lambda candidate: candidate.validation)
        self.live.step = epoch.number
        if epoch.number in self.loop["snapshots"]:
            self.live.log_image(f"samples/{self.kept(epoch, '.png').name}", self.kept(epoch, ".png"))
        self.live.log_metric(f"train/{self.model.unit}", epoch.train)
        self.live.log_metric(f"validation/{self.model.unit}", epoch.validation)
        self.live.log_metric(f"best/{self.model.unit}", best.validation, plot=False)
        self.live.log_metric("best/epoch", best.number, plot=False)
        self.live.log_metric("images", epoch.number * self.loop["epoch_images"])
        self.live.make_summary()

    def kept(self, epoch: Epoch, suffix: str) -> Path:
        """A file of an epoch that waits for the end of the training."""
        return self.progress.folder / "snapshots" / f"epoch_{epoch.number:03d}{suffix}"

    def finish(self, folder: Path, snapshots: bool) -> None:
        """Put the weights of the best epoch, and the `snapshots` if they are wanted, into the folder of the model.

        Where a model's pictures are no samples, a grid of samples of the best epoch is logged beside them.
        """
        best = checkpoint.halved(self.best)
        checkpoint.save(folder / "best.safetensors", best, *self.built)
        if type(self.model).picture is not LikelihoodModel.picture:
            self.model.load_state_dict(best)
            drawn = grid(self.model, self.model.sample, self.loop["sample_images"], self.seed)
            self.live.log_image("samples/drawn.png", drawn)
        if snapshots:
            (folder / "snapshots").mkdir(exist_ok=True)
            for file in (self.progress.folder / "snapshots").glob("*.safetensors"):
                shutil.copy(file, folder / "snapshots")
