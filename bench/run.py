"""Time our models against the peers, interleaved in one run; print and store ratios with their spread.

    ratio of a round = our rate / the peer's rate, measured one right after the other

A shared machine drifts, so a bare time means little; the two sides of a ratio see the same minutes. Each side is a process of its
own (bench/sides.py) and does the same work: same batch, same optimiser, same number of parameters within a few per cent (both are
stored). Every processor has a file of its own in bench/results/.
"""

import argparse
import functools
import statistics
from collections.abc import Callable
from typing import Any

import numpy as np
import torch
from lightning_fabric import Fabric
from torch import Tensor, nn

from bench.comparison import Comparison, Work
from bench.machine import slug, store
from bench.peers import NormflowsGlow
from bench.plain import PlainPixelCNN, PlainVAE, loaded_batches
from bench.product import product
from bench.sides import Group, Side
from likelihood.maps.places import maps_of
from likelihood.models.glow.model import Glow
from likelihood.models.pixelcnn.model import PixelCNN
from likelihood.models.shared.base import LikelihoodModel
from likelihood.models.vae.model import VAE
from likelihood.statistics import measure
from likelihood.training.loop import Schedule, Training

SHAPE = (1, 28, 28)


def pictures(n: int, shape: tuple[int, int, int] = SHAPE) -> Tensor:
    """Random uint8 images: no speed here depends on what they show."""
    return torch.from_numpy(np.random.RandomState(0).randint(0, 256, (n, *shape), dtype=np.uint8))


def count(model: nn.Module) -> int:
    """Number of trained parameters."""
    return sum(p.numel() for p in model.parameters() if p.requires_grad)


def our_log_prob(model: LikelihoodModel, seed: int = 0) -> Callable[[Tensor], Tensor]:
    """One-draw log-likelihood as the training loop computes it, its noise included."""
    rng = np.random.default_rng(seed)
    return lambda x: model.objective(model(x, model.noise(len(x), rng)))


def training(
    model: nn.Module, log_prob: Callable[[Tensor], Tensor], batch: int, steps: int, shape: tuple[int, int, int] = SHAPE
) -> Work:
    """Optimiser steps on one batch."""
    optimizer = torch.optim.Adam([p for p in model.parameters() if p.requires_grad], lr=1e-5, fused=True)
    x = pictures(batch, shape)

    def work() -> float:
        for _ in range(steps):
            optimizer.zero_grad()
            (-log_prob(x).mean()).backward()
            optimizer.step()
        return batch * steps

    return work


def scoring(model: LikelihoodModel, images: int) -> Work:
    """Log-likelihoods as the stage `score_in` computes them, from the start of its processes to the table."""
    x = pictures(images).numpy()

    def work() -> float:
        measure.statistics(model, x, 1, "scoring")
        return images

    return work


def peer_scoring(log_prob: Callable[[Tensor], Tensor], images: int, batch: int = 100) -> Work:
    """Log-likelihoods batch after batch, without gradients; all cores share a batch, as torch does by itself."""
    batches = pictures(images).split(batch)

    def work() -> float:
        with torch.inference_mode():
            for x in batches:
                log_prob(x)
        return images

    return work


def glow() -> list[Comparison]:
    """Glow against normflows: 2 levels of 8 steps, 64 hidden channels."""
    ours = Glow(SHAPE, scales=2, steps=8, hidden=64, coupling="affine", preprocessing="logit", dequantization=0)
    ours.initialize(pictures(64), ours.noise(64, np.random.default_rng(0)))
    theirs = NormflowsGlow(steps=8, hidden=64)
    theirs.initialize(pictures(64), theirs.noise(64, np.random.default_rng(0)))
    parameters = (count(ours), count(theirs))
    peer = our_log_prob(theirs)
    train = [training(m, f, 64, 4) for m, f in ((ours, our_log_prob(ours)), (theirs, peer))]
    evaluation = [scoring(ours, 6000), peer_scoring(peer, 1500)]
    return [
        Comparison("Glow 2×8×64, training", "normflows 1.7.3", *train, parameters),
        Comparison("Glow 2×8×64, scoring", "normflows 1.7.3", *evaluation, parameters),
    ]


def pixelcnn() -> list[Comparison]:
    """Gated PixelCNN with a softmax against the plain implementation: in the default size, and larger without dilation."""
    found = []
    for layers, channels, dilation in ((6, 32, 4), (7, 64, 1)):
        ours = PixelCNN(SHAPE, layers, channels, dilation, "softmax")
        theirs = PlainPixelCNN(layers, channels, dilation, SHAPE[1:])
        name, parameters = f"Gated PixelCNN {layers}×{channels}", (count(ours), count(theirs))
        train = [training(m, f, 16, 3) for m, f in ((ours, our_log_prob(ours)), (theirs, theirs))]
        count_scored = 2000 if channels == 32 else 600
        evaluation = [scoring(ours, count_scored), peer_scoring(theirs, 200)]
        note = "the peer's full kernels also hold weights that its masks keep at zero"
        found += [
            Comparison(f"{name}, training", "plain implementation", *train, parameters, note),
            Comparison(f"{name}, scoring", "plain implementation", *evaluation, parameters, note),
        ]
    return found


def sampling() -> list[Comparison]:
    """64 samples by the cached sampler against one full forward pass for each value, and against a single forward pass."""
    found = []
    for shape, values in ((SHAPE, 4), ((3, 32, 32), 1)):
        model = PixelCNN(shape, layers=7, channels=64 if shape[0] == 1 else 63, dilation=1, pixels="softmax")
        x, empty = pictures(64, shape), torch.zeros(64, 0)
        total = model.dims

        def cached(model: PixelCNN = model) -> float:
            model.sample(64, torch.Generator().manual_seed(0))
            return 64.0

        def forward(model: PixelCNN = model, x: Tensor = x, empty: Tensor = empty) -> float:
            with torch.inference_mode():
                model(x, empty)
            return 64.0

        def naive(forward: Work = forward, values: int = values, total: int = total) -> float:
            for _ in range(values):
                forward()
            return 64.0 * values / total  # that part of 64 samples

        name = f"Gated PixelCNN 7×{64 if shape[0] == 1 else 63}, 64 samples of {'×'.join(map(str, shape))}"
        note = f"naive sampling timed on {values} of {total} values and scaled"
        found += [
            Comparison(name, "one full forward pass a value", cached, naive, None, note),
            Comparison(name, "a single full forward pass", cached, forward, None, "1 / ratio: cost in forward passes"),
        ]
    return found


def vae(images: int) -> list[Comparison]:
    """An epoch of the VAE by the pipeline's loop against the usual one, which reads pictures through a DataLoader."""
    data = pictures(images).numpy()
    ours, theirs = VAE(SHAPE, network="dense", hidden=400, latent=20, likelihood="logistic"), PlainVAE(400, 20)
    schedule = Schedule(
        lr=1e-5, muon_lr=1e-5, weight_decay=0.0, batch_size=128, epochs=1, epoch_images=images, warmup=0.05, clip_norm=1.0, seed=0
    )
    fabric = Fabric(accelerator="cpu", devices=1)
    optimizer = torch.optim.Adam(theirs.parameters(), lr=1e-5)

    def loop() -> float:
        list(Training(fabric, ours, data, data[:1], schedule).epochs())
        return images

    def usual() -> float:
        total = 0.0
        for x in loaded_batches(data, 128):
            optimizer.zero_grad()
            loss = -theirs(x).mean()
            loss.backward()
            optimizer.step()
            total += loss.item()
        return images

    note = "the same function; gradients clipped in ours, not in the peer"
    return [Comparison("VAE 784-400-20, an epoch", "DataLoader loop", loop, usual, (count(ours), count(theirs)), note)]


def mapping(images: int) -> list[Comparison]:
    """Maps of where the bits of images are, against scoring the same images with one draw."""
    models = {
        "VAE 784-400-20": VAE(SHAPE, network="dense", hidden=400, latent=20, likelihood="logistic"),
        "Gated PixelCNN 6×32": PixelCNN(SHAPE, 6, 32, 4, "mixture"),
        "Glow 2×16×64": Glow(SHAPE, scales=2, steps=16, hidden=64, coupling="affine", preprocessing="logit", dequantization=4),
    }
    models["Glow 2×16×64"].initialize(pictures(64), models["Glow 2×16×64"].noise(64, np.random.default_rng(0)))
    x = pictures(images).numpy()

    def maps(model: LikelihoodModel) -> Work:
        def work() -> float:
            maps_of(model, x, 1, "maps")
            return images

        return work

    return [
        Comparison(f"{name}, maps", "its own scoring with one draw", maps(model), scoring(model, images), (count(model),) * 2)
        for name, model in models.items()
    ]


GROUPS = (
    glow,
    pixelcnn,
    sampling,
    functools.partial(vae, 12_800),
    functools.partial(product, 128, 400, 1568),
    functools.partial(mapping, 1000),
)


def measured(group: Group, rounds: int) -> list[dict[str, Any]]:
    """A row for each comparison of a group."""
    rows = []
    with Side(group, ours=True) as ours, Side(group, ours=False) as theirs:
        for number, comparison in enumerate(group()):
            ours.rate(number), theirs.rate(number)  # warm up
            pairs = [(ours.rate(number), theirs.rate(number)) for _ in range(rounds)]
            ratios = [a / b for a, b in pairs]
            row = {
                "comparison": comparison.name,
                "peer": comparison.peer,
                "ratio": round(statistics.median(ratios), 3),
                "ratio_min": round(min(ratios), 3),
                "ratio_max": round(max(ratios), 3),
                "images_per_second": [round(statistics.median(side), 3) for side in zip(*pairs, strict=True)],
                "parameters": comparison.parameters,
                "note": comparison.note,
            }
            rows.append(row)
            print(f"{row['comparison']} / {row['peer']}: {row['ratio']} [{row['ratio_min']}, {row['ratio_max']}]", flush=True)
    return rows


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rounds", type=int, default=15)
    rounds = parser.parse_args().rounds
    rows = [row for group in GROUPS for row in measured(group, rounds)]
    store(f"results/{slug()}", {"rounds": rounds, "rows": rows})


if __name__ == "__main__":
    main()
