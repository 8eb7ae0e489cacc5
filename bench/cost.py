"""What a profile's trainings need in memory and time, by calculation, for planning on a machine that is not here.

    FLOP    = images · FLOP of a step / batch        counted by PyTorch, forward and backward, products and convolutions only
    memory  = 4 bytes · (2 P + M) + batch · saved    P weights and their gradients, M moments: two a weight of Adam, one of Muon;
                                                     and what autograd keeps
    hours   = FLOP / (RATE · 3600)

What autograd keeps is measured on a small batch and is proportional to the batch. A step is also timed here, so that the
calculation can be held against a measurement: `here_days` is the whole training on this machine. The products of Muon's own step
are in that time alone. Scoring is not counted: it is a few passes.
"""

import argparse
from typing import Any

import numpy as np
import torch
from torch.utils.flop_counter import FlopCounterMode

from bench.machine import store
from bench.profiles import profile
from likelihood.common import params
from likelihood.data import base as data
from likelihood.detection.fit import step_seconds
from likelihood.models.shared.base import LikelihoodModel
from likelihood.settings import resolve
from likelihood.training.muon import matrices
from likelihood.training.record import build

RATE = 10e12  # FLOP/s sustained in float32: about half the peak of a data-centre GPU of 2020
SMALL, ROUNDS = 4, 7
BYTES = 4  # of a number


def shape_of(name: str) -> tuple[int, ...]:
    """(C, H, W) of a published set's images."""
    height, width, *channels = data.get(name).shape
    return (channels[0] if channels else 1, height, width)


def kept(model: LikelihoodModel, x: torch.Tensor, noise: torch.Tensor) -> int:
    """Bytes that autograd keeps for the backward pass, parameters left out; storages that are shared count once."""
    own = {parameter.untyped_storage().data_ptr() for parameter in model.parameters()}
    storages: dict[int, int] = {}

    def pack(tensor: torch.Tensor) -> torch.Tensor:
        storage = tensor.untyped_storage()
        if storage.data_ptr() not in own:
            storages[storage.data_ptr()] = storage.nbytes()
        return tensor

    with torch.autograd.graph.saved_tensors_hooks(pack, lambda tensor: tensor):
        loss = -model.objective(model(x, noise)).mean()  # alive while the storages are counted
    total = sum(storages.values())
    loss.backward()
    return total


def cost(name: str, settings: dict[str, Any], shape: tuple[int, ...]) -> dict[str, Any]:
    """What one training needs, from its settings as data/settings has them (settings/resolve.py)."""
    loop = settings["loop"]
    batch, images = loop["batch_size"], loop["epochs"] * loop["epoch_images"]
    model, _ = build(name, settings["architecture"], shape, seed=0)
    x = torch.randint(0, 256, (batch, *shape), dtype=torch.uint8, generator=torch.Generator().manual_seed(0))
    noise = model.noise(SMALL, np.random.default_rng(0))
    model.initialize(x[:SMALL], noise)
    saved = kept(model, x[:SMALL], noise) / SMALL
    with FlopCounterMode(display=False) as counter:
        (-model.objective(model(x[:SMALL], noise)).mean()).backward()
    flop = counter.get_total_flops() / SMALL
    parameters = sum(parameter.numel() for parameter in model.parameters())
    moments = 2 * parameters - sum(parameter.numel() for parameter in matrices(model))
    total = flop * images
    seconds = step_seconds(model, x.numpy(), loop, ROUNDS)
    return {
        "parameters": parameters,
        "images": images,
        "batch": batch,
        "gflop_per_image": flop / 1e9,
        "petaflop": total / 1e15,
        "gigabytes": (BYTES * (2 * parameters + moments) + batch * saved) / 1e9,
        "hours": total / RATE / 3600,
        "here_gflops": flop * batch / seconds / 1e9,
        "here_days": seconds * images / batch / 86400,
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--profile", default="paper", help="a file of profiles/, without .args")
    name = parser.parse_args().profile
    values = profile(name)
    rows = []
    for benchmark in values["run"]:
        shape = shape_of(values["benchmarks"][benchmark]["in"])
        for model in params.MODELS:
            found = cost(model, resolve.training(values, benchmark, model), shape)
            rows.append({"benchmark": benchmark, "model": model, **found})
            print(rows[-1], flush=True)
    store("cost", {"profile": name, "rate": RATE, "rows": rows})


if __name__ == "__main__":
    main()
