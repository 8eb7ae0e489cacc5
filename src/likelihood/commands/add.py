"""`likelihood add`: make a folder of pictures a data set and a benchmark: data/own/<name>, and two entries of params.yaml;
`likelihood remove`: take these back.

Every file is looked at as the stage `download` will do it; what that would refuse is left out and named. The proposed images have
three channels unless all pictures are grey, the proportions of the pictures (the median of their logarithms, so as many upright
pictures as lying ones give a square), and on the longer side 32 pixels, or as many as the median picture has. Both sides
are multiples of what Glow divides them by. All is done or nothing: the pictures are brought to a folder beside, which gets its
name together with the new params.yaml. When it is removed, pictures that are only linked stay, and so does what was trained and
measured.
"""

import argparse
import math
import os
import re
import shutil
import statistics
from collections import Counter
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from PIL import Image
from pydantic import ValidationError
from tqdm import tqdm

from likelihood.commands import entries
from likelihood.common import counts, params
from likelihood.common.errors import InputError
from likelihood.common.params import MODELS
from likelihood.data import own, pictures
from likelihood.data.pictures import formats, shown
from likelihood.settings import checks, resolve
from likelihood.settings.schema import OwnSet, words

OWN = Path("data/own")
LONGEST = 32  # pixels of the longer side: two cores can train models of such images
OUT = ["noise", "constant"]  # out-sets of every shape
NAMED = 3  # files left out that are named; the others are counted
MOST = 0.5  # of the training images: no larger part is proposed to be held out for a smaller rate


class Picture(NamedTuple):
    """What is known of a picture that can be read."""

    path: Path
    height: int
    width: int
    mode: str
    grey: bool
    format: str

    @property
    def size(self) -> str:
        """As messages say it."""
        return f"{self.height}×{self.width}"


def size(text: str) -> tuple[int, int]:
    """Height and width, as an option gives them; InputError where they are none."""
    match = re.fullmatch(r"([0-9]{1,9})[xX×]([0-9]{1,9})", text)
    try:
        found = OwnSet(height=int(match[1]), width=int(match[2]), channels=1, convert=True) if match else None
    except ValidationError:
        found = None
    if found is None:
        side = words(OwnSet.model_fields["height"])
        raise InputError(f"--size is {checks.quoted(text)}: it must be height x width, as 32x48, each {side}")
    return found.height, found.width


def look(folder: Path) -> tuple[list[Picture], list[str]]:
    """The pictures of a folder and below, and why each of the other files is left out; InputError where they are too few."""
    if not os.path.isdir(folder):
        raise InputError(f"{shown(folder)} is not a folder: name a folder of pictures")
    found: list[Picture] = []
    faults: list[str] = []
    for path in tqdm(pictures.files(folder), unit="file", leave=False, disable=None):
        if path.suffix == ".npz":
            raise InputError(
                f"{shown(path)} holds arrays, which are declared by hand (data/own/README.md): name a folder of pictures"
            )
        try:
            pictures.encoded(path, folder)
            found.append(read(path))
        except InputError as error:
            faults.append(str(error))
    if not found:
        raise InputError(f"{shown(folder)} holds no picture that can be read{f': {faults[0]}' if faults else ''}")
    if len(found) < own.LEAST:
        needed = f"at least {own.LEAST} are needed, or {own.TENTH} where a tenth is held out"
        raise InputError(f"{shown(folder)} holds {len(found)} pictures that can be read: {needed}")
    return found, faults


def read(path: Path) -> Picture:
    """What is known of a picture; InputError where the file cannot be read as one."""
    picture = pictures.only(path)
    rgb = np.asarray(pictures.fit(picture, picture.size, "RGB"))
    grey = bool((rgb[..., 0] == rgb[..., 1]).all() and (rgb[..., 1] == rgb[..., 2]).all())
    with Image.open(path, formats=formats()) as file:
        return Picture(path, picture.height, picture.width, picture.mode, grey, file.format)


def proposed(found: list[Picture], divisor: int) -> tuple[int, int]:
    """Height and width for the models of these pictures, both multiples of a divisor."""
    median = statistics.median(max(each.height, each.width) for each in found)
    longer = max(int(min(median, LONGEST)) // divisor, 1)
    ratio = math.exp(statistics.median(math.log(each.height / each.width) for each in found))
    shorter = max(round(longer * min(ratio, 1.0 / ratio)), 1)
    height, width = (shorter, longer) if ratio < 1.0 else (longer, shorter)
    return height * divisor, width * divisor


def declared(values: dict[str, Any], name: str, content: dict[str, Any]) -> dict[str, Any]:
    """All parameters, with a set and its benchmark."""
    benchmark = {"in": name, "out": OUT}
    return {
        **values,
        "own": {**values["own"], name: content},
        "benchmarks": {**values["benchmarks"], name: benchmark},
    }


def trainings(values: dict[str, Any], benchmark: str, models: tuple[str, ...] = MODELS) -> list[dict[str, Any]]:
    """The settings of the trainings of a benchmark."""
    return [resolve.training(values, benchmark, model) for model in models]


def described(found: list[Picture], wanted: tuple[int, int] | None, values: dict[str, Any], name: str) -> dict[str, Any]:
    """The entry of a set of these pictures under `own`; InputError where Glow cannot halve a wanted size."""
    channels = 1 if all(each.grey for each in found) else 3
    # Settings depend on the number of channels alone.
    entry = {"height": 1, "width": 1, "channels": channels, "convert": True}
    every = trainings(declared(values, name, entry), name, (*MODELS, *values["run_variants"]))
    divisor = max(2 ** each["architecture"]["scales"] for each in every if each["family"] == "glow")
    height, width = wanted or proposed(found, divisor)
    if height % divisor or width % divisor:
        near = "x".join(str(max(round(side / divisor), 1) * divisor) for side in (height, width))
        raise InputError(f"--size is {height}x{width}: Glow needs both sides to be divisible by {divisor} here, as {near}")
    kind = (height, width, pictures.Shape(channels, height, width).mode)
    convert = any((each.height, each.width, each.mode) != kind for each in found)
    return {"height": height, "width": width, "channels": channels, "convert": convert}


def smallest(images: int, fraction: float, scored: int) -> float:
    """The smallest rate of false alarms that can be resolved by a fraction of so many training images, rounded up."""
    return counts.rounded_up(counts.smallest_rate(counts.calibrating(min(counts.held_out(images, fraction), scored))))


def rates(count: int, values: dict[str, Any]) -> tuple[str, str]:
    """The smallest rate of false alarms that so many pictures resolve, and an option of DVC without which they are refused."""
    images, fraction, scored = counts.of_pictures(count), values["preprocess"]["validation_fraction"], values["score"]["images"]
    option = ""
    if counts.held_out(images, fraction) < counts.LEAST:
        fraction = counts.fraction_for(counts.LEAST, images)
        option = f" -S preprocess.validation_fraction={fraction:g}"
    least, held = smallest(images, fraction, scored), counts.for_rate(counts.RATE)
    parts = [f"from {least:g}"]
    needed = counts.pictures_for(counts.images_for(held, values["preprocess"]["validation_fraction"]))
    if needed > count:
        parts.append(f"{counts.RATE:g} takes {needed:,} pictures, {needed - count:,} more")
        larger = min(counts.fraction_for(held, images) or MOST, MOST)
        if (tried := smallest(images, larger, scored)) < least:
            parts.append(f"preprocess.validation_fraction {larger:g} resolves {tried:g}")
    if scored < held:
        parts.append(f"{counts.RATE:g} takes score.images {held}")
    return "; ".join(parts), option


def duration(values: dict[str, Any], name: str) -> str:
    """About how long the trainings take on this machine; nothing without the extra that they need."""
    try:
        from likelihood.detection.fit import training_minutes  # now, as it imports PyTorch
    except ModuleNotFoundError:
        return ""
    ours = values["own"][name]
    minutes = training_minutes(trainings(values, name), (ours["channels"], ours["height"], ours["width"]))
    number = math.ceil(minutes)
    much = f"{minutes / 60.0:.0f} hours" if minutes >= 90.0 else f"{number} minute{'s' if number > 1 else ''}"
    return f", which takes about {much} on this machine"


def bring(found: list[Picture], source: Path, target: Path, link: bool, shape: pictures.Shape) -> pictures.Alike:
    """Copy or link pictures into a new folder, in the folders below it that they are in; how many are alike once converted."""
    alike = pictures.Alike()
    target.mkdir(parents=True)
    for each in tqdm(found, unit="picture", leave=False, disable=None):
        alike.add(np.asarray(pictures.fit(pictures.only(each.path), shape.size, shape.mode)))
        place = target / each.path.relative_to(source)
        try:
            place.parent.mkdir(parents=True, exist_ok=True)
            place.symlink_to(each.path.resolve()) if link else shutil.copyfile(each.path, place)
        except OSError as error:
            error.filename = str(place)  # of a full disk it is the picture's
            raise
    return alike


def summary(found: list[Picture], faults: list[str], alike: pictures.Alike) -> list[str]:
    """Lines about what was found."""
    by_size = sorted(found, key=lambda each: (each.height * each.width, each.height))
    colours = Counter("grey" if each.grey else "colour" for each in found)
    kinds = Counter(each.format for each in found)
    least, median, most = by_size[0].size, by_size[len(by_size) // 2].size, by_size[-1].size
    lines = [
        f"sizes: {least} to {most}, median {median}" if len({each.size for each in found}) > 1 else f"size: {least}, all of them",
        f"colours: {', '.join(f'{number} {name}' for name, number in colours.most_common())}",
        f"formats: {', '.join(f'{number} {name}' for name, number in kinds.most_common())}",
    ]
    if faults:
        further = [f"… and {len(faults) - NAMED} more"] if len(faults) > NAMED else []
        lines += [f"left out: {len(faults)}", *(f"  {fault}" for fault in (*faults[:NAMED], *further))]
    if sentence := alike.sentence():
        lines.append(f"duplicates: {sentence} once converted")
    return lines


def run(arguments: argparse.Namespace) -> int:
    """Add or remove a set, as the only one in this folder; the exit status."""
    with entries.alone():
        if arguments.command == "remove":
            return remove(arguments.name)
        return add(arguments.name, arguments.folder, arguments.size, arguments.link)


def add(name: str, source: Path, asked: str | None, link: bool) -> int:
    """Look at the pictures, bring them, write the entries, say what was done; the exit status."""
    folder, values = OWN / name, params.load()
    before = params.FILE.read_bytes().decode()
    checks.check(values)
    checks.own_sets({name: {}})
    if name in values["own"]:
        raise InputError(f"{params.FILE}: own has {name} already: take another name, or run `likelihood remove {name}` first")
    if name in values["benchmarks"]:
        raise InputError(f"{params.FILE}: benchmarks has {name} already: take another name")
    if os.path.lexists(folder):
        raise InputError(f"{folder} exists already: take another name, or move it away")
    wanted = None if asked is None else size(asked)
    # Whether the name will do is known before thousands of pictures are looked at.
    checks.check(declared(values, name, {"height": LONGEST, "width": LONGEST, "channels": 3, "convert": True}))
    found, faults = look(source)
    entry = described(found, wanted, values, name)
    after = declared(values, name, entry)
    checks.check(after)
    text = before
    for section in ("own", "benchmarks"):
        text = entries.added(text, section, name, after[section][name])
    takes = duration(after, name)  # before anything is changed
    partial = folder.with_name(f".{name}.partial")
    shape = pictures.Shape(entry["channels"], entry["height"], entry["width"])
    with entries.temporary(partial), entries.changed(before, text, after, partial, folder):
        alike = bring(found, source, partial, link, shape)
    rate, option = rates(len(found), values)
    print(f"{shown(source)}: {len(found)} pictures")
    for line in (*summary(found, faults, alike), f"rates of false alarms that a detector can resolve: {rate}"):
        print(f"  {line}")
    print(f"{folder}: {'links to' if link else 'copies of'} the pictures")
    for section in ("own", "benchmarks"):
        print(f"{params.FILE}, {section}: {name}: {entries.flow(after[section][name])}")
    print(f"To train a detector{takes}:")
    print(f"  dvc exp run -S 'run=[{name}]'{option}")
    return 0


def uses(values: dict[str, Any], name: str) -> list[str]:
    """The keys of params.yaml that name a set, but for the benchmark that was added with it."""
    pairs = [
        f"{key}.{in_set}"
        for key, found in checks.pairs(values).items()
        for in_set, out in found.items()
        if name in (in_set, *out)
    ]
    benchmarks = [key for key, entry in values["benchmarks"].items() if name in (entry["in"], *entry["out"])]
    return [f"benchmarks.{key}" for key in benchmarks if key != name or values["benchmarks"][key]["in"] != name] + pairs


def remove(name: str) -> int:
    """Remove the entries and the pictures of a set, say what was done; the exit status."""
    values = params.load()
    before = params.FILE.read_bytes().decode()
    checks.check(values)
    if name not in values["own"]:
        known = ", ".join(values["own"]) or "none"
        raise InputError(f"{params.FILE}: own has no {checks.quoted(name)} to be removed; it has {known}")
    added = values["benchmarks"].get(name, {}).get("in") == name
    if added and name in values["run"]:
        raise InputError(f"{params.FILE}: run names {name}, so it is enabled: name other benchmarks there first")
    if others := uses(values, name):
        raise InputError(f"{params.FILE}: {' and '.join(others)} would lack {name}: change that first")
    folder = OWN / name
    if (shared := OWN / f"{name}.dvc").exists():
        raise InputError(f"{shared} shares the pictures: run `dvc remove {shared}` first")
    text, after = before, values
    for section in ("own", "benchmarks") if added else ("own",):
        text = entries.taken(text, section, name)
        after = {**after, section: {key: entry for key, entry in after[section].items() if key != name}}
    checks.check(after)
    held = os.path.lexists(folder)
    aside = folder.with_name(f".{name}.partial")
    try:
        with entries.temporary(aside), entries.changed(before, text, after, folder, aside):
            pass
    except OSError as error:  # of the pictures, which have another name by then
        left = f"{aside} cannot be deleted ({error.strerror}): delete it yourself"
        done = f"{params.FILE} has no {name} any more, but" if name not in params.load()["own"] else "nothing is changed:"
        raise InputError(f"{done} {left}") from None
    print(f"{params.FILE}: own.{name}{f' and benchmarks.{name}' if added else ''} removed")
    if held:
        print(f"{folder} removed")
    return 0
