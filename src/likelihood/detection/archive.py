"""A detector in one file: a zip of weights, tables and facts, none of which can run code.

    card.json             for people: what it was trained on, licence, metrics, intended use, commit, hashes
    detector.json         format, in-set, shape of the images, draws of the models, versions of the codecs
    reference.parquet     what scores are fitted on (evaluation/calibration.py)
    calibration.parquet   the levels of every score, likewise
    <model>.safetensors   weights

The comment that ends the zip is MARK and the SHA-256 of all bytes before, so whatever was cut off or changed on the way is found
before anything is read. That is no signature: who makes a file can make the hash. Members are stored and not compressed, as
weights and Parquet hardly shrink; so all members together are no larger than the file, and what claims to be is refused. Names
are sorted and the time is fixed: the same members give the same bytes.

Whoever makes a file also chooses what it says: facts and the arguments of models are checked before they are used, and no network
is built that has more numbers than the file.
"""

import hashlib
import io
import json
import math
import os
import zipfile
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Annotated, Any, BinaryIO, Literal

import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import safetensors.torch
import torch
from pydantic import AfterValidator, BaseModel, ConfigDict, Field, ValidationError, create_model
from torch.overrides import TorchFunctionMode

from likelihood.common.errors import InputError
from likelihood.common.units import Unit
from likelihood.data.pictures import said, shown
from likelihood.detection.verdicts import Whole, present
from likelihood.evaluation.calibration import FACTS, LEVELS, REFERENCE
from likelihood.models.shared import checkpoint
from likelihood.models.shared.base import LikelihoodModel
from likelihood.settings import schema

FORMAT = 1
MARK, DIGEST = b"likelihood detector, SHA-256 of all before: ", 64
CARD = "card.json"
WEIGHTS = "{}.safetensors"
NUMBERS = 10_000_000  # in a table at most: a file of few bytes may claim any
AGAIN = "copy it again, or write it again"
# What a card says.
OWN = "not known: pictures of one's own"
USE = (
    "To tell which images are unlike those it was trained on, at a stated rate of false alarms. That rate holds for images made"
    " as those were: JPEG compression or resizing raises it. A small p says that an image is rare among the calibration images;"
    " it is not the probability that the image is foreign, and says nothing about what the image shows."
)


class Written(Whole):
    """A detector's file, which is written whole or not at all."""

    suffixes = (".detector",)
    content: bytes

    def end(self) -> None:
        """Write it."""
        self.file.buffer.write(self.content)


def _shaped(shape: list[int]) -> list[int]:
    if shape[0] not in (1, 3):
        raise ValueError("images have 1 or 3 channels")
    return shape


# What is shown to people can be printed, in one line; names of models are also those of files.
Word = Annotated[str, Field(pattern="^[a-z0-9_]{1,100}$")]
Text = Annotated[str, Field(pattern=r"^[^\p{C}\p{Zl}\p{Zp}]{1,200}$", description="a text of 1 to 200 printable characters")]
Side = Annotated[int, Field(ge=1, le=4096)]
Sides = Annotated[list[Side], Field(min_length=3, max_length=3), AfterValidator(_shaped)]  # (C, H, W)
Share = Annotated[float, Field(ge=0.0, le=1.0)]


class _Model(BaseModel):
    model_config = ConfigDict(strict=True)

    draws: Annotated[int, *schema.Loop.model_fields["draws"].metadata]
    unit: Unit


class Facts(BaseModel):
    """What detector.json says."""

    model_config = ConfigDict(strict=True)

    shape: Sides
    models: Annotated[dict[Word, _Model], Field(min_length=1)]
    codecs: dict[Text, Text]
    prepared: dict[Literal["resized", "lossy"], Share]


class Filed(Facts):
    """What that of a file says."""

    format: int
    trained_on: Text


def check(facts: dict[str, Any], kind: type[BaseModel] = Facts) -> None:
    """Raise ValueError where the facts of a detector, or other values, are not what they must be."""
    try:
        kind.model_validate(facts)
    except ValidationError as error:
        first = error.errors()[0]
        raise ValueError(f"{'.'.join(map(str, first['loc']))}: {first['msg'].lower()}") from None


def complete(parts: dict[str, bytes], facts: dict[str, Any], card: dict[str, Any] | None = None) -> dict[str, bytes]:
    """All members of the file: `parts`, which are its tables and weights, the facts, and the card, if any, with all hashes."""
    found = {**parts, FACTS: _text({"format": FORMAT, **facts})}
    if card is None:
        return found
    hashes = {name: hashlib.sha256(content).hexdigest() for name, content in sorted(found.items())}
    return found | {CARD: _text({**card, "sha256": hashes})}


def _text(what: dict[str, Any]) -> bytes:
    return (json.dumps(what, indent=1, ensure_ascii=False) + "\n").encode()


def packed(members: dict[str, bytes]) -> bytes:
    """The bytes of the file with these members."""
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        archive.comment = MARK + b"0" * DIGEST
        for name, content in sorted(members.items()):
            member = zipfile.ZipInfo(name)  # of 1980, stored
            member.create_system, member.external_attr = 3, 0o644 << 16  # as on Unix, wherever it is written
            archive.writestr(member, content)
    before = buffer.getvalue()[:-DIGEST]
    return before + hashlib.sha256(before).hexdigest().encode()


def read(path: Path) -> tuple[dict[str, Any], dict[str, bytes]]:
    """The facts of a detector and all its members. Raises InputError saying why a file is no detector that this version reads."""
    name = shown(path)
    present(path)
    with path.open("rb") as file:
        size = _sealed(file, name)
        try:
            with zipfile.ZipFile(file) as archive:
                members, left = {}, size
                for member in archive.infolist():
                    left -= member.file_size
                    if member.compress_type != zipfile.ZIP_STORED or member.compress_size != member.file_size or left < 0:
                        raise InputError(
                            f"{name} claims {member.file_size:,} bytes for {shown(member.filename)}, but a detector's members are"
                            f" not compressed, and the file has {size:,}: {AGAIN}"
                        )
                    members[member.filename] = archive.read(member)
            facts = json.loads(members.get(FACTS, b"{}"))
            number = facts.get("format", 0)
            if number > FORMAT:
                raise InputError(
                    f"{name} has format {number}, and this version reads formats up to {FORMAT}: install a newer one"
                )
            expected = {CARD, FACTS, REFERENCE, LEVELS, *(WEIGHTS.format(model) for model in facts.get("models", ()))}
        except InputError:
            raise
        except (zipfile.BadZipFile, ValueError, TypeError, AttributeError, RuntimeError, EOFError, OSError) as error:
            raise InputError(f"{name} is damaged ({said(error, path)}): {AGAIN}") from None
    if members.keys() != expected:
        lacking, foreign = sorted(expected - members.keys()), sorted(members.keys() - expected)
        what = f"lacks {_listed(lacking)}" if lacking else f"holds {_listed(foreign)}, which no detector has"
        raise InputError(f"{name} {what}: {AGAIN}")
    try:
        check(facts, Filed)
    except ValueError as error:
        raise InputError(f"{name} was written by other code than this ({said(error, path)}): export it again") from None
    return facts, members


def _listed(names: list[str]) -> str:
    return ", ".join(map(shown, names))


def _sealed(file: BinaryIO, name: str) -> int:
    """The size of a file whose end is the hash of what stands before. Raises InputError where it is not."""
    size = file.seek(0, os.SEEK_END)
    left = size - DIGEST
    file.seek(max(0, left - len(MARK)))
    mark, _, expected = file.read().rpartition(b" ")
    if mark + b" " != MARK:
        raise InputError(f"{name} does not end as a detector does, so it is cut short or another kind of file: {AGAIN}")
    code = hashlib.sha256()
    file.seek(0)
    while left and (part := file.read(min(left, 1 << 20))):
        code.update(part)
        left -= len(part)
    if code.hexdigest().encode() != expected:
        raise InputError(f"{name} is damaged (its SHA-256 is not the one at its end): {AGAIN}")
    return size


def table(content: bytes) -> pd.DataFrame:
    """A table from Parquet. Raises ValueError where it is damaged or claims to be absurdly large."""
    described = pq.read_metadata(io.BytesIO(content))
    if (numbers := described.num_rows * described.num_columns) > NUMBERS:
        raise ValueError(f"a table of {numbers:,} numbers, where {NUMBERS:,} are allowed")
    for column in described.schema.to_arrow_schema():
        if not (pa.types.is_floating(column.type) or pa.types.is_integer(column.type)):
            raise ValueError(f"{column.name} is a column of {column.type}, where only numbers are allowed")
    return pd.read_parquet(io.BytesIO(content))


class _Bounded(TorchFunctionMode):
    """Stops the building of a network that takes more numbers than it may, before memory is taken for them."""

    def __init__(self, left: int) -> None:
        super().__init__()
        self.left = left

    def __torch_function__(
        self,
        func: Callable[..., Any],
        _types: Sequence[type],
        args: tuple[Any, ...] = (),
        kwargs: dict[str, Any] | None = None,
    ) -> Any:  # noqa: ANN401 (what the function returns)
        """What PyTorch calls in place of its function; modules make their parameters by these two."""
        if func in (torch.empty, torch.zeros):
            self.left -= math.prod(args[0] if args and isinstance(args[0], Sequence) else args)
            if self.left < 0:
                raise ValueError("a network of more numbers than the file has")
        return func(*args, **(kwargs or {}))


def network(content: bytes) -> LikelihoodModel:
    """A model from safetensors, in evaluation mode; what it raises where they do not fit is as many errors as libraries."""
    length = int.from_bytes(content[:8], "little")
    described = json.loads(json.loads(content[8 : 8 + length])["__metadata__"]["model"])
    family = described["name"]
    if family not in schema.families():  # it names a module, which is imported
        raise ValueError(f"an unknown model {family!r}")
    settings = {"shape": Sides, **schema.settings(family)}
    fields: dict[str, Any] = {name: (allowed, ...) for name, allowed in settings.items()}
    check(described["arguments"], create_model(family, __base__=schema.Section, **fields))
    state, kind = safetensors.torch.load(content), checkpoint.model_class(family)
    try:
        # It draws weights, only to have others.
        with torch.random.fork_rng([]), _Bounded(sum(tensor.numel() for tensor in state.values())):
            model = kind(**described["arguments"])
    except InputError as error:  # it speaks of params.yaml
        raise ValueError(str(error)) from None
    model.load_state_dict(state)
    return model.eval()
