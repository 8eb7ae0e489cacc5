"""What `Detector.fit` does: a detector of images at hand by what the pipeline does to an in-set, without the pipeline.

    hold images out → train each model on the others → score those held out → fit scores on one half, calibrate on the other

Loop, scores, seeds and settings are the pipeline's, so the same training images give the weights and tables that its stages give
(preprocess.py, train.py, score.py, evaluate.py). What they do beyond is left out: snapshots, samples, curves, test images.

Settings are those of params.yaml beside this file: a link to the project's, of which an installed package has a copy.
"""

import contextlib
import dataclasses
import numbers
import os
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Annotated, Any

import numpy as np
import torch
from lightning_fabric import Fabric
from pydantic import ConfigDict, TypeAdapter, ValidationError
from pydantic.fields import FieldInfo
from tqdm import tqdm

from likelihood.common import counts, images, selection
from likelihood.common.errors import InputError
from likelihood.common.params import MODELS
from likelihood.common.units import bits_per_dim
from likelihood.data.pictures import shown
from likelihood.detection import archive
from likelihood.detection.detector import statistics
from likelihood.evaluation import calibration
from likelihood.models.shared import checkpoint
from likelihood.models.shared.base import LikelihoodModel
from likelihood.scores import complexity
from likelihood.settings import checks, resolve, schema
from likelihood.statistics import measure
from likelihood.training import processes
from likelihood.training.loop import Schedule, Training
from likelihood.training.progress import Progress, fingerprint
from likelihood.training.record import build

DEFAULTS = Path(__file__).with_name("params.yaml")
NAME = "images"  # of the in-set and of its benchmark, in settings
CODE = ("common", "training", "models/shared")  # and the family's own: what a training's result depends on
STEPS = 3  # of a training that are timed
TIMED = 32  # height and width of the largest images that are
BEST = "best."  # begins the names of the best epoch's weights in what is kept


def fitted(
    x: np.ndarray,
    models: tuple[str, ...],
    epochs: int | None,
    seed: int,
    share: float | None,
    trained_on: str,
    folder: Path | None,
    progress: bool,
) -> dict[str, bytes]:
    """All members of the file (archive.py) of a detector of uint8 images x (N, C, H, W); for the others see `Detector.fit`."""
    seed, epochs = (value.item() if isinstance(value, np.integer) else value for value in (seed, epochs))
    values = settings(x.shape[1:], models, epochs, seed)
    _allowed("trained_on", trained_on, archive.Filed.model_fields["trained_on"])
    held, others = split(len(x), seed, values["preprocess"]["validation_fraction"] if share is None else share)
    train, validation = x[others], x[held]
    scored = validation[selection.scored("val", len(validation), values["score"]["images"], seed)]
    trainings = {model: resolve.training(values, NAME, model) for model in models}
    facts: dict[str, Any] = {"trained_on": trained_on, "shape": list(x.shape[1:]), "models": {}}
    parts, found, bits = {}, {}, {}
    with _folder(folder) as kept, _deterministic():
        for model, training in trainings.items():
            parts[archive.WEIGHTS.format(model)] = trained(training, train, validation, seed, kept, progress)
    for model in tqdm(models, desc="scoring", unit="model", disable=not progress):
        network = archive.network(parts[archive.WEIGHTS.format(model)]).to(measure.device())
        draws = resolve.scoring(values, NAME, model)["draws"]
        found[model] = statistics(network, scored, draws)
        facts["models"][model] = {"draws": draws, "unit": network.unit}
        bits[model] = {"held_out": round(float(bits_per_dim(found[model]["log_prob"].mean(), network.dims)), 4)}
    reference, levels = calibration.calibrated(scored, complexity.lengths(scored), found, seed)
    for name, table in ((calibration.REFERENCE, reference), (calibration.LEVELS, levels)):
        parts[name] = table.to_parquet(index=False, compression="zstd")
    # An array does not tell whether its images were resized or lossy, so no warning can compare others with them.
    facts |= {"codecs": complexity.versions(), "prepared": {}}
    pixels = images.sha256(x.transpose(0, 2, 3, 1))  # of the layout in which images are published and hashed
    card = {
        "trained_on": {"name": trained_on, "licence": archive.OWN, "count": len(x), "sha256": pixels},
        "shape": facts["shape"],
        "intended_use": archive.USE,
        "training": {model: {"epochs": training["loop"]["epochs"], "seed": seed} for model, training in trainings.items()},
        "metrics": {"bits_per_dim": bits, "calibrated": len(levels)},
        "codecs": facts["codecs"],
    }
    return archive.complete(parts, facts, card)


def settings(shape: tuple[int, ...], models: tuple[str, ...], epochs: int | None, seed: int) -> dict[str, Any]:
    """The values of params.yaml with a benchmark NAME, whose in-set are images of a shape (C, H, W).

    Raises InputError for a model that there is not, for epochs or a seed that are not allowed, and for a size that Glow cannot
    halve.
    """
    channels, height, width = shape
    if not models or not set(models) <= set(MODELS) or len(set(models)) < len(models):
        raise InputError(f"models is {list(models)}: name some of {', '.join(MODELS)}, each once")
    for side, size in (("height", height), ("width", width)):
        _allowed(f"the images' {side}", size, FieldInfo.from_annotation(archive.Side))
    _allowed("seed", seed, FieldInfo.from_annotation(schema.Seed))
    if epochs is not None:
        _allowed("epochs", epochs, schema.Loop.model_fields["epochs"])
    changes = {model: {"epochs": epochs} for model in models if epochs is not None}
    values = checks.load(DEFAULTS) | {
        "seed": seed,
        "own": {NAME: {"height": height, "width": width, "channels": channels, "convert": False}},
        "benchmarks": {NAME: {"in": NAME, "out": [], **changes}},
    }
    multiple = 2 ** resolve.merged(values, NAME, "glow")["scales"] if "glow" in models else 1
    if height % multiple or width % multiple:
        raise InputError(
            f"the images are of {height}×{width}, but Glow takes multiples of {multiple}: cut or pad them, or name other models"
        )
    return values


def schedule_of(loop: dict[str, Any], seed: int) -> Schedule:
    """The schedule of a training with these settings of the loop."""
    return Schedule(**{field.name: loop[field.name] for field in dataclasses.fields(Schedule) if field.name in loop}, seed=seed)


def step_seconds(model: LikelihoodModel, x: np.ndarray, loop: dict[str, Any], rounds: int) -> float:
    """Median seconds of so many training steps here, on batches of the uint8 images x (N, C, H, W)."""
    one = dataclasses.replace(schedule_of(loop, seed=0), epochs=1, epoch_images=loop["batch_size"])
    times = []
    for _ in range(rounds + 1):
        # Not initialised from the images: they may be too few for it, and no step takes longer without.
        training = Training(Fabric(accelerator=measure.device().type, devices=1), model, x, x[:1], one)
        network, *optimizers = training.fabric.setup(training.model, *training.optimizers.values())
        start = time.perf_counter()
        training.epoch(network, optimizers, 1)
        times.append(time.perf_counter() - start)
    return float(np.median(times[1:]))  # the first one warms up


def training_minutes(trainings: list[dict[str, Any]], shape: tuple[int, int, int]) -> float:
    """About how long trainings take here, of images (C, H, W); validation and samples are left out.

    A few steps of each are timed: of large images on smaller ones, as cost is proportional to the number of pixels.
    """
    channels, height, width = shape
    share = max(1.0, height * width / TIMED**2)
    if share > 1.0:
        shape = (channels, TIMED, TIMED)
    seconds = 0.0
    for training in trainings:
        loop = training["loop"]
        model, _ = build(training["family"], training["architecture"], shape, seed=0)
        x = np.random.default_rng(0).integers(0, 256, (loop["batch_size"], *shape), dtype=np.uint8)
        seconds += loop["epochs"] * schedule_of(loop, seed=0).steps_per_epoch * step_seconds(model, x, loop, STEPS)
    return share * seconds / 60.0


def _allowed(name: str, value: object, field: FieldInfo) -> None:
    """InputError where a value is not what params.yaml may have in its place."""
    try:
        TypeAdapter(Annotated[field.annotation, *field.metadata], config=ConfigDict(strict=True)).validate_python(value)
    except ValidationError:
        raise InputError(f"{name} is {value!r}: it must be {schema.words(field)}") from None


def split(count: int, seed: int, share: float) -> tuple[np.ndarray, np.ndarray]:
    """Positions of the images that are held out and of the others, as preprocess.py draws them. InputError for too few images."""
    if not isinstance(share, numbers.Real) or not 0.0 < share < 1.0:
        raise InputError(f"held_out is {share!r}: it must be a number above 0 and below 1")
    held = counts.held_out(count, share)
    if held < counts.LEAST:
        raise InputError(
            f"of {count} images {held} are held out, but a detector needs {counts.LEAST}: give at least"
            f" {counts.images_for(counts.LEAST, share)} images, or a larger held_out"
        )
    # RandomState's stream is frozen, default_rng's may change with NumPy's version.
    order = np.random.RandomState(seed).permutation(count)
    return order[:held], order[held:]


def trained(training: dict[str, Any], x: np.ndarray, validation: np.ndarray, seed: int, folder: Path, progress: bool) -> bytes:
    """The weights of a model's best epoch, the content of a safetensors file.

    Arguments:
        training: the settings of the model, resolved (settings/resolve.py).
        x: uint8 (N, C, H, W), to train on.
        validation: uint8 (N', C, H, W), by which the best epoch is chosen.
        seed: of the first weights, of the order of images and of the noise.
        folder: where the state after every epoch is kept, under a hash of all that determines the result, as train.py keeps it.
        progress: whether a bar on the standard error shows how far it is.
    """
    family, loop = training["family"], training["loop"]
    validation = validation[: loop["validation_images"]]
    # In the order of the files of settings: the arguments stand in the weights' file, whose bytes are the same then.
    architecture = dict(sorted(training["architecture"].items()))
    with torch.random.fork_rng(range(torch.cuda.device_count())):  # the caller's random numbers stay as they are
        network, arguments = build(family, architecture, x.shape[1:], seed)
    schedule = schedule_of(loop, seed)
    kept = Progress(folder / f"{family}_{_key(training, x, validation, seed)[:16]}")
    epochs, tensors = kept.load()
    best = {name.removeprefix(BEST): value for name, value in tensors.items() if name.startswith(BEST)}
    state = {name: value for name, value in tensors.items() if not name.startswith(BEST)}
    steps = schedule.steps_per_epoch
    with tqdm(desc=family, total=schedule.epochs * steps, initial=len(epochs) * steps, unit="step", disable=not progress) as bar:

        def on_step(epoch: int, _step: int, bits: float) -> None:
            bar.set_postfix(epoch=f"{epoch}/{schedule.epochs}", bits=f"{bits:.3f}", refresh=False)
            bar.update()

        fabric = Fabric(accelerator=measure.device().type, devices=1, plugins=processes.environment())
        work = Training(fabric, network, x, validation, schedule, on_step)
        work.restore(state, len(epochs))
        try:
            for epoch in work.epochs():
                if all(epoch.validation < earlier.validation for earlier in epochs):
                    best = {name: value.detach().clone() for name, value in network.state_dict().items()}
                epochs.append(epoch)
                kept.save(epochs, {**work.state(), **{f"{BEST}{name}": value for name, value in best.items()}})
        except InputError as error:  # what it advises to lower is no argument here
            reason = str(error).partition(";")[0]
            raise InputError(f"{family} cannot learn from these images ({reason}): give more, or name other models") from None
    file = kept.folder / "best.safetensors"
    checkpoint.save(file, checkpoint.halved(best), family, arguments)
    return file.read_bytes()


def _key(training: dict[str, Any], x: np.ndarray, validation: np.ndarray, seed: int) -> str:
    """A hash of all that determines the result of a training."""
    what = [{name: training[name] for name in ("family", "loop", "architecture")}, seed, torch.__version__]
    package = Path(__file__).parents[1]
    code = [file for part in (*CODE, f"models/{training['family']}") for file in sorted((package / part).glob("*.py"))]
    data = [[list(each.shape), images.sha256(each)] for each in (x, validation)]
    return fingerprint([*what, *data], code)


@contextlib.contextmanager
def _folder(given: Path | None) -> Iterator[Path]:
    """The folder that was given, made if it is not there, or a temporary one. InputError where it cannot be made."""
    if given is None:
        with tempfile.TemporaryDirectory(prefix="likelihood") as made:
            yield Path(made)
        return
    try:
        given.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise InputError(f"{shown(given)} cannot be a folder ({error.strerror}): name another") from None
    yield given


@contextlib.contextmanager
def _deterministic() -> Iterator[None]:
    """PyTorch's deterministic algorithms, as train.py asks for; afterwards those that the caller had."""
    before = torch.are_deterministic_algorithms_enabled(), torch.is_deterministic_algorithms_warn_only_enabled()
    os.environ.setdefault("CUBLAS_WORKSPACE_CONFIG", ":4096:8")  # without it cuBLAS has none
    torch.use_deterministic_algorithms(True, warn_only=True)
    try:
        yield
    finally:
        torch.use_deterministic_algorithms(before[0], warn_only=before[1])
