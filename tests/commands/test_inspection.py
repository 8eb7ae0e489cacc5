"""What `likelihood detect` reads, at which rate it flags, what it warns of."""

import errno
import os
import shutil
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
from PIL import Image

from likelihood.commands import detect as inspection
from likelihood.common import counts
from likelihood.common.errors import InputError
from likelihood.data.pictures import Shape, lossy
from likelihood.detection.detector import Detector
from tests.helpers import ROOT


def test_files_are_those_named_and_those_below_folders_once_each(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    for name in ("a/x.png", "a/.hidden", "a/b/y.png", "z.png"):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).touch()
    assert list(map(str, inspection.files(["z.png", "a"]))) == ["z.png", "a/b/y.png", "a/x.png"]
    assert capsys.readouterr().err == ""
    assert list(map(str, inspection.files(["a/x.png", "a", "a/../a/b", f"{tmp_path}/a"]))) == ["a/x.png", "a/b/y.png"]
    assert capsys.readouterr().err == "note: 4 of the files were named twice; each is looked at once\n"
    for names, message in ((["a", "no\nwhere"], r"no\\nwhere does not exist"), ([""], "an empty name does not exist")):
        with pytest.raises(InputError, match=message):
            inspection.files(names)


def test_arrays_are_read_from_npz_files_alone(tmp_path):
    x, shape = np.arange(2 * 3 * 4, dtype=np.uint8).reshape(2, 3, 4), Shape(1, 3, 4)
    np.savez(tmp_path / "some.npz", images=x)
    (tmp_path / "some.npz").rename(tmp_path / "SOME.NPZ")
    np.save(tmp_path / "array.npy", x)
    np.savez(tmp_path / "none.npz", images=x[:0])
    np.savez(tmp_path / "a\nb.npz", images=x[:, :1])
    os.mkfifo(tmp_path / "pipe.npz")
    whole = list(inspection.read(tmp_path / "SOME.NPZ", shape))
    assert [image.name for image in whole] == [f"{tmp_path}/SOME.NPZ[{number}]" for number in range(2)]
    np.testing.assert_array_equal([image.pixels for image in whole], x)
    faults = {
        "array.npy": "array.npy is a single array: save it with numpy.savez_compressed(path, images=...)",
        "none.npz": "none.npz holds uint8 of shape (0, 3, 4): images must be uint8",
        "a\nb.npz": "a\\nb.npz holds images of shape (1, 4), but the models know (3, 4)",
        "pipe.npz": "pipe.npz cannot be read (it is a pipe",
    }
    for name, fault in faults.items():
        (bad,) = inspection.read(tmp_path / name, shape)
        assert bad.pixels is None
        assert fault in bad.fault
        assert "\n" not in bad.fault + bad.name


def test_a_folder_is_read_a_batch_at_a_time(tmp_path):
    for number, count in enumerate((3, 4)):
        np.savez(tmp_path / f"{number}.npz", images=np.full((count, 2, 2), number, np.uint8))
    found = inspection.batches(sorted(tmp_path.iterdir()), Shape(1, 2, 2), 2)
    assert [[int(image.pixels[0, 0]) for image in batch] for batch in found] == [[0, 0], [0, 1], [1, 1], [1]]
    (tmp_path / "0a.png").touch()
    found = inspection.batches(sorted(tmp_path.iterdir()), Shape(1, 2, 2), 4)
    assert [len(batch) for batch in found] == [5, 3], "what cannot be read does not count"


@pytest.mark.parametrize("calibrating", [1, 11, 18, 19, 99])
def test_the_rate_is_one_in_twenty_or_the_least_that_can_be_told(calibrating, capsys):
    facts = {"shape": [1, 2, 2], "models": {"glow": {"draws": 1, "unit": "bits_per_dim"}}, "codecs": {}, "prepared": {}}
    detector = Detector({}, facts, SimpleNamespace(levels=range(calibrating)), "made")
    assert inspection.told(detector, "--rate", None) == max(0.05, counts.rounded_up(1 / (1 + calibrating)))
    note = capsys.readouterr().err
    assert bool(note) == (calibrating < 19)
    if note:
        told, _, limit = note.removeprefix("note: --rate is ").partition(" here: ")
        assert float(told) == float(limit.split("below ")[1].split(",")[0]), "one number for one rate, and it is accepted"
        assert inspection.told(detector, "--rate", float(told)) == float(told)
    with pytest.raises(InputError, match=rf"{calibrating} calibration images cannot resolve rates below [\d.]+") as refused:
        inspection.told(detector, "--rate", 0.001)
    assert "0.001 takes 1997 images that are held out and scored" in str(refused.value)
    least = float(str(refused.value).split("below ")[1].split(",")[0])
    assert inspection.told(detector, "--rate", least) == least <= 1.1 / (1 + calibrating)
    if calibrating >= 11:
        assert inspection.told(detector, "--rate", 0.001, group=10) == 0.001, "groups resolve smaller ones"
    with pytest.raises(InputError, match=f"groups of 10 and {calibrating} calibration images cannot resolve rates below"):
        inspection.told(detector, "--rate", 1e-5, group=10)


def test_files_that_were_compressed_with_a_loss_are_known(tmp_path):
    picture = Image.fromarray(np.random.default_rng(0).integers(0, 256, (32, 32, 3), dtype=np.uint8))
    kinds = {"a.jpg": {}, "b.webp": {}, "c.avif": {}, "d.jp2": {"irreversible": True, "quality_layers": [20]}}
    kinds |= {"e.png": {}, "f.webp": {"lossless": True}, "g.gif": {}, "h.jp2": {}, "i.bmp": {}, "j.tiff": {}}
    for name, options in kinds.items():
        picture.save(tmp_path / name, **options)
    assert [name for name in kinds if lossy(tmp_path / name)] == ["a.jpg", "b.webp", "c.avif", "d.jp2"]


@pytest.mark.parametrize(
    ("resized", "compressed", "prepared", "said"),
    [
        (0, 0, {}, ""),
        (5, 0, {}, ""),
        (6, 0, {}, "of 10 images 6 had to be resized, unlike most"),
        (0, 6, {}, "of 10 images 6 are of lossy formats, unlike most"),
        (3, 3, {}, "of 10 images 3 had to be resized and 3 are of lossy formats, unlike most"),
        (10, 10, {"resized": 0.9}, "of 10 images 10 are of lossy formats, unlike most"),
        (10, 10, {"resized": 0.9, "lossy": 1.0}, ""),
    ],
)
def test_a_warning_where_most_pictures_were_made_otherwise_than_those_trained_on(resized, compressed, prepared, said):
    seen = inspection.Seen({"resized": 0.0, "lossy": 0.0} | prepared)
    pixels = np.random.default_rng(0).integers(0, 256, (10, 4, 4), dtype=np.uint8)
    flags = [(k < resized, k >= 10 - compressed) for k in range(10)]
    seen.add([inspection.Named(str(k), pixels[k], "", *flags[k]) for k in range(10)])
    assert "; ".join(seen.warnings())[: len(said) or None] == said


def test_a_file_that_is_moved_away_while_it_is_judged_ends_nothing(tmp_path, monkeypatch):
    first, second = (Image.fromarray(np.full((4, 4), level, np.uint8)) for level in (0, 200))
    path, shape = tmp_path / "two.webp", Shape(1, 4, 4)
    first.save(path, save_all=True, append_images=[second], lossless=False)
    found = inspection.read(path, shape)
    assert next(found).lossy
    path.rename(tmp_path / "moved.webp")
    (last,) = found
    assert (last.name, last.lossy) == (f"{path}[1]", True)
    (gone,) = inspection.read(path, shape)
    assert gone.fault == f"{path} cannot be read (No such file or directory): replace or remove it"

    def torn(_path, *_arguments, **_options):
        raise OSError(errno.EIO, "Input/output error")

    monkeypatch.setattr(Path, "open", torn)
    (bad,) = inspection.read(tmp_path / "moved.webp", shape)
    assert bad.fault == f"{tmp_path}/moved.webp cannot be read as a picture (Input/output error): replace or remove it"


@pytest.mark.parametrize("name", ["output", "report"])
def test_nothing_else_is_written_into_the_folder_of_maps_which_must_be_empty_at_the_end(tmp_path, name):
    wanted = dict.fromkeys(("rate", "fdr", "group", "output", "report")) | {"maps": tmp_path / "maps"}
    with pytest.raises(InputError, match=rf"^--{name} \S+/maps/found\.csv is in the folder of --maps, which holds maps alone"):
        inspection.run(SimpleNamespace(**wanted | {name: tmp_path / "maps/found.csv"}))


def test_groups_that_were_moved_by_skipped_files_are_doubtful():
    for grouped in (False, True):
        seen = inspection.Seen({}, grouped)
        assert list(seen.warnings()) == []
        seen.skip("why")
        assert len(list(seen.warnings())) == grouped


def changed(content, old, new):
    assert old in content
    return content.replace(old, new, 1)


DAMAGED = {
    "facts cut short": ("detector.json", lambda content: content[:-40]),
    "a list of facts": ("detector.json", lambda _: b"[]"),
    "an unknown codec": ("detector.json", lambda content: changed(content, b'"png"', b'"flif"')),
    "a shape of two numbers": ("detector.json", lambda content: changed(content, b"  1,\n", b"")),
    "a reference cut short": ("reference.parquet", lambda content: content[:-40]),
    "levels cut short": ("calibration.parquet", lambda content: content[:-40]),
    "levels with changed bytes, an OSError": ("calibration.parquet", lambda content: content[:40] + bytes(9) + content[49:]),
    "other scores": ("calibration.parquet", lambda content: content.replace(b"none.mean", b"none.maen")),
}


@pytest.mark.parametrize("case", DAMAGED)
def test_a_damaged_detector_is_one_sentence_that_names_its_folder(committed, tmp_path, monkeypatch, case):
    file, damage = DAMAGED[case]
    place = Path("data/detectors/fashion_mnist")
    monkeypatch.chdir(tmp_path)
    shutil.copy(committed / "params.yaml", tmp_path)
    shutil.copytree(committed / "data/detectors/fashion_mnist", place)
    (place / file).write_bytes(damage((place / file).read_bytes()))
    with pytest.raises(InputError, match=rf"^{place} is damaged \(.+\): delete it and run `dvc checkout` or `dvc repro`$"):
        inspection.load(None, "fashion_mnist")


def test_a_variants_damaged_detector_is_named_by_its_own_folder(committed, tmp_path):
    place = tmp_path / "data/detectors/fashion_mnist.vae_bernoulli"
    shutil.copy(committed / "params.yaml", tmp_path)
    shutil.copytree(committed / "data/detectors/fashion_mnist", place)
    (place / "detector.json").write_bytes(b"[]")
    with pytest.raises(InputError, match=f"^{place} is damaged"):
        Detector.load(tmp_path, "fashion_mnist", ["vae_bernoulli"])


def test_a_detector_that_may_not_be_read_is_not_damaged(committed, tmp_path, monkeypatch):
    def denied(*_):
        raise PermissionError(errno.EACCES, "Permission denied")

    monkeypatch.setattr("likelihood.detection.detector.Calibration.load", denied)
    with pytest.raises(PermissionError):
        Detector.load(committed, "fashion_mnist")


def test_the_clone_is_found_from_every_folder_also_of_another_project(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert inspection.project() == ROOT
    (tmp_path / "params.yaml").write_text("train:\n  epochs: 3\n")
    assert inspection.project() == ROOT, "the params.yaml is that of another project of DVC"
    for other in ("lr: 1\nlr: 2\n", "- 1\n"):
        (tmp_path / "params.yaml").write_text(other)
        assert inspection.project() == ROOT, "whatever it holds"
    (tmp_path / "params.yaml").write_text("train:\n  epochs: 3\n")
    monkeypatch.setattr(inspection, "__file__", str(tmp_path / "lib/python3/site-packages/likelihood/commands/detect.py"))
    sentence = r"^{}params\.yaml has no benchmarks, so it is of another project: use the folder of a clone, or a detector's file$"
    with pytest.raises(InputError, match=sentence.format("")):
        inspection.load(None, "fashion_mnist")
    with pytest.raises(InputError, match=sentence.format(f"{tmp_path}/")):
        Detector.load(tmp_path, "fashion_mnist")
    monkeypatch.undo()
    monkeypatch.chdir(tmp_path)
    for ours in ("benchmarks: {}\n", "benchmarks: {}\nbenchmarks: {}\n"):
        (tmp_path / "params.yaml").write_text(ours)
        assert inspection.project() == Path(), "also where a mistake in it is still to be said"


def test_what_half_of_the_pictures_were_is_warned_of():
    seen = inspection.Seen({"resized": 0.5, "lossy": 0.51})
    seen.add([inspection.Named(str(k), np.full((4, 4), k, np.uint8), "", True, True) for k in range(3)])
    assert [sentence.partition(",")[0] for sentence in seen.warnings()] == ["of 3 images 3 had to be resized"]


def test_a_picture_of_another_size_is_known_to_be_resized(tmp_path):
    for name, size in (("a.png", (4, 3)), ("b.png", (3, 4)), ("c.png", (8, 6))):
        Image.new("L", size).save(tmp_path / name)
    found = [next(inspection.read(tmp_path / name, Shape(1, 3, 4))) for name in ("a.png", "b.png", "c.png")]
    assert [image.resized for image in found] == [False, True, True]
