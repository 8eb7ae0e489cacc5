"""The training loop of every model.

    minimise  -E[objective(x, e)] / (D log 2)     in bits/dim, with Muon (muon.py) and, what it leaves, Adam [1]

Learning rates rise linearly from 0 and fall linearly to 0.

An *epoch* is `epoch_images` images, whatever the size of the data set: the unit of validation, snapshots and curves. Step t draws
its images and its noise from (seed, t) for the global batch, and every process takes its share, so a run does not depend on their
number. The best epoch is that of the lowest bits/dim on held-out in-distribution images; out-of-distribution images never come
here. A step draws independently of those before it, so a training goes on from weights and the optimisers' state alone.

References:
    [1] Adam (Kingma & Ba, 2015), https://arxiv.org/abs/1412.6980
"""

import math
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import NamedTuple

import numpy as np
import torch
from lightning_fabric import Fabric
from torch import Tensor, nn
from torch.optim import Optimizer

from likelihood.common.errors import InputError
from likelihood.common.units import bits_per_dim
from likelihood.models.shared.base import LikelihoodModel
from likelihood.training.muon import Muon, matrices

BETAS = (0.9, 0.99)
VALIDATION_BATCH = 100


@dataclass(frozen=True)
class Schedule:
    """How long and how fast to train.

    Arguments:
        lr: peak learning rate of Adam.
        muon_lr: peak learning rate of Muon.
        weight_decay: of Muon's weights.
        batch_size: images per step, over all processes.
        epochs: number of epochs.
        epoch_images: images per epoch.
        warmup: fraction of all steps over which the rates rise from 0.
        clip_norm: largest norm of the gradient of the loss in bits/dim, of Adam's weights and of Muon's.
        seed: of the order of images and of the noise.
    """

    lr: float
    muon_lr: float
    weight_decay: float
    batch_size: int
    epochs: int
    epoch_images: int
    warmup: float
    clip_norm: float
    seed: int

    @property
    def steps_per_epoch(self) -> int:
        """Optimiser steps per epoch."""
        return max(1, self.epoch_images // self.batch_size)

    def share_at(self, step: int) -> float:
        """Share of the peak learning rates that a step has, counted from 0."""
        steps = self.epochs * self.steps_per_epoch
        rising = max(1, round(self.warmup * steps))
        if step < rising:
            return (step + 1) / rising
        return (steps - step) / max(1, steps - rising)


class Epoch(NamedTuple):
    """What one epoch gave: mean train and validation likelihood in bits/dim."""

    number: int  # from 1
    train: float
    validation: float


@lru_cache(maxsize=2)
def permutation(n: int, seed: int, number: int) -> np.ndarray:
    """Order of the images in pass `number` over all n."""
    return np.random.default_rng((seed, number)).permutation(n)


def batch_indices(step: int, batch_size: int, n: int, seed: int) -> np.ndarray:
    """Which images a step uses: the next part of an endless chain of permutations of all n, (batch_size,)."""
    passes, places = np.divmod(np.arange(step * batch_size, (step + 1) * batch_size), n)
    return np.concatenate(
        [permutation(n, seed, number)[places[passes == number]] for number in range(int(passes[0]), int(passes[-1]) + 1)]
    )


def validate(fabric: Fabric, model: LikelihoodModel, images: np.ndarray) -> float:
    """Mean one-draw likelihood of uint8 images (N, C, H, W), in bits/dim; each process evaluates its share."""
    model.eval()
    mine = np.array(images[fabric.global_rank :: fabric.world_size])  # a copy: a memory map cannot be written, as torch wants
    total = torch.zeros((), dtype=torch.float64)
    for start in range(0, len(mine), VALIDATION_BATCH):
        total += model.log_prob(torch.from_numpy(mine[start : start + VALIDATION_BATCH])).sum().cpu()
    model.train()
    total = fabric.all_reduce(total.to(fabric.device), reduce_op="sum")
    return float(bits_per_dim(total.item() / len(images), model.dims))


class Training:
    """A training of `model`, in place.

    Arguments:
        fabric: where and with how many processes to compute.
        model: initialised alike in every process.
        train, validation: uint8 (N, C, H, W), may be memory-mapped.
        schedule: how long and how fast.
        on_step: called after every step with the number of the epoch, of the step in it, and the step's bits/dim.

    Raises InputError when processes cannot share a batch evenly.
    """

    def __init__(
        self,
        fabric: Fabric,
        model: LikelihoodModel,
        train: np.ndarray,
        validation: np.ndarray,
        schedule: Schedule,
        on_step: Callable[[int, int, float], None] = lambda epoch, step, bits: None,
    ) -> None:
        if schedule.batch_size % fabric.world_size:
            raise InputError(f"batch_size: {schedule.batch_size} images cannot be shared evenly by {fabric.world_size} processes")
        self.fabric, self.schedule = fabric, schedule
        self.train, self.validation, self.on_step = train, validation, on_step
        self.model = model.to(fabric.device)
        chosen = matrices(self.model)
        others = [parameter for parameter in model.parameters() if all(parameter is not other for other in chosen)]
        self.optimizers: dict[str, Optimizer] = {"adam": torch.optim.Adam(others, lr=schedule.lr, betas=BETAS, fused=True)}
        if chosen:
            self.optimizers["muon"] = Muon(chosen, schedule.muon_lr, schedule.weight_decay)
        self.done = 0  # epochs

    def state(self) -> dict[str, Tensor]:
        """What `restore` needs to go on after the last epoch: the weights, and the optimisers' moments."""
        tensors = {f"model.{key}": value for key, value in self.model.state_dict().items()}
        for name, optimizer in self.optimizers.items():
            for number, moments in optimizer.state_dict()["state"].items():
                tensors |= {f"{name}.{number}.{key}": value for key, value in moments.items()}
        return tensors

    def restore(self, tensors: dict[str, Tensor], done: int) -> None:
        """Go on after `done` epochs from the state of that time; after none there is nothing to restore."""
        if not done:
            return
        self.model.load_state_dict({key[len("model.") :]: value for key, value in tensors.items() if key.startswith("model.")})
        for name, optimizer in self.optimizers.items():
            moments: dict[int, dict[str, Tensor]] = {}
            for key, value in tensors.items():
                owner, *place = key.split(".")
                if owner == name:
                    moments.setdefault(int(place[0]), {})[place[1]] = value
            optimizer.load_state_dict({**optimizer.state_dict(), "state": moments})
        self.done = done

    def epochs(self) -> Iterator[Epoch]:
        """Train; yield after every epoch. Raises InputError when the loss is not finite or far worse than the uniform model's."""
        if not self.done:
            self.initialize()
        model, *optimizers = self.fabric.setup(self.model, *self.optimizers.values())
        while self.done < self.schedule.epochs:
            mean = self.epoch(model, optimizers, self.done + 1)
            self.done += 1
            train = float(bits_per_dim(mean, self.model.dims))
            yield Epoch(self.done, train, validate(self.fabric, self.model, self.validation))

    def initialize(self) -> None:
        """Data-dependent initialisation, from a few batches' worth of images, the same in every process."""
        n, seed = len(self.train), self.schedule.seed
        rows = np.sort(batch_indices(0, min(8 * self.schedule.batch_size, n), n, seed))
        noise = self.model.noise(len(rows), np.random.default_rng((seed, 0)))
        self.model.initialize(self.fabric.to_device(torch.from_numpy(self.train[rows])), self.fabric.to_device(noise))

    def epoch(self, model: nn.Module, optimizers: Sequence[Optimizer], number: int) -> float:
        """Take the steps of epoch `number`; return the mean log_prob in nats."""
        fabric, schedule, dims = self.fabric, self.schedule, self.model.dims
        share = slice(fabric.global_rank, None, fabric.world_size)
        nats = dims * math.log(2.0)  # of one bit/dim
        total, count = 0.0, schedule.steps_per_epoch
        for step in range((number - 1) * count, number * count):
            rows = batch_indices(step, schedule.batch_size, len(self.train), schedule.seed)
            noise = self.model.noise(schedule.batch_size, np.random.default_rng((schedule.seed, 1, step)))
            x = fabric.to_device(torch.from_numpy(self.train[rows[share]]))
            log_prob = self.model.objective(model(x, fabric.to_device(noise[share]))).mean()
            fabric.backward(-log_prob / nats)
            for optimizer, peak in zip(optimizers, (schedule.lr, schedule.muon_lr), strict=False):
                fabric.clip_gradients(model, optimizer, max_norm=schedule.clip_norm, error_if_nonfinite=False)
                for group in optimizer.param_groups:
                    group["lr"] = peak * schedule.share_at(step)
                optimizer.step()
                optimizer.zero_grad()
            value = finite(log_prob, fabric, number, step)
            total += value
            self.on_step(number, step % count + 1, -value / nats)
        bits, uniform = -total / count / nats, math.log2(self.model.levels)
        if bits > 2.0 * uniform and number > 1:
            raise InputError(
                f"training diverged: {bits:.1f} bits/dim in epoch {number}, where a uniform model has {uniform:.0f};"
                f" lower lr (now {schedule.lr})"
            )
        return total / count


def finite(log_prob: Tensor, fabric: Fabric, epoch: int, step: int) -> float:
    """Mean log_prob of a step over all processes; raises InputError when it is NaN or infinite."""
    value = fabric.all_reduce(log_prob.detach(), reduce_op="mean").item()
    if not math.isfinite(value):
        raise InputError(f"training stopped: the loss became {value} in epoch {epoch}, step {step}; lower lr or clip_norm")
    return value
