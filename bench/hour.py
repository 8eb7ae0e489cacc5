"""How far a Glow comes within an hour: bits/dim of all test images of Fashion-MNIST, by the pipeline's loop.

The settings are those of profiles/hour.args. The clock runs while the loop trains and validates; the test images are scored after
the last epoch, by the bound of one draw and by that of as many draws as the pipeline scores with. Needs the processed images:
`dvc repro preprocess`. Run it as `make hour`; nothing else should run beside it.
"""

import time

from lightning_fabric import Fabric

import train
from bench.machine import ROOT, store
from bench.profiles import profile
from likelihood.common import images, memory
from likelihood.common.units import bits_per_dim
from likelihood.settings import resolve
from likelihood.statistics.measure import statistics
from likelihood.training.loop import Schedule, Training
from likelihood.training.record import build

BENCHMARK, FAMILY = "fashion_mnist", "glow"


def main() -> None:
    values = profile("hour")
    settings = resolve.training(values, BENCHMARK, FAMILY)
    loop, seed = settings["loop"], values["seed"]
    source = ROOT / "data" / "processed" / BENCHMARK / "in"
    data, validation, test = (images.load(source / f"{split}.npy") for split in ("train", "val", "test"))
    schedule = Schedule(**{key: loop[key] for key in train.SCHEDULE}, seed=seed)
    memory.keep()
    model, _ = build(FAMILY, settings["architecture"], data.shape[1:], seed)
    training = Training(Fabric(accelerator="cpu", devices=1), model, data, validation[: loop["validation_images"]], schedule)
    points, start = [], time.perf_counter()
    for epoch in training.epochs():
        minutes = (time.perf_counter() - start) / 60.0
        points.append({"minutes": round(minutes, 2), "train": round(epoch.train, 4), "validation": round(epoch.validation, 4)})
        print(f"epoch {epoch.number}", points[-1], flush=True)
    test_bits = {
        str(draws): round(
            float(bits_per_dim(statistics(model, test, draws, f"test, draws: {draws}")["log_prob"].mean(), model.dims)), 4
        )
        for draws in (1, values[FAMILY]["draws"])
    }
    print(test_bits, flush=True)
    result = {
        "parameters": sum(parameter.numel() for parameter in model.parameters()),
        "images": len(points) * schedule.steps_per_epoch * schedule.batch_size,
        "test_images": len(test),
        "bits_per_dim": test_bits,
        "curve": points,
    }
    store("hour", result)


if __name__ == "__main__":
    main()
