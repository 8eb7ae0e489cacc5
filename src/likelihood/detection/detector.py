"""A trained detector: models and their scores, calibrated on held-out in-distribution images (calibration.py).

detector = Detector.load("fashion_mnist.detector")   # a file of `likelihood export`; or Detector.load(".", "fashion_mnist")
found = detector(images)                          # uint8 [N, H, W] or [N, H, W, 3]; a table, one row per image
flagged = found["all.code_kde.p"] <= 0.05         # true for one in twenty images like those trained on
"""

import json
import os
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import torch
from safetensors import SafetensorError

from likelihood.common import images, params
from likelihood.common.errors import InputError
from likelihood.common.units import bits_per_dim
from likelihood.data.pictures import Shape, said, shown
from likelihood.detection import archive
from likelihood.evaluation.calibration import LEVELS, REFERENCE, Calibration, samples
from likelihood.maps.places import has_places, log_prob_map
from likelihood.models.shared import checkpoint
from likelihood.models.shared.base import LikelihoodModel
from likelihood.scores import complexity

BATCH = 200  # images per table
FACTS = {"shape", "models", "codecs", "prepared"}


class Detector:
    """Models with calibrated scores; call it on images.

    Arguments:
        models: models by name, in evaluation mode, on the device to use.
        facts: detector.json, written by calibrate.py.
        calibration: the scores of these models, fitted and calibrated by it.
        trained_on: the name of the in-set.
    """

    def __init__(
        self, models: dict[str, LikelihoodModel], facts: dict[str, Any], calibration: Calibration, trained_on: str
    ) -> None:
        self.models, self.facts, self.calibration, self.trained_on = models, facts, calibration, trained_on
        self.shape = Shape(*facts["shape"])

    @classmethod
    def load(
        cls,
        path: str | os.PathLike[str],
        benchmark: str | None = None,
        models: Iterable[str] | None = None,
        device: str = "cpu",
    ) -> "Detector":
        """A detector from its file, or that of a benchmark which has been trained or pulled.

        Arguments:
            path: a file that `likelihood export` wrote; with a benchmark, the folder of the project.
            benchmark: a name of params.yaml.
            models: names of the models to use, or of one variant of a benchmark; all of the detector by default.
            device: where to compute, as PyTorch names it.

        Raises InputError naming what is missing, damaged, of another kind or of a newer version.
        """
        chosen = list(models or [])
        found = cls._of_file(Path(path), chosen) if benchmark is None else cls._of_benchmark(Path(path), benchmark, chosen)
        for network in found.models.values():
            network.to(device)
        return found

    @classmethod
    def _of_file(cls, path: Path, chosen: list[str]) -> "Detector":
        """The detector of a file."""
        facts, members = archive.read(path)
        try:
            for model in chosen:
                if model not in facts["models"]:
                    raise InputError(f"{shown(path)} has no model {model!r}; it has {', '.join(facts['models'])}")
            chosen = chosen or list(facts["models"])
            calibration = Calibration(archive.table(members[REFERENCE]), archive.table(members[LEVELS]), chosen)
            networks = {model: archive.network(members[archive.WEIGHTS.format(model)]) for model in chosen}
            found = cls(networks, facts, calibration, facts["trained_on"])
            found.other_codecs(), calibration.levels[found.names]  # a KeyError where one is unknown
            for model, network in networks.items():
                if list(network.shape) != facts["shape"]:
                    raise ValueError(f"{model} is of images of {network.shape}")
            return found
        except InputError:
            raise
        except (LookupError, TypeError, ValueError, RuntimeError, ImportError, SafetensorError) as error:
            reason = said(error, path)
            raise InputError(f"{shown(path)} was written by other code than this ({reason}): export it again") from None

    @classmethod
    def _of_benchmark(cls, root: Path, benchmark: str, chosen: list[str]) -> "Detector":
        """The detector of a benchmark."""
        folder = root / "data" / "detectors" / (f"{benchmark}.{chosen[0]}" if cls.alone(root, benchmark, chosen) else benchmark)
        try:
            facts = json.loads((folder / "detector.json").read_text(encoding="utf-8"))
            if facts.keys() != FACTS:
                raise InputError(f"{folder} was written by another version of this project: run `dvc repro`, or pull it again")
            if not facts["models"]:
                raise InputError(f"{chosen[0]} is several models of different seeds, which are no detector: name another")
            chosen = chosen or list(facts["models"])
            calibration = Calibration.load(folder, [model for model in chosen if model in facts["models"]])
        except FileNotFoundError as error:
            raise InputError(
                f"{error.filename} is not here: name {benchmark} under `run` in params.yaml, then run `dvc pull`,"
                " or `dvc repro` to train it"
            ) from None
        for model in chosen:
            if model not in facts["models"]:
                raise InputError(f"benchmark {benchmark} has no model {model!r}; it has {', '.join(facts['models'])}")
        weights = {model: root / "data" / "models" / benchmark / model / "best.safetensors" for model in chosen}
        trained_on = params.of_benchmark(params.load(root / params.FILE), benchmark)["in"]
        return cls({model: checkpoint.load(path)[1] for model, path in weights.items()}, facts, calibration, trained_on)

    @staticmethod
    def alone(root: Path, benchmark: str, models: list[str]) -> bool:
        """Whether the models are one variant, which has a detector of its own."""
        return len(models) == 1 and (root / "data" / "detectors" / f"{benchmark}.{models[0]}").is_dir()

    @property
    def names(self) -> list[str]:
        """The scores as `<model>.<score>`; the model is `all` for scores of all models at once, `none` for scores without one."""
        return list(self.calibration.judges)

    def least_rate(self) -> float:
        """The smallest rate of false alarms that the calibration images can resolve."""
        return 1.0 / (1 + len(self.calibration.levels))

    def other_codecs(self) -> list[str]:
        """The codecs whose version here differs from the one that the calibration used."""
        here = complexity.versions()
        return [name for name, version in self.facts["codecs"].items() if here[name] != version]

    def __call__(self, pixels: np.ndarray) -> pd.DataFrame:
        """Likelihoods, scores and p-values of images.

        Arguments:
            pixels: uint8 [N, H, W] or [N, H, W, 3], like the images that the models were trained on.

        Returns one row per image: `<model>.bits_per_dim` (`binary_bits_per_dim` of binarised images), lower is more likely;
        `<model>.<score>`, higher is more outlying; `<model>.<score>.p` in (0, 1], lower is more outlying.

        Raises InputError for images of another type or shape.
        """
        x = self.checked(pixels)
        parts = [self.table(x[start : start + BATCH]) for start in range(0, len(x), BATCH)]
        return pd.concat(parts, ignore_index=True)

    def checked(self, pixels: np.ndarray) -> np.ndarray:
        """The images as (N, C, H, W). Raises InputError where they do not fit."""
        wanted = self.shape.array
        if pixels.dtype != np.uint8 or not len(pixels) or pixels.shape[1:] != wanted:
            raise InputError(f"the images are {pixels.dtype} of shape {pixels.shape}; they must be uint8 of shape (N, *{wanted})")
        return images.to_network(pixels)

    def maps(self, x: np.ndarray) -> dict[str, np.ndarray]:
        """By model, how much each pixel of uint8 images x (N, C, H, W) contributes to log_prob: (N, H, W) in nats."""
        found = {}
        for model, network in self.models.items():
            draws, step = self.facts["models"][model]["draws"], network.core_batch
            parts = [log_prob_map(network, torch.from_numpy(x[k : k + step]), draws) for k in range(0, len(x), step)]
            found[model] = torch.cat(parts).cpu().numpy()
        return found

    def unmapped(self) -> list[str]:
        """The models that do not say where their likelihood arises, and so have no maps."""
        return [model for model, network in self.models.items() if not has_places(network)]

    def table(self, x: np.ndarray) -> pd.DataFrame:
        """Likelihoods, scores and p-values of a batch of uint8 images (N, C, H, W)."""
        statistics = {}
        for model, network in self.models.items():
            draws, step = self.facts["models"][model]["draws"], network.core_batch
            found = [network.statistics(torch.from_numpy(x[k : k + step]), draws) for k in range(0, len(x), step)]
            statistics[model] = pd.DataFrame({key: torch.cat([each[key] for each in found]).cpu().numpy() for key in found[0]})
        columns = {}
        for model, network in self.models.items():
            nats = statistics[model]["log_prob"].to_numpy()
            columns[f"{model}.{network.unit}"] = bits_per_dim(nats, network.dims)
        judged = self.calibration.judged(samples(x, complexity.lengths(x), statistics))
        return pd.concat([pd.DataFrame(columns), judged], axis=1)
