"""Whether a training can go wrong by bad luck: every family from SEEDS, on a few images, with the default settings.

A training that diverges or whose loss is not finite ends in an error (training/loop.py), and so does this. The schedule is as
short as the images are few, so rates rise as steeply as they ever do. Needs the processed images: `dvc repro preprocess`.
"""

import dataclasses

import numpy as np
from lightning_fabric import Fabric

import train
from bench.machine import ROOT, store
from likelihood.common import images, params
from likelihood.settings import resolve
from likelihood.training.loop import Schedule, Training
from likelihood.training.record import build

BENCHMARK = "fashion_mnist"
SEEDS = (0, 1, 2, 3, 4, 5, 7314, 9376)
IMAGES = 2000
EPOCHS = {"vae": 10, "pixelcnn": 1, "glow": 1}  # a VAE's are short


def main() -> None:
    source = ROOT / "data" / "processed" / BENCHMARK / "in"
    data = {split: np.array(images.load(source / f"{split}.npy")[:IMAGES]) for split in ("train", "val")}
    found: dict[str, dict[str, float]] = {}
    for name, epochs in EPOCHS.items():
        settings = resolve.training(params.load(ROOT / "params.yaml"), BENCHMARK, name)
        schedule = Schedule(**{key: settings["loop"][key] for key in train.SCHEDULE}, seed=0)
        found[name] = {}
        for seed in SEEDS:
            few = dataclasses.replace(schedule, epochs=epochs, epoch_images=IMAGES, seed=seed)
            model, _ = build(name, settings["architecture"], data["train"].shape[1:], seed)
            validation = data["val"][: settings["loop"]["validation_images"]]
            *_, last = Training(Fabric(accelerator="cpu", devices=1), model, data["train"], validation, few).epochs()
            found[name][str(seed)] = round(last.validation, 4)
            print(name, seed, found[name][str(seed)], flush=True)
    store("seeds", {"images": IMAGES, "bits_per_dim": found})


if __name__ == "__main__":
    main()
