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
"""

import hashlib
import io
import json
import os
import zipfile
from pathlib import Path
from typing import Annotated, Any, BinaryIO, Literal

import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import safetensors.torch
import torch
from pydantic import BaseModel, Field, PositiveInt, ValidationError

from likelihood.common.errors import InputError
from likelihood.common.units import Unit
from likelihood.data.pictures import said, shown
from likelihood.detection.verdicts import Whole, present
from likelihood.evaluation.calibration import LEVELS, REFERENCE
from likelihood.models.shared import checkpoint
from likelihood.models.shared.base import LikelihoodModel
from likelihood.settings import schema

FORMAT = 1
MARK, DIGEST = b"likelihood detector, SHA-256 of all before: ", 64
CARD, FACTS = "card.json", "detector.json"
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


class _Model(BaseModel):
    draws: PositiveInt
    unit: Unit


class Facts(BaseModel):
    """What detector.json says; a file's also has its format and in-set."""

    shape: tuple[PositiveInt, PositiveInt, PositiveInt]
    models: Annotated[dict[str, _Model], Field(min_length=1)]
    codecs: dict[str, Annotated[str, Field(pattern="^[ -~]+$")]]
    prepared: dict[Literal["resized", "lossy"], float]


def check(facts: dict[str, Any]) -> None:
    """Raise ValueError where the facts of a detector are not what they must be."""
    try:
        Facts.model_validate(facts)
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
        what = f"lacks {', '.join(lacking)}" if lacking else f"holds {', '.join(map(shown, foreign))}, which no detector has"
        raise InputError(f"{name} {what}: {AGAIN}")
    return facts, members


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


def network(content: bytes) -> LikelihoodModel:
    """A model from safetensors, in evaluation mode; what it raises where they do not fit is as many errors as libraries."""
    length = int.from_bytes(content[:8], "little")
    described = json.loads(json.loads(content[8 : 8 + length])["__metadata__"]["model"])
    if described["name"] not in schema.families():  # it names a module, which is imported
        raise ValueError(f"an unknown model {described['name']!r}")
    with torch.random.fork_rng([]):  # it draws weights, only to have others
        model = checkpoint.model_class(described["name"])(**described["arguments"])
    model.load_state_dict(checkpoint.expanded(safetensors.torch.load(content)))
    return model.eval()
