"""Quality per minute: bits/dim on Fashion-MNIST's test images against minutes of training, every family under the same clock.

The settings are those of profiles/quality.args. normflows' Glow has ours' shape, batch, optimiser and schedule, and as many
images as it can see in the minutes that ours took. The clock runs while the pipeline's loop trains and validates, and stands
still while the test images are scored, by the bound of one draw (the pipeline's scores take more and are a little better).
Needs the processed images: `dvc repro preprocess`. Run it as `make quality`; nothing else should run beside it.
"""

import dataclasses
import time

import numpy as np
import torch
from lightning_fabric import Fabric
from matplotlib.figure import Figure

import train
from bench.machine import ROOT, store
from bench.peers import NormflowsGlow
from bench.profiles import profile
from likelihood.common import images
from likelihood.models.shared.base import LikelihoodModel
from likelihood.settings import resolve
from likelihood.training.loop import Schedule, Training, validate
from likelihood.training.record import build

BENCHMARK = "fashion_mnist"
CURVES = {"vae": "VAE", "pixelcnn": "Gated PixelCNN", "glow": "Glow", "normflows": "Glow of normflows 1.7.3"}
COLORS = {"vae": "#D55E00", "pixelcnn": "#009E73", "glow": "#0072B2", "normflows": "#56B4E9"}
TEST_IMAGES = 1000
TIMED_STEPS = 60


def curve(model: LikelihoodModel, data: dict[str, np.ndarray], schedule: Schedule) -> list[dict[str, float]]:
    """Train; images seen, minutes and bits/dim of the test images after each epoch."""
    fabric = Fabric(accelerator="cpu", devices=1)
    points, minutes, start = [], 0.0, time.perf_counter()
    for epoch in Training(fabric, model, data["train"], data["val"], schedule).epochs():
        minutes += (time.perf_counter() - start) / 60.0
        bits = validate(fabric, model, data["test"])
        point = {
            "images": epoch.number * schedule.steps_per_epoch * schedule.batch_size,
            "minutes": minutes,
            "bits_per_dim": bits,
        }
        points.append({key: round(value, 4) for key, value in point.items()})
        print(points[-1], flush=True)
        start = time.perf_counter()
    return points


def epoch_images_in(model: LikelihoodModel, data: dict[str, np.ndarray], schedule: Schedule, minutes: float) -> int:
    """How many images an epoch may have for the whole schedule to take that long, from the speed of a few steps."""
    few = dataclasses.replace(schedule, epochs=1, epoch_images=TIMED_STEPS * schedule.batch_size)
    start = time.perf_counter()
    list(Training(Fabric(accelerator="cpu", devices=1), model, data["train"], data["val"][:1], few).epochs())
    a_step = (time.perf_counter() - start) / TIMED_STEPS
    return int(minutes * 60.0 / a_step / schedule.epochs) * schedule.batch_size


def figure(curves: dict[str, list[dict[str, float]]]) -> Figure:
    """Bits/dim of the test images against minutes of training."""
    found = Figure(figsize=(6.4, 3.2), layout="constrained")
    ax = found.subplots()
    for name, points in curves.items():
        minutes, bits = [[point[key] for point in points] for key in ("minutes", "bits_per_dim")]
        ax.plot(minutes, bits, marker=".", markersize=4, linewidth=1.2, color=COLORS[name], label=CURVES[name])
    ends = [points[-1]["bits_per_dim"] for points in curves.values()]
    ax.set_ylim(min(ends) - 0.1, max(ends) + 0.8)
    ax.set(xlabel="minutes of training", ylabel="bits/dim of test images", xlim=(0, None))
    ax.legend(frameon=False)
    return found


def main() -> None:
    values = profile("quality")
    source = ROOT / "data" / "processed" / BENCHMARK / "in"
    data = {split: images.load(source / f"{split}.npy") for split in ("train", "val", "test")}
    data["test"] = data["test"][np.sort(np.random.RandomState(0).permutation(len(data["test"]))[:TEST_IMAGES])]
    curves = {}
    for name in CURVES:
        settings = resolve.training(values, BENCHMARK, "glow" if name == "normflows" else name)
        loop, architecture = settings["loop"], settings["architecture"]
        data["val"] = images.load(source / "val.npy")[: loop["validation_images"]]
        schedule = Schedule(**{key: loop[key] for key in train.SCHEDULE}, seed=values["seed"])
        print(CURVES[name], flush=True)
        if name == "normflows":
            minutes = curves["glow"][-1]["minutes"]
            torch.manual_seed(values["seed"])
            peer = NormflowsGlow(architecture["steps"], architecture["hidden"])
            schedule = dataclasses.replace(schedule, epoch_images=epoch_images_in(peer, data, schedule, minutes))
            torch.manual_seed(values["seed"])
            model: LikelihoodModel = NormflowsGlow(architecture["steps"], architecture["hidden"])
        else:
            model, _ = build(name, architecture, data["train"].shape[1:], values["seed"])
        curves[name] = curve(model, data, schedule)
    store("quality", {"test_images": TEST_IMAGES, "curves": curves})
    figure(curves).savefig(ROOT / "bench" / "quality.png", dpi=150)


if __name__ == "__main__":
    main()
