"""`likelihood detect`: look at the images of files, judge them, say what was seen."""

import argparse
import os
import re
import sys
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, closing
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

import numpy as np
from tqdm import tqdm

from likelihood.common import counts, images, params
from likelihood.common.errors import InputError
from likelihood.data import pictures
from likelihood.data.pictures import Shape, lossy, shown
from likelihood.detection import decisions
from likelihood.detection.command import FAILED
from likelihood.detection.report import Report
from likelihood.detection.verdicts import Batch, Lines, Maps, Output, Table, declared, place, present

if TYPE_CHECKING:  # PyTorch takes seconds: it is imported once all that can be wrong without it has been looked at
    from likelihood.detection.detector import Detector

FLAGGED = 1
MOST = 0.5  # of the pictures: from there on a warning is due
LARGEST = 10_000  # images of a group: all are in memory, and thousands of sets of as many are drawn before the first


class Named(NamedTuple):
    """An image, canonical uint8, or why there is none; what it is called; what had been done to it."""

    name: str
    pixels: np.ndarray | None
    fault: str = ""
    resized: bool = False
    lossy: bool = False


def files(names: list[str]) -> list[Path]:
    """The files named, and those in the folders named, each once. InputError where one does not exist."""
    found: dict[Path, Path] = {}
    repeated = 0
    for name in names:
        path = Path(name)
        if not name or not os.path.lexists(path):
            raise InputError(f"{shown(name) or 'an empty name'} does not exist: name pictures, folders or .npz files")
        folder = place(path)
        for each in pictures.files(path) if path.is_dir() else [path]:
            key = folder / each.relative_to(path)
            repeated += key in found
            found.setdefault(key, each)
    if not found:
        raise InputError(f"{', '.join(map(shown, names))}: there is no file in it")
    if repeated:
        were = "was" if repeated == 1 else "were"
        print(f"note: {repeated} of the files {were} named twice; each is looked at once", file=sys.stderr)
    return list(found.values())


def read(path: Path, shape: Shape) -> Iterator[Named]:
    """The images of one file."""
    try:
        if path.suffix.lower() == ".npy":
            raise InputError(f"{shown(path)} is a single array: save it with numpy.savez_compressed(path, images=...)")
        if path.suffix.lower() == ".npz":
            for number, image in enumerate(pictures.array(path, shape, "the models know")):
                yield Named(f"{shown(path)}[{number}]", image)
        else:
            compressed = lossy(path)  # now, for all of its pictures: the file may be moved while they are judged
            for name, picture in pictures.read(path):
                pixels = np.asarray(pictures.fit(picture, shape.size, shape.mode))
                yield Named(name, pixels, resized=picture.size != shape.size, lossy=compressed)
    except InputError as error:
        yield Named(shown(path), None, str(error))


def batches(found: list[Path], shape: Shape, size: int) -> Iterator[list[Named]]:
    """The images of files in order, so many at a time that can be read, so that any number of pictures fits into memory."""
    batch: list[Named] = []
    good = given = 0
    with tqdm(found, unit="file", leave=False, disable=None) as bar:
        for path in bar:
            for image in read(path, shape):
                batch.append(image)
                good += image.pixels is not None
                if good == size:
                    yield batch
                    good, given, batch = 0, given + size, []
                    bar.set_postfix(images=given)  # a single file may hold most of them
        if batch:
            yield batch


def ahead(found: Iterator[list[Named]]) -> Iterator[list[Named]]:
    """Batches as they come, of which the next is read while one is judged: decoding releases Python's lock, as PyTorch does."""
    with ThreadPoolExecutor(1) as reader:
        coming = reader.submit(next, found, None)
        while (batch := coming.result()) is not None:
            coming = reader.submit(next, found, None)
            yield batch


class Seen:
    """Counts of what was looked at, and the sentences about them.

    Arguments:
        prepared: shares of the pictures trained on that were `resized` and `lossy`.
        grouped: whether images are flagged in groups.
        endless: whether images never end to come, so that nothing may be kept of each.
    """

    def __init__(self, prepared: dict[str, float], grouped: bool = False, endless: bool = False) -> None:
        self.grouped, self.endless = grouped, endless
        self.flagged = self.images = self.unlike = self.skipped = 0
        self.faults: list[str] = []  # of files that were skipped, why
        self.kinds = {what: 0 for what, share in prepared.items() if share <= MOST}  # what the training set was not
        self.alike = pictures.Alike()

    def add(self, good: list[Named]) -> None:
        """Count the images of a batch."""
        self.images += len(good)
        for image in good:
            if not self.endless:
                self.alike.add(image.pixels)
            found = [what for what in self.kinds if getattr(image, what)]
            self.unlike += bool(found)
            for what in found:
                self.kinds[what] += 1

    def skip(self, fault: str) -> None:
        """Count a file that cannot be read, and say so."""
        tqdm.write(f"skipped: {fault}", file=sys.stderr)
        self.skipped += 1
        if not self.endless:
            self.faults.append(fault)

    def warnings(self) -> Iterator[str]:
        """What makes the verdicts doubtful."""
        if alike := self.alike.sentence():
            yield f"{alike} as the models see them"
        if self.grouped and self.skipped:
            yield "skipped files are in no group, so groups after the first of them hold other images than they otherwise would"
        if self.unlike > MOST * self.images:
            words = {"resized": "had to be resized", "lossy": "are of lossy formats"}
            much = " and ".join(f"{count} {words[what]}" for what, count in self.kinds.items() if count)
            yield (
                f"of {self.images} images {much}, unlike most that the models were trained on:"
                " more are flagged than the rate says (docs/detect.md)"
            )


class Mapped:
    """The maps of a batch, computed when they are asked for, and once."""

    def __init__(self, detector: "Detector", x: np.ndarray) -> None:
        self.detector, self.x = detector, x
        self.every: dict[str, np.ndarray] | None = None

    def __call__(self, rows: np.ndarray) -> dict[str, np.ndarray]:
        """Of the images in these rows."""
        if self.every is None and len(rows) == len(self.x):
            self.every = self.detector.maps(self.x)
        if self.every is None:
            return self.detector.maps(self.x[rows])
        return {model: maps[rows] for model, maps in self.every.items()}


def load(file: Path | None, benchmark: str | None, models: list[str] | None = None, score: str | None = None) -> "Detector":
    """The detector of a file, or of a benchmark. InputError where it or a file of it is missing or damaged."""
    source = file or project()
    if benchmark is None:
        present(source)
    else:
        declared(source, benchmark)
    import torch

    from likelihood.detection.detector import Detector

    device = "cuda" if torch.cuda.is_available() else "cpu"
    detector = Detector.load(source, benchmark, models, score, device)
    if others := detector.other_codecs():
        known = ", ".join(f"{name} ({detector.facts['codecs'][name]})" for name in others)
        ways = "install these" if file else "install these, or run `dvc repro`"
        print(f"warning: calibrated with other versions of {known}, so p may be slightly off: {ways}", file=sys.stderr)
    return detector


def told(detector: "Detector", name: str, value: float | None, group: int = 1) -> float:
    """A rate, of false alarms or discoveries: the one asked for by an option, or 0.05, or the least that can be resolved."""
    wanted, n = counts.RATE if value is None else value, len(detector.calibration.levels)
    least, reason = detector.least_rate(), detector.too_small(wanted)
    ways = "ask for another, or raise preprocess.validation_fraction, and score.images if that is smaller, and train again"
    if group > 1:
        least, ways = decisions.least_group_rate(group, n), "ask for another"
        reason = f"groups of {group} and {n} calibration images cannot resolve rates below {counts.rounded_up(least)}"
    if least <= wanted:
        return wanted
    if value is not None:
        raise InputError(f"{name} is {value:g}; {reason}: {ways}")
    least = counts.rounded_up(least)  # below twice the value, so of single images none more are flagged
    print(f"note: {name} is {least:g} here: {reason}", file=sys.stderr)
    return least


def decided(detector: "Detector", rate: float | None, fdr: float | None, group: int | None) -> decisions.Decision:
    """How images are flagged, as the options ask for."""
    if group is None:
        return decisions.Rate(told(detector, "--rate", rate)) if fdr is None else decisions.Fdr(told(detector, "--fdr", fdr))
    return decisions.Group(group, told(detector, "--rate", rate, group), detector.levels)


def project() -> Path:
    """The folder of the project: the current one, or else that which this package lies in.

    Every project of DVC has a params.yaml, but only one of this kind has benchmarks in it. It is read as text: what is wrong in
    ours is said when it is loaded, and what is wrong in that of another project does not matter.
    """
    here, source = Path(), Path(__file__).resolve().parents[3]
    ours = (here / params.FILE).exists() and re.search(rb"^benchmarks:", (here / params.FILE).read_bytes(), re.MULTILINE)
    return here if ours or not (source / params.FILE).exists() else source


def fraction(name: str, value: float | None) -> None:
    """InputError where the value of an option is no fraction."""
    if value is not None and not 0.0 < value < 1.0:
        raise InputError(f"{name} is {value:g}: it must be above 0 and below 1")


def run(arguments: argparse.Namespace) -> int:
    """Look at all images; the exit status."""
    fraction("--rate", arguments.rate)
    fraction("--fdr", arguments.fdr)
    if arguments.group is not None and not 2 <= arguments.group <= LARGEST:
        raise InputError(f"--group is {arguments.group}: it must be from 2 to {LARGEST:,}")
    if arguments.group is not None and arguments.fdr is not None:
        raise InputError("--fdr is for single images: with --group, use --rate")
    for name, path in (("--output", arguments.output), ("--report", arguments.report)):
        if arguments.maps and path and place(path).is_relative_to(place(arguments.maps)):
            raise InputError(f"{name} {shown(path)} is in the folder of --maps, which holds maps alone: name another place")
    with ExitStack() as stack:
        # Maps first: they are put in their place last, if everything else could be written.
        outputs: list[Output] = [stack.enter_context(Maps(arguments.maps))] if arguments.maps else []
        outputs.append(stack.enter_context(Lines() if arguments.output is None else Table(arguments.output)))
        report = stack.enter_context(Report(arguments.report)) if arguments.report else None
        written = {place(path) for path in (arguments.output, arguments.report) if path}  # perhaps by an earlier call
        found = [path for path in files(arguments.images) if place(path) not in written]
        if not found:
            raise InputError("there is nothing to look at but what is to be written: name pictures, or a folder of them")
        detector = load(arguments.detector, arguments.benchmark, arguments.model, arguments.score)
        decision = decided(detector, arguments.rate, arguments.fdr, arguments.group)
        if (arguments.maps or report) and (lacking := detector.unmapped()):
            raise InputError(f"there is no map of {' and '.join(lacking)}, whose terms have no places: use another --model")
        from likelihood.detection.detector import BATCH

        seen, group = Seen(detector.facts["prepared"], bool(arguments.group)), arguments.group or 1
        scores = None if arguments.output else [detector.score]  # a file has all of them
        with closing(judged(detector, found, seen, group * max(1, BATCH // group), scores)) as every:
            for batch in decision(every):
                for output in [*outputs, *([report] if report else [])]:
                    output.add(batch)
                seen.flagged += int(batch.table["flagged"].sum())
        if report:
            report.describe(detector.trained_on, decision, seen.faults, list(seen.warnings()))
    for sentence in seen.warnings():
        print(f"warning: {sentence}", file=sys.stderr)
    if arguments.fdr and not seen.flagged and (least := decisions.fewest(seen.images, detector.least_rate(), arguments.fdr)) > 1:
        print(f"note: of {seen.images} images none is flagged unless {least} have the smallest p possible", file=sys.stderr)
    if isinstance(decision, decisions.Group) and (last := seen.images % group):
        least = decisions.least_group_rate(last, len(detector.levels))
        if least > decision.rate:
            print(f"note: the last group has only {last}, too few to be flagged at {decision.rate:g}", file=sys.stderr)
    flagged = f"{seen.flagged} of {seen.images} images flagged by {detector.score}"
    print(f"{flagged} {decision.said}; {seen.skipped} skipped", file=sys.stderr)
    return FAILED if seen.skipped else FLAGGED if seen.flagged else 0


def judge(detector: "Detector", good: list[Named], scores: list[str] | None) -> Batch:
    """What is known of images that could be read, by these scores or by all; none is flagged yet."""
    x = images.to_network(np.stack([image.pixels for image in good]))
    table = detector.table(x, scores)
    table.insert(0, "image", [image.name for image in good])
    return Batch(table, detector.score, x, Mapped(detector, x))


def judged(detector: "Detector", found: list[Path], seen: Seen, size: int, scores: list[str] | None) -> Iterator[Batch]:
    """Judge the images of files, so many at a time, by these scores or by all; count them, and name what is skipped."""
    with closing(batches(found, detector.shape, size)) as every, closing(ahead(every)) as read_ahead:
        for batch in read_ahead:
            for bad in (image for image in batch if image.pixels is None):
                seen.skip(bad.fault)
            if good := [image for image in batch if image.pixels is not None]:
                seen.add(good)
                yield judge(detector, good, scores)
