"""A trained detector: models and their scores, calibrated on held-out in-distribution images (calibration.py).

detector = Detector.load("fashion_mnist.detector")   # a file of `likelihood export`; or Detector.load(".", "fashion_mnist")
detector.predict(x, rate=0.05)                       # -1 for one in twenty images like those trained on, 1 for the others

detector = Detector.fit(images)                      # or of images at hand, after minutes or hours of training (fit.py)
detector.save("own.detector")

The calls are those of scikit-learn's outlier detectors [1]. Our deviations: `fit` is a method of the class and makes a detector,
as one that is not fitted has no shape; the rate is an argument of the calls that need one, as it can be changed at any time.

References:
    [1] https://scikit-learn.org/stable/modules/outlier_detection.html
"""

import contextlib
import copy
import hashlib
import json
import numbers
import os
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import torch
import yaml
from safetensors import SafetensorError

from likelihood.common import counts, images, params
from likelihood.common.errors import InputError
from likelihood.common.params import MODELS
from likelihood.common.units import bits_per_dim
from likelihood.data import pictures
from likelihood.data.pictures import Shape, said, shown
from likelihood.detection import archive
from likelihood.detection.verdicts import declared
from likelihood.evaluation.calibration import LEVELS, REFERENCE, Calibration, samples
from likelihood.evaluation.results import ALL_MODELS
from likelihood.maps.places import has_places, log_prob_map
from likelihood.models.shared import checkpoint
from likelihood.models.shared.base import LikelihoodModel
from likelihood.scores import complexity

BATCH = 200  # images per table
TINY = 1e-9  # rates below it take more images than there are: how many is not computed
_Loader = getattr(yaml, "CSafeLoader", yaml.SafeLoader)  # the C library reads a dvc.lock ten times as fast
Images = np.ndarray | torch.Tensor | str | os.PathLike[str] | Iterable[Any]


class Detector:
    """Models with calibrated scores.

    Images x are one of

        an array or tensor, uint8 (N, C, H, W) of grey levels 0..255, or (N, H, W) of grey images
        an iterable of such batches, or of tuples that begin with one: a DataLoader, a generator
        the path of a picture, or an iterable of paths; each is cut, resampled and coloured into the shape of the models

    of which only the batch at hand is in memory, so an iterator may be endless but for the numbers that are returned. Whatever
    takes x raises InputError for images of another type or shape, for none at all, and naming a file that is no single picture.

    Arguments:
        models: models by name, in evaluation mode, on the device to use.
        facts: detector.json (evaluation/calibration.py).
        calibration: the scores of these models, fitted and calibrated by it.
        trained_on: the name of the in-set.
    """

    def __init__(
        self, models: dict[str, LikelihoodModel], facts: dict[str, Any], calibration: Calibration, trained_on: str
    ) -> None:
        archive.check(facts)
        self.models, self.facts, self.calibration, self.trained_on = models, facts, calibration, trained_on
        self.shape = Shape(*facts["shape"])
        self.named: str | None = None
        self.members: dict[str, bytes] = {}  # of its file (archive.py): what a copy is made of

    @classmethod
    def fit(
        cls,
        images: np.ndarray | torch.Tensor,
        *,
        models: Iterable[str] = MODELS,
        epochs: int | None = None,
        seed: int = 0,
        held_out: float | None = None,
        trained_on: str = "own images",
        folder: str | os.PathLike[str] | None = None,
        progress: bool = True,
    ) -> "Detector":
        """A detector of images at hand, trained here: for small jobs, without files and pipeline (fit.py).

        Arguments:
            images: uint8 (N, C, H, W), C = 1 or 3, of grey levels 0..255, or (N, H, W) of grey images; all are in memory.
            models: names of the models to train, some of vae, pixelcnn and glow.
            epochs: how long to train each of them, in epochs of 5,000 images (`model.epoch_images` of params.yaml), however many
                images there are; by default each has its own number, that of params.yaml for grey or colour images.
            seed: of everything that is drawn; the same call with the same versions gives the same detector.
            held_out: share of the images that are not trained on; 0.1 by default (`preprocess.validation_fraction`). Half of them
                calibrate, but at most 1,000 (half of `score.images`): with n that do, no rate below 1 / (n + 1) can be resolved.
            trained_on: what the images are, for reports and for the card of the file.
            folder: where the state after every epoch is kept, so that the same call goes on after the last complete epoch of one
                that was interrupted; made if it is not there. By default nothing is kept.
            progress: whether bars on the standard error show how far it is.

        It trains on the first GPU if there is one; the detector is on the CPU. Raises InputError for images of another type or
        shape, for too few of them, for an argument that is not allowed, and where a package that training needs is missing.
        """
        x = _pixels(images)
        if x.dtype != np.uint8 or x.ndim != 4 or x.shape[1] not in (1, 3) or not x.size:
            raise InputError(
                f"the images are {x.dtype} of shape {np.shape(images)}; they must be uint8, 0 to 255, of shape (N, 1, H, W),"
                " (N, 3, H, W) or (N, H, W)"
            )
        try:
            from likelihood.detection.fit import fitted  # Fabric and DVCLive, which a detector does not need
        except ModuleNotFoundError as error:
            raise InputError(
                f"Detector.fit needs {error.name}, which is not installed: install likelihood with its extra `pipeline`"
            ) from None
        if not isinstance(folder, str | os.PathLike | None):
            raise InputError(f"folder is {folder!r}: name one, or None")
        place = None if folder is None else Path(folder)
        names = _named(models)
        return cls._of_members(fitted(x, names, epochs, seed, held_out, trained_on, place, progress))

    @classmethod
    def load(
        cls,
        path: str | os.PathLike[str],
        benchmark: str | None = None,
        models: Iterable[str] | None = None,
        score: str | None = None,
        device: str = "cpu",
    ) -> "Detector":
        """A detector from its file, or that of a benchmark which has been trained or pulled.

        Arguments:
            path: a file of `likelihood export` or `save`; with a benchmark, the folder of the project.
            benchmark: a name of params.yaml.
            models: names of the models to use, or the name of one model or of one variant of a benchmark; all by default.
            score: the one that flags, `<model>.<score>`; by default `code_kde`, of all models together if there are several.
            device: where to compute, as PyTorch names it.

        Raises InputError naming what is missing, damaged, of another kind or of a newer version.
        """
        chosen = [] if models is None else list(_named(models))
        found = cls._of_file(Path(path), chosen) if benchmark is None else cls._of_benchmark(Path(path), benchmark, chosen)
        try:
            torch.empty(0, device=device)
        except torch.OutOfMemoryError:
            raise
        except (AssertionError, RuntimeError):  # of PyTorch, where it knows no such device, or is built without
            raise InputError(f"device is {device!r}: name one that PyTorch has here, as cpu") from None
        if torch.device(device).type == "cuda":
            torch.backends.cudnn.allow_tf32 = False  # p compares numbers that a CPU may have computed
        for network in found.models.values():
            network.to(device)
        if score is not None:
            found._known(score)
        found.named = score
        return found

    def _known(self, score: str) -> None:
        """InputError where there is no such score."""
        if score not in self.names:
            raise InputError(f"there is no score {score!r}; there are {', '.join(self.names)}")

    @classmethod
    def _of_file(cls, path: Path, chosen: list[str]) -> "Detector":
        """The detector of a file."""
        facts, members = archive.read(path)
        try:
            for model in chosen:
                if model not in facts["models"]:
                    raise InputError(f"{shown(path)} has no model {model!r}; it has {', '.join(facts['models'])}")
            return cls._of_members(members, chosen)
        except InputError:
            raise
        except (AttributeError, ImportError, LookupError, OSError, RuntimeError, SafetensorError, TypeError, ValueError) as error:
            reason = said(error, path)
            raise InputError(f"{shown(path)} was written by other code than this ({reason}): export it again") from None

    @classmethod
    def _of_members(cls, members: dict[str, bytes], chosen: Iterable[str] = (), named: str | None = None) -> "Detector":
        """The detector of all or some models of a file's members; where these do not fit, it raises what its libraries do."""
        facts = json.loads(members[archive.FACTS])
        chosen = list(chosen) or list(facts["models"])
        calibration = Calibration(archive.table(members[REFERENCE]), archive.table(members[LEVELS]), chosen)
        networks = {model: archive.network(members[archive.WEIGHTS.format(model)]) for model in chosen}
        found = cls(networks, facts, calibration, facts["trained_on"])
        found.members, found.named = members, named
        found.other_codecs(), calibration.levels[found.names]  # a KeyError where one is unknown
        for model, network in networks.items():
            if list(network.shape) != facts["shape"]:
                raise ValueError(f"{model} is of images of {network.shape}")
        return found

    @classmethod
    def _of_benchmark(cls, root: Path, benchmark: str, chosen: list[str]) -> "Detector":
        """The detector of a benchmark."""
        trained_on = declared(root, benchmark)["in"]
        variants = params.load(root / params.FILE).get("variants") or {}
        variant = chosen[0] if len(chosen) == 1 and chosen[0] in variants else None
        folder = root / "data" / "detectors" / (f"{benchmark}.{variant}" if variant else benchmark)
        with _reading(root, folder, benchmark, variant):
            facts = json.loads((folder / archive.FACTS).read_text(encoding="utf-8"))
            if facts.keys() != archive.Facts.model_fields.keys():
                raise InputError(f"{folder} was written by another version of this project: run `dvc repro`, or pull it again")
            if not facts["models"]:
                raise InputError(f"{chosen[0]} is several models of different seeds, which are no detector: name another")
            chosen = chosen or list(facts["models"])
            for model in chosen:
                if model in variants and model != variant:
                    raise InputError(f"{model} is a variant, which has a detector of its own: name it alone")
                if model not in facts["models"]:
                    raise InputError(f"benchmark {benchmark} has no model {model!r}; it has {', '.join(facts['models'])}")
            found = cls({}, facts, Calibration.load(folder, chosen), trained_on)
            found.other_codecs(), found.calibration.levels[found.names]  # a KeyError where one is unknown
            parts = {name: (folder / name).read_bytes() for name in (REFERENCE, LEVELS)}
        weights = {model: root / "data" / "models" / benchmark / model / "best.safetensors" for model in chosen}
        found.models = {model: checkpoint.load(path)[1] for model, path in weights.items()}
        _same_run(root, folder, weights)
        parts |= {archive.WEIGHTS.format(model): path.read_bytes() for model, path in weights.items()}
        found.members = archive.complete(parts, {"trained_on": trained_on, **facts})
        return found

    def save(self, path: str | os.PathLike[str]) -> None:
        """Write the file that `load` and `likelihood detect --detector` read, .detector, completely or not at all.

        Raises InputError where it cannot be written, and for a detector without a card: one of a benchmark, which `likelihood
        export` writes with what was measured of it, or of some of the models of a file.
        """
        if archive.CARD not in self.members or len(self.models) < len(self.facts["models"]):
            raise InputError(
                "only a whole detector that was fitted, or loaded from a file, is saved: load all of its models, or use"
                " `likelihood export` for a benchmark's"
            )
        with archive.Written(Path(path)) as file:
            file.content = archive.packed(self.members)

    def __reduce__(self) -> tuple[Callable[..., "Detector"], tuple[Any, ...]]:
        """What pickle and copy make another one from, on the CPU: its file's members, as fitted scores hold functions."""
        if not self.members:
            raise InputError("only a detector that was fitted or loaded is copied or pickled")
        return self._of_members, (self.members, list(self.models), self.named)

    @property
    def names(self) -> list[str]:
        """The scores as `<model>.<score>`; the model is `all` for scores of all models at once, `none` for scores without one."""
        return list(self.calibration.judges)

    @property
    def score(self) -> str:
        """The score that flags. Raises InputError for some of the models, of which none is the default."""
        name = self.named or f"{ALL_MODELS if len(self.models) > 1 else next(iter(self.models))}.code_kde"
        if name not in self.names:
            raise InputError(f"no score of all models is calibrated for {' and '.join(self.models)} alone: name a score of one")
        return name

    @property
    def levels(self) -> np.ndarray:
        """The levels of the n calibration images by the score that flags: float64 (n,)."""
        return self.calibration.levels[self.score].to_numpy(np.float64)

    def least_rate(self) -> float:
        """The smallest rate of false alarms that the calibration images can resolve."""
        return counts.smallest_rate(len(self.calibration.levels))

    def other_codecs(self) -> list[str]:
        """The codecs whose version here differs from the one that the calibration used."""
        here = complexity.versions()
        return [name for name, version in self.facts["codecs"].items() if here[name] != version]

    def score_samples(self, x: Images) -> np.ndarray:
        """How normal images are: float64 (N,), minus the score that flags, in its units; higher is more normal."""
        return -self._column(x, self.score)

    def p_values(self, x: Images) -> np.ndarray:
        """The p of images by the score that flags, float64 (N,) in (0, 1]; lower is more outlying.

        p <= α has a probability of at most α for an image from where the calibration images come from (calibration.py).
        """
        return self._column(x, f"{self.score}.p")

    def decision_function(self, x: Images, rate: float = counts.RATE) -> np.ndarray:
        """`score_samples` above the threshold of a rate of false alarms: float64 (N,), negative where an image is flagged.

        With the levels l_1 ≥ … ≥ l_n of n calibration images, the threshold is -l_(k+1) for the largest k with
        (1 + k) / (1 + n) ≤ rate: below it are exactly the images of p <= rate. Raises InputError also for a rate that n images
        cannot tell.
        """
        threshold = self._threshold(rate)  # before anything is judged: a wrong rate is said at once
        return self.score_samples(x) + threshold

    def predict(self, x: Images, rate: float = counts.RATE) -> np.ndarray:
        """-1 for images that are flagged at a rate of false alarms, p <= rate, and 1 for the others: int64 (N,)."""
        return np.where(self.decision_function(x, rate) >= 0.0, 1, -1)

    def table(self, x: Images, scores: Iterable[str] | None = None) -> pd.DataFrame:
        """What is known of images, one row per image.

        `<model>.bits_per_dim` (`binary_bits_per_dim` of binarised images), lower is more likely; `<model>.<score>`, higher is
        more outlying; `<model>.<score>.p` in (0, 1], lower is more outlying.

        Arguments:
            x: the images.
            scores: those of `names` that are wanted, or the name of one; all by default.

        Raises InputError also for a score that there is not.
        """
        wanted = self.names if scores is None else [scores] if isinstance(scores, str) else list(scores)
        for name in wanted:
            self._known(name)
        return pd.concat([self._table(batch, wanted) for batch in batches(x, self.shape)], ignore_index=True)

    def too_small(self, rate: float) -> str:
        """Why the calibration images cannot resolve a rate of false alarms; nothing where they can."""
        if (least := self.least_rate()) <= rate:
            return ""
        reason = f"{len(self.calibration.levels)} calibration images cannot resolve rates below {counts.rounded_up(least)}"
        if rate < TINY:
            return reason
        return f"{reason}, and {rate:g} takes {counts.for_rate(rate)} images that are held out and scored"

    def _threshold(self, rate: float) -> float:
        """The level above which a score is flagged at a rate."""
        if not isinstance(rate, numbers.Real) or not 0.0 < rate < 1.0:
            raise InputError(f"the rate is {rate}: it must be a number above 0 and below 1")
        if reason := self.too_small(rate):
            raise InputError(f"the rate is {rate:g}; {reason}")
        levels = np.sort(self.levels)[::-1]
        p = (1 + np.arange(len(levels))) / (1 + len(levels))  # of a score that so many levels are not below
        return levels[np.searchsorted(p, rate, side="right") - 1]

    def _column(self, x: Images, name: str) -> np.ndarray:
        """A column of `table`, of the score that flags; of a batch nothing else is kept."""
        tables = (self._table(batch, [self.score]) for batch in batches(x, self.shape))
        return np.concatenate([table[name].to_numpy(np.float64, copy=True) for table in tables])

    def maps(self, x: Images) -> dict[str, np.ndarray]:
        """By model, how much each pixel of images contributes to log_prob: (N, H, W) in nats.

        Raises InputError also for a model without places (`unmapped`).
        """
        parts: dict[str, list[torch.Tensor]] = {model: [] for model in self.models}
        for batch in batches(x, self.shape):
            for model, network in self.models.items():
                draws, step = self.facts["models"][model]["draws"], network.core_batch
                starts = range(0, len(batch), step)
                parts[model] += [log_prob_map(network, torch.from_numpy(batch[k : k + step]), draws) for k in starts]
        return {model: torch.cat(found).cpu().numpy() for model, found in parts.items()}

    def unmapped(self) -> list[str]:
        """The models that do not say where their likelihood arises, and so have no maps."""
        return [model for model, network in self.models.items() if not has_places(network)]

    def _table(self, x: np.ndarray, scores: list[str]) -> pd.DataFrame:
        """`table` of a batch of uint8 images (N, C, H, W).

        An image without finite likelihood, as of a network that overflows, is as outlying as can be by the scores that read it.
        """
        found = {model: statistics(network, x, self.facts["models"][model]["draws"]) for model, network in self.models.items()}
        columns = {}
        for model, network in self.models.items():
            nats = found[model]["log_prob"].to_numpy()
            columns[f"{model}.{network.unit}"] = bits_per_dim(nats, network.dims)
        calibration = copy.copy(self.calibration)
        calibration.judges = {name: self.calibration.judges[name] for name in scores}
        coded = any(judge.coded for judge in calibration.judges.values())
        codes = complexity.lengths(x) if coded else pd.DataFrame(index=range(len(x)))
        finite = {model: np.isfinite(table).all(axis=1) for model, table in found.items()}
        tables = {model: table.where(finite[model], 0.0, axis=0) for model, table in found.items()}
        judged = calibration.judged(samples(x, codes, tables))
        for name in scores:
            model = name.split(".")[0]
            for each, good in finite.items():
                if model in (each, ALL_MODELS):
                    judged.loc[~good, [name, f"{name}.p"]] = np.inf, self.least_rate()
        return pd.concat([pd.DataFrame(columns), judged], axis=1)


def _named(models: Iterable[str]) -> tuple[str, ...]:
    """Names of models, of which one may stand by itself. InputError for what is no names."""
    if not isinstance(models, str | Iterable):
        raise InputError(f"models is {models!r}: give names of models")
    names = (models,) if isinstance(models, str) else tuple(models)
    if wrong := [name for name in names if not isinstance(name, str)]:
        raise InputError(f"models has {wrong[0]!r}: give names of models")
    return names


@contextlib.contextmanager
def _reading(root: Path, folder: Path, benchmark: str, variant: str | None) -> Iterator[None]:
    """Make an InputError that names the folder, or the file that is missing, of what goes wrong while a detector is read."""
    try:
        yield
    except FileNotFoundError as error:
        lock, also = root / "dvc.lock", f" and {variant} under `run_variants`" if variant else ""
        known = lock.exists() and f" {folder.relative_to(root).as_posix()}\n" in lock.read_text(encoding="utf-8")
        pull = f"run `likelihood pull {benchmark}`, or " if known else ""
        raise InputError(
            f"{error.filename} is not here: {pull}name {benchmark} under `run`{also} in params.yaml and run `dvc repro` to"
            " train it"
        ) from None
    except (AttributeError, LookupError, OSError, RuntimeError, TypeError, ValueError) as error:
        # Of damaged files Arrow raises OSErrors as well; only those of the system have a number.
        if isinstance(error, InputError) or getattr(error, "errno", None) is not None:
            raise
        reason = said(error, folder)
        raise InputError(f"{shown(folder)} is damaged ({reason}): delete it and run `dvc checkout` or `dvc repro`") from None


def _same_run(root: Path, folder: Path, weights: dict[str, Path]) -> None:
    """InputError where dvc.lock says that a detector was calibrated with other weights, or other scores, than there are now.

    It is so after a run that ended between a training and the calibration, or a `git checkout` without `dvc checkout`: every p
    would be wrong. Of a variant, whose weights are one of several files of an output, dvc.lock is compared with itself.
    """
    lock = root / "dvc.lock"
    if not lock.exists():
        return
    stages = (yaml.load(lock.read_text(encoding="utf-8"), _Loader) or {}).get("stages", {}).values()
    made = {out["path"]: (out.get("md5"), entry.get("deps", [])) for entry in stages for out in entry.get("outs", [])}
    here = {path: path.relative_to(root).as_posix() for path in weights.values()}
    md5 = {path: content for path, (content, _) in made.items()}
    md5 |= {name: hashlib.md5(path.read_bytes()).hexdigest() for path, name in here.items() if name in made and path.exists()}
    todo, seen = [folder.relative_to(root).as_posix()], set(here.values())
    while todo:
        for dep in made.get(todo.pop(), (None, []))[1]:
            path = dep["path"]
            if not path.startswith(("data/models/", "data/scores/")) or not set(weights) & set(path.split("/")):
                continue
            if md5.get(path, dep["md5"]) != dep["md5"]:
                raise InputError(f"{path} is not what {shown(folder)} was calibrated with: run `dvc checkout`, or `dvc repro`")
            if path not in seen:
                seen.add(path)
                todo.append(path)


def statistics(network: LikelihoodModel, x: np.ndarray, draws: int) -> pd.DataFrame:
    """Statistics of uint8 images x (N, C, H, W) under a network, in nats, a row per image."""
    step = network.core_batch
    found = [network.statistics(torch.from_numpy(x[k : k + step]), draws) for k in range(0, len(x), step)]
    return pd.DataFrame({key: torch.cat([each[key] for each in found]).cpu().numpy() for key in found[0]})


def batches(x: Images, shape: Shape) -> Iterator[np.ndarray]:
    """Images x of a Detector as uint8 (n, C, H, W), at most BATCH at a time."""
    paths: list[Path] = []
    given = False
    if not isinstance(x, np.ndarray | torch.Tensor | str | os.PathLike | Iterable):
        raise InputError(f"the images are of type {type(x).__name__}: give an array, a tensor, paths, or an iterable of them")
    for each in [x] if isinstance(x, np.ndarray | torch.Tensor | str | os.PathLike) else x:
        if is_path := isinstance(each, str | os.PathLike):
            paths.append(Path(each))
        if paths and (len(paths) == BATCH or not is_path):
            yield _read(paths, shape)
            paths = []
        if not is_path:
            first = each[0] if isinstance(each, tuple | list) and each else each
            shapes = [getattr(other, "shape", None) for other in each[1:]] if first is not each else []
            if len(getattr(first, "shape", ())) == 3 and first.shape in shapes:
                raise InputError("a batch is a list of images, of which only the first would be taken: give numpy.stack(batch)")
            pixels = _checked(first, shape)
            yield from (pixels[start : start + BATCH] for start in range(0, len(pixels), BATCH))
        given = True
    if paths:
        yield _read(paths, shape)
    if not given:
        raise InputError("there are no images: give at least one")


def _read(paths: list[Path], shape: Shape) -> np.ndarray:
    """The pictures of files, as the models take them."""
    for path in paths:
        if "\0" in str(path):
            raise InputError(f"{shown(path)} is no name that a file can have")
        if os.path.isdir(path):
            raise InputError(f"{shown(path)} is a folder: name the pictures in it")
        if path.suffix.lower() in (".npy", ".npz"):
            raise InputError(f"{shown(path)} holds arrays, not a picture: read it with numpy.load and give the array")
        if not os.path.lexists(path):  # unlike Path's own, it takes a name that is too long
            raise InputError(f"{shown(path)} cannot be read (there is no such file): name pictures")
    return images.to_network(np.stack([np.asarray(pictures.fit(pictures.only(path), shape.size, shape.mode)) for path in paths]))


def _pixels(x: np.ndarray | torch.Tensor) -> np.ndarray:
    """An array or tensor as an array, (N, H, W) as (N, 1, H, W)."""
    try:
        pixels = x.detach().cpu().numpy() if isinstance(x, torch.Tensor) else np.asarray(x)
    except (TypeError, ValueError) as error:  # of a type that NumPy has not, or of rows of different lengths
        raise InputError(f"the images are no array of numbers ({error}): give uint8 of shape (N, C, H, W) or (N, H, W)") from None
    return pixels[:, None] if pixels.ndim == 3 else pixels


def _checked(x: np.ndarray | torch.Tensor, shape: Shape) -> np.ndarray:
    """A batch as (N, C, H, W). Raises InputError where it does not fit."""
    pixels = _pixels(x)
    if pixels.dtype != np.uint8 or not pixels.size or pixels.shape[1:] != shape:
        also = f" or (N, {shape.height}, {shape.width})" if shape.channels == 1 else ""
        raise InputError(
            f"the images are {pixels.dtype} of shape {np.shape(x)}; they must be uint8, 0 to 255, of shape"
            f" (N, {', '.join(map(str, shape))}){also}"
        )
    return np.require(pixels, requirements=["C", "W"])  # PyTorch warns of what cannot be written, as of memory-mapped files
