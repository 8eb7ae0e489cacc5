"""A detector in one file: the same numbers as in a clone, the same bytes again, one sentence for whatever is wrong with it."""

import hashlib
import io
import json
import os
import struct
import zipfile

import numpy as np
import pandas as pd
import pytest
import torch
from PIL import Image

from likelihood.commands import export
from likelihood.common.errors import InputError
from likelihood.detection import archive
from likelihood.detection.detector import Detector
from tests.clone import shipped
from tests.helpers import ROOT


@pytest.fixture(scope="module")
def content(exported):
    return exported.read_bytes()


@pytest.fixture(scope="module")
def members(exported):
    return archive.read(exported)[1]


def written(folder, content):
    path = folder / "x.detector"
    path.write_bytes(content)
    return path


def refused(folder, content, message):
    """That loading bytes ends in a sentence which names the file."""
    path = written(folder, content)
    with pytest.raises(InputError, match=message) as error:
        Detector.load(path)
    assert str(error.value).startswith(str(path))
    assert "\n" not in str(error.value)


@pytest.mark.slow
def test_a_file_judges_as_the_benchmark_in_a_clone_does(committed, exported):
    torch.set_default_dtype(torch.float32)
    x = np.random.default_rng(0).integers(0, 256, (3, 28, 28), dtype=np.uint8)
    x[1:, 5:20] = 10
    alone, clone = Detector.load(exported), Detector.load(committed, "fashion_mnist")
    assert (alone.trained_on, alone.shape) == (clone.trained_on, clone.shape) == ("fashion_mnist", (1, 28, 28))
    pd.testing.assert_frame_equal(alone.table(x), clone.table(x))
    one = Detector.load(exported, models=["glow"])
    pd.testing.assert_frame_equal(one.table(x), clone.table(x)[list(one.table(x))])
    with pytest.raises(InputError, match="has no model 'flow'; it has vae, pixelcnn, glow"):
        Detector.load(exported, models=["flow"])


def test_the_same_content_is_the_same_bytes_in_any_order_and_a_zip_that_others_read(content, members):
    assert archive.packed(dict(reversed(members.items()))) == content
    with zipfile.ZipFile(io.BytesIO(content)) as opened:
        assert opened.testzip() is None
        assert opened.namelist() == sorted(members)
        assert {name.rpartition(".")[2] for name in members} == {"json", "parquet", "safetensors"}
        assert {member.date_time for member in opened.infolist()} == {(1980, 1, 1, 0, 0, 0)}
        card = json.loads(opened.read("card.json"))
    assert card["trained_on"]["licence"] == "MIT"
    assert {each["rate"] for each in card["metrics"]["false_alarms"]} == {0.01, 0.05, 0.1}
    assert set(card["sha256"]) == members.keys() - {"card.json"}


@pytest.mark.slow
@pytest.mark.parametrize("benchmark", sorted(path.stem for path in ROOT.glob("metrics/detectors/*.csv") if "." not in path.stem))
def test_a_committed_detector_is_small(tmp_path, benchmark):
    folder = shipped(tmp_path, benchmark)
    assert len(archive.packed(export.members(folder, benchmark, Detector.load(folder, benchmark).members))) <= 12e6


@pytest.mark.slow
def test_a_changed_byte_is_found_wherever_it_is(tmp_path, content):
    spread = np.random.default_rng(0).integers(0, len(content), 60)
    for place in (*range(40), *spread, *range(len(content) - 140, len(content))):
        changed = bytearray(content)
        changed[place] ^= 1 << int(place) % 8
        with pytest.raises(InputError, match=r"is damaged|does not end as a detector does"):
            archive.read(written(tmp_path, changed))


def test_half_a_file_is_found_wherever_it_ends(tmp_path, content):
    for length in (0, 1, 50, 1000, len(content) // 2, len(content) - 70, len(content) - 1):
        refused(tmp_path, content[:length], "does not end as a detector does, so it is cut short or another kind of file")
    refused(tmp_path, content + b"\n", "does not end as a detector does")


def zipped(**contents):
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as opened:
        for name, content in contents.items():
            opened.writestr(name, content)
    return buffer.getvalue()


def test_another_kind_of_file_is_refused(tmp_path):
    picture = io.BytesIO()
    Image.new("L", (28, 28)).save(picture, format="PNG")
    for foreign in (picture.getvalue(), zipped(a="b"), b"x" * 5000, archive.MARK + b"0" * 64):
        refused(tmp_path, foreign, "does not end as a detector does|is damaged")
    os.mkfifo(tmp_path / "pipe.detector")
    for name in ("none.detector", "", "pipe.detector"):
        with pytest.raises(InputError, match=r"is not a file: name one that `likelihood export` or `Detector\.save` wrote"):
            Detector.load(tmp_path / name)


def facts(members, **changes):
    return {**members, "detector.json": json.dumps(json.loads(members["detector.json"]) | changes).encode()}


def tables(members, **columns):
    buffer = io.BytesIO()
    pd.DataFrame(columns).to_parquet(buffer)
    return {**members, "calibration.parquet": buffer.getvalue()}


def without(members, key):
    """The facts but for one."""
    return json.dumps({name: value for name, value in json.loads(members["detector.json"]).items() if name != key}).encode()


def arguments(members, **changes):
    """The members with other arguments of the VAE's constructor."""
    content = members["vae.safetensors"]
    end = 8 + int.from_bytes(content[:8], "little")
    header = json.loads(content[8:end])
    model = json.loads(header["__metadata__"]["model"])
    model["arguments"] |= changes
    header["__metadata__"]["model"] = json.dumps(model)
    text = json.dumps(header).encode()
    text += b" " * (-len(text) % 8)
    return {**members, "vae.safetensors": len(text).to_bytes(8, "little") + text + content[end:]}


def renamed(members, name):
    """The members with another name of the VAE."""
    found = json.loads(members["detector.json"])
    found["models"] = {name if model == "vae" else model: each for model, each in found["models"].items()}
    content = {f"{name}.safetensors" if member == "vae.safetensors" else member: each for member, each in members.items()}
    return {**content, "detector.json": json.dumps(found).encode()}


def draws(members, number):
    return facts(members, models={name: {"draws": number, "unit": "bits_per_dim"} for name in ("vae", "pixelcnn", "glow")})


WHOLE = {
    "a model named to write to the terminal": (
        lambda m: renamed(m, "\x1b[2Jvae"),
        r"was written by other code than this \(models\.\\x1b\[2Jvae\.\[key\]: string should match pattern",
    ),
    "such a model without weights": (lambda m: facts(m, models={"\x1b[2J": {}}), r"lacks \\x1b\[2J\.safetensors: copy it again"),
    "a model with a dot": (lambda m: renamed(m, "a.b"), r"other code than this \(models\.a\.b\.\[key\]: string should match"),
    "draws without end": (lambda m: draws(m, 10**9), r"other code than this \(models\.vae\.draws: input should be less than"),
    "draws in words": (lambda m: draws(m, "3"), r"other code than this \(models\.vae\.draws: input should be a valid integer"),
    "sides without end": (
        lambda m: facts(m, shape=[1, 28, 10**6]),
        r"\(shape\.2: input should be less than",
    ),
    "two channels": (lambda m: facts(m, shape=[2, 28, 28]), r"\(shape: value error, images have 1 or 3 channels\)"),
    "an in-set that is no text": (lambda m: facts(m, trained_on={"a": 1}), r"\(trained_on: input should be a valid string\)"),
    "an in-set to write to the terminal": (lambda m: facts(m, trained_on="\x9b2J"), r"\(trained_on: string should match pattern"),
    "an unknown argument": (lambda m: arguments(m, layers=3), r"other code than this \(layers: extra inputs are not permitted\)"),
    "an argument in words": (
        lambda m: arguments(m, hidden="3"),
        r"\(hidden: input should be a valid integer",
    ),
    "a huge network": (
        lambda m: arguments(m, shape=[3, 4096, 4096], hidden=65_536, latent=4096),
        r"other code than this \(a network of more numbers than the file has\)",
    ),
    "no weights": (lambda m: {k: v for k, v in m.items() if k != "glow.safetensors"}, "lacks glow.safetensors: copy it again"),
    "nothing": (lambda m: {}, "lacks calibration.parquet, card.json, detector.json, reference.parquet"),
    "more": (lambda m: {**m, "run.py": b"print()"}, r"holds run\.py, which no detector has"),
    "newer": (lambda m: facts(m, format=2), "has format 2, and this version reads formats up to 1: install a newer one"),
    "a format in words": (lambda m: facts(m, format="new"), "is damaged"),
    "no facts": (lambda m: {**m, "detector.json": b"{"}, "is damaged"),
    "a list of facts": (lambda m: {**m, "detector.json": b"[]"}, "is damaged"),
    "deep facts": (lambda m: {**m, "detector.json": b"[" * 100_000}, "is damaged"),
    "a list of codecs": (
        lambda m: facts(m, codecs=["png"]),
        r"other code than this \(codecs: input should be a valid dictionary\)",
    ),
    "nothing on how pictures were prepared": (
        lambda m: {**m, "detector.json": without(m, "prepared")},
        r"was written by other code than this \(prepared: field required\)",
    ),
    "a model without draws": (
        lambda m: facts(m, models={name: {"unit": "bits_per_dim"} for name in ("vae", "pixelcnn", "glow")}),
        r"other code than this \(models\.vae\.draws: field required\)",
    ),
    "a table without an end": (
        lambda m: {**m, "reference.parquet": m["reference.parquet"][:-9] + b"\0" * 5 + b"PAR1"},
        "other code than",
    ),
    "an unknown codec": (lambda m: facts(m, codecs={"flif": "1"}), "was written by other code than this"),
    "a way of preparing that there is not": (lambda m: facts(m, prepared={"sharpened": 0.5}), r"other code than this \(prepared"),
    "a version that is none": (lambda m: facts(m, codecs={"png": "\x1b[2J"}), r"other code than this \(codecs\.png"),
    "another shape": (lambda m: facts(m, shape=[3, 28, 28]), r"was written by other code than this \(vae is of images of"),
    "no table": (lambda m: {**m, "calibration.parquet": b"PAR1"}, "was written by other code than this"),
    "no such scores": (lambda m: tables(m, other=[1.0]), "was written by other code than this"),
    "no tensors": (lambda m: {**m, "glow.safetensors": b"\xff" * 100}, "was written by other code than this"),
    "weights of another model": (lambda m: {**m, "glow.safetensors": m["vae.safetensors"][:-8]}, "other code than this"),
    "a model that is a module": (
        lambda m: {**m, "vae.safetensors": m["vae.safetensors"].replace(b'\\"name\\": \\"vae\\"', b'\\"name\\": \\"../\\"')},
        r"was written by other code than this \(an unknown model",
    ),
}


@pytest.mark.parametrize("case", WHOLE)
def test_a_whole_file_with_the_wrong_content_is_refused(tmp_path, members, case):
    torch.set_default_dtype(torch.float32)
    change, message = WHOLE[case]
    if case == "a model that is a module":
        assert change(members) != members
    refused(tmp_path, archive.packed(change(members)), message)


def test_a_table_that_claims_to_be_absurdly_large_is_refused(tmp_path, content, monkeypatch):
    monkeypatch.setattr(archive, "NUMBERS", 10_000)
    refused(tmp_path, content, r"a table of [\d,]+ numbers, where 10,000 are allowed")


def test_a_table_of_anything_but_numbers_is_refused():
    """Words that are stored once and meant often would take any amount of memory."""
    file = io.BytesIO()
    pd.DataFrame({"word": ["a"] * 3}).to_parquet(file)
    with pytest.raises(ValueError, match=r"word is a column of .*string, where only numbers are allowed"):
        archive.table(file.getvalue())


def sealed(content):
    """A zip with the right hash at its end."""
    return content + hashlib.sha256(content).hexdigest().encode()


def test_a_member_larger_than_the_file_is_refused_before_it_is_read(tmp_path, members):
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED) as opened:
        opened.comment = archive.MARK + b"0" * 64
        opened.writestr("card.json", b" " * 50_000_000)
    bomb = sealed(buffer.getvalue()[:-64])
    assert len(bomb) < 100_000
    refused(tmp_path, bomb, "claims 50,000,000 bytes for card.json, but a detector's members are not compressed")
    many = bytearray(archive.packed({"card.json": b" " * 1000, **{f"c{number}rd.json": b"" for number in range(9)}})[:-64])
    *others, card = [place for place in range(len(many)) if many[place : place + 4] == b"PK\x01\x02"]
    for place in others:  # as if these were the bytes of card.json, too
        for start, end in ((16, 28), (42, 55)):  # checksum and sizes; place and name
            many[place + start : place + end] = many[card + start : card + end]
    # Python 3.13 sees by itself that members overlap.
    refused(tmp_path, sealed(bytes(many)), r"claims 1,000 bytes for card\.json, but a detector's members|Overlapped entries")
    before = bytearray(archive.packed(members)[:-64])
    entry = before.index(b"PK\x01\x02")  # of the directory at the end: sizes at 20
    struct.pack_into("<II", before, entry + 20, 2**31, 2**31)
    refused(tmp_path, sealed(bytes(before)), "claims 2,147,483,648 bytes for calibration.parquet")
