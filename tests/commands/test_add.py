"""`likelihood add` and `remove`: the pipeline takes what is written, all else stays byte for byte, and it is all or nothing."""

import os
import re
import signal
import subprocess
import sys

import numpy as np
import pytest
import yaml
from dvc.utils.hydra import apply_overrides
from PIL import Image

import check
import preprocess
from likelihood import cli
from likelihood.commands import add, entries
from likelihood.common import counts, params
from likelihood.common.errors import InputError
from likelihood.data import own, pictures
from likelihood.detection import fit
from tests.helpers import ROOT, files

COMMITTED = (ROOT / "params.yaml").read_bytes()
RANDOM = np.random.default_rng(7)


def run(command, *arguments):
    return add.run(cli.parser().parse_args([command, *map(str, arguments)]))


def made(folder, count=50, size=(12, 18), channels=3, suffix="png"):
    """Pictures of noise, some of them in a folder below."""
    (folder / "below").mkdir(parents=True, exist_ok=True)
    for number in range(count):
        pixels = RANDOM.integers(0, 256, (*size, 3)[: 2 if channels == 1 else 3], dtype=np.uint8)
        Image.fromarray(pixels).save(folder / ("below" if number % 3 == 0 else "") / f"{number:02d}.{suffix}")
    return folder


def contents(folder):
    return {name: (folder / name).read_bytes() for name in files(folder)}


@pytest.fixture
def project(tmp_path, monkeypatch):
    """A folder of a project, beside one of pictures."""
    made(tmp_path / "pics")
    (tmp_path / "project").mkdir()
    (tmp_path / "project/params.yaml").write_bytes(COMMITTED)
    monkeypatch.chdir(tmp_path / "project")
    monkeypatch.setattr(fit, "step_seconds", lambda model, x, loop, rounds: 0.5 * len(x) / loop["batch_size"])
    return tmp_path / "project"


@pytest.mark.slow
@pytest.mark.parametrize("link", [False, True])
def test_the_pipeline_takes_what_was_added(project, capsys, link):
    (project.parent / "pics/.hidden").write_text("no picture")
    assert run("add", "holidays", "../pics", *(["--link"] if link else [])) == 0
    entry = {"height": 8, "width": 16, "channels": 3, "convert": True}
    values = params.load()
    assert values["own"] == {"holidays": entry}
    assert values["benchmarks"]["holidays"] == {"in": "holidays", "out": ["noise", "constant"]}
    before = contents(project.parent / "pics")
    del before[".hidden"]
    assert contents(project / "data/own/holidays") == before
    assert all(path.is_symlink() == link for path in (project / "data/own/holidays").rglob("*.png"))
    splits, _ = own.find("holidays", values["own"], add.OWN).in_set()
    assert {name: pixels.shape for name, pixels in splits.items()} == {"train": (40, 8, 16, 3), "test": (10, 8, 16, 3)}
    said = capsys.readouterr().out
    command = said.splitlines()[-1].split("'")
    assert command[0] == "  dvc exp run -S "
    apply_overrides("params.yaml", command[1:2])
    check.main()
    assert (project / "data/settings/holidays/glow/training.json").exists()
    epochs = params.load()["colour"]
    steps = sum(max(1, 5000 // batch) * epochs[model]["epochs"] for model, batch in (("vae", 32), ("pixelcnn", 16), ("glow", 16)))
    assert f"To train a detector, which takes about {0.5 * steps / 3600:.0f} hours on this machine:" in said
    with pytest.raises(InputError, match=r"run names holidays, so it is enabled: name other benchmarks there first$"):
        run("remove", "holidays")
    apply_overrides("params.yaml", ["run=[fashion_mnist]"])
    assert run("remove", "holidays") == 0
    assert contents(project.parent / "pics").keys() == {".hidden", *before}
    assert list((project / "data/own").iterdir()) == []


def replaced(old, new):
    assert old in COMMITTED
    return COMMITTED.replace(old, new)


NONE = b"own: {}\n"
OTHER = b"{height: 28, width: 28, channels: 1, convert: true}"
LAYOUTS = {
    "as committed": COMMITTED,
    "a comment in the line": replaced(NONE, b"own: {}   # none\n"),
    "comments around an entry": replaced(NONE, b"own:\n  # mine\n  other: " + OTHER + b"  # as they are\n  # more\n\n# Next.\n"),
    "another indent": replaced(NONE, b"own:\n      other: " + OTHER + b"\n"),
    "nested lines": replaced(NONE, b"own:\n  other:\n    height: 28\n    width: 28\n    channels: 1\n    convert: true # yes\n"),
    "in braces": replaced(NONE, b"own: {other: " + OTHER + b"} # one\n"),
    "in braces over lines": replaced(NONE, b"own: {\n  other: " + OTHER + b", # one\n  }\n"),
    "empty braces": replaced(NONE, b"own:  { }\n"),
    "its end": replaced(NONE, b"") + NONE.strip(),
    "its end in lines": replaced(NONE, b"") + b"own:\n  other: " + OTHER,
    "lines as of Windows": COMMITTED.replace(b"\n", b"\r\n"),
}


@pytest.mark.slow
@pytest.mark.parametrize("layout", LAYOUTS)
@pytest.mark.parametrize("name", ["holidays", "x" * 26, "y" * 100], ids=lambda name: name[:10])
def test_every_other_byte_stays_and_without_the_entries_it_is_the_file_of_before(tmp_path, layout, name):
    before = LAYOUTS[layout].decode()
    (tmp_path / "before.yaml").write_bytes(before.encode())
    values = params.load(tmp_path / "before.yaml")
    after = add.declared(values, name, {"height": 24, "width": 32, "channels": 3, "convert": True})
    text = before
    for section in ("own", "benchmarks"):
        text = entries.added(text, section, name, after[section][name])
    (tmp_path / "after.yaml").write_bytes(text.encode())
    assert params.load(tmp_path / "after.yaml") == after
    rest, lines = iter(text), before.splitlines()
    assert all(letter in rest for letter in before.replace("own: {}", "own:")), "letters were only put in"
    assert max(map(len, text.splitlines())) <= max(80, *map(len, lines)) or len(name) > 70
    for section in ("benchmarks", "own"):
        text = entries.taken(text, section, name)
    assert text == before


@pytest.mark.parametrize("place", [0, 1, 2])
@pytest.mark.parametrize("flow", [False, True])
def test_an_entry_is_taken_from_any_place(place, flow):
    names = ["a", "b", "c"]
    rows = [f"{name}: {{in: {name}}}" for name in names]
    text = f"own: {{{', '.join(rows)}}}\nseed: 0\n" if flow else "own:\n" + "".join(f"  {row}\n" for row in rows) + "seed: 0\n"
    found = yaml.safe_load(entries.taken(text, "own", names[place]))
    assert found == {"own": {name: {"in": name} for name in names if name != names[place]}, "seed": 0}


@pytest.mark.parametrize("name", ["holidays", "x" * 100, "y2024", "nan_1"])
def test_dvc_keeps_the_entries_and_the_comments_and_enables_the_benchmark(project, name, capsys):
    run("add", name, "../pics")
    written, values = (project / "params.yaml").read_text(), params.load()
    apply_overrides("params.yaml", [capsys.readouterr().out.split("'")[1]])
    rewritten = (project / "params.yaml").read_text()
    assert params.load() == {**values, "run": [name]}
    assert rewritten.count("#") == written.count("#")
    if name == "holidays":
        assert set(written.splitlines()) - set(rewritten.splitlines()) <= {"- fashion_mnist"}


def grey(folder):
    return made(folder, channels=1, size=(28, 28))


def coloured_grey(folder):
    for number in range(50):
        level = RANDOM.integers(0, 256, (28, 28, 1), dtype=np.uint8)
        Image.fromarray(level.repeat(3, axis=2)).save(folder / f"{number}.png")
    return folder


def of_size(*sizes, channels=3):
    def make(folder):
        for number, size in enumerate(sizes):
            made(folder / str(number), 20, size, channels)
        return folder

    return make


@pytest.mark.parametrize(
    ("make", "shape"),
    [
        (grey, (28, 28, 1, False)),
        (coloured_grey, (28, 28, 1, True)),
        (of_size((32, 32)), (32, 32, 3, False)),
        (of_size((16, 24)), (16, 24, 3, False)),
        (of_size((28, 28)), (24, 24, 3, True)),
        (of_size((5, 5)), (8, 8, 3, True)),
        (of_size((90, 120)), (24, 32, 3, True)),
        (of_size((90, 120), (120, 90)), (32, 32, 3, True)),
        (of_size((90, 120), (90, 120), (120, 90)), (24, 32, 3, True)),
        (of_size((300, 200), channels=1), (32, 20, 1, True)),
        (of_size((8, 200)), (8, 32, 3, True)),
        (of_size((10, 10), (16, 16), (300, 300)), (16, 16, 3, True)),
    ],
)
def test_the_shape_is_proposed_by_the_pictures(project, make, shape):
    source = project.parent / "others"
    source.mkdir()
    run("add", "mine", make(source))
    assert tuple(params.load()["own"]["mine"].values()) == shape


def test_a_size_may_be_given_and_follows_the_scales_of_what_is_enabled(project):
    run("add", "mine", "../pics", "--size", "64X48")
    assert (params.load()["own"]["mine"]["height"], params.load()["own"]["mine"]["width"]) == (64, 48)
    values = params.load()
    values["variants"]["deep"] = {"family": "glow", "scales": 4}
    values["run_variants"] = ["deep"]
    entry = add.described([add.Picture(project, 90, 120, "RGB", False, "PNG")], None, values, "others")
    assert (entry["height"], entry["width"]) == (32, 32)


@pytest.mark.parametrize("count", [6, 11, 43, 44, 60, 115, 456, 457, 3000])
@pytest.mark.parametrize(("fraction", "scored"), [(0.1, 2000), (0.1, 20), (0.4, 2000), (0.9, 2000)])
def test_the_rate_that_is_said_is_that_of_the_pipeline(count, fraction, scored):
    values = {"preprocess": {"validation_fraction": fraction}, "score": {"images": scored}}
    text, option = add.rates(count, values)
    used = float(option.partition("=")[2] or fraction)
    wanted = preprocess.detector(counts.of_pictures(count), used, scored).partition(" from ")[2].partition(";")[0]
    assert text.partition(";")[0] == f"from {wanted}"
    if option:
        with pytest.raises(InputError):
            preprocess.detector(counts.of_pictures(count), fraction, scored)
    assert (float(wanted) <= counts.RATE) == ("; 0.05 takes" not in text)


def interrupted(*_):
    raise KeyboardInterrupt


def test_how_long_a_training_takes_grows_with_the_pixels_and_is_not_said_without_what_trains(project, capsys, monkeypatch):
    values = params.load()
    every = add.trainings(values, "cifar10_30k")
    small, large = (fit.training_minutes(every, (3, side, side)) for side in (32, 64))
    assert large == pytest.approx(4 * small)
    assert fit.training_minutes(every[:1], (3, 8, 16)) == pytest.approx(0.5 * (5000 // 32) * 80 / 60)
    for seconds, said in ((1e-9, "1 minute"), (1e-2, r"[0-9]+ minutes"), (1.0, r"[0-9]+ hours")):
        monkeypatch.setattr(fit, "step_seconds", lambda *_, seconds=seconds: seconds)
        run("add", "mine", "../pics", "--size", "32x32")
        assert re.search(rf"To train a detector, which takes about {said} on this machine:", capsys.readouterr().out)
        run("remove", "mine")
    monkeypatch.setattr(fit, "step_seconds", interrupted)
    with pytest.raises(KeyboardInterrupt):
        run("add", "mine", "../pics")
    assert contents(project) == {"params.yaml": COMMITTED}
    monkeypatch.setitem(sys.modules, "likelihood.detection.fit", None)
    capsys.readouterr()
    run("add", "mine", "../pics", "--size", "32x32")
    assert "\nTo train a detector:\n" in capsys.readouterr().out


def test_what_was_seen_is_said(project, capsys):
    source = project.parent / "pics"
    for number in range(5):
        (source / f"notes{number}.txt").write_text("no picture")
    Image.fromarray(np.zeros((40, 60), np.uint8)).save(source / "x.jpg")
    Image.fromarray(np.full((40, 90), 0, np.uint8)).save(source / "y.jpg")
    (source / "link").symlink_to(".")
    run("add", "mine", source)
    out = capsys.readouterr().out
    lines = [line.strip() for line in out.splitlines()]
    assert lines[0] == f"{source}: 52 pictures"
    assert "sizes: 12×18 to 40×90, median 12×18" in lines
    assert "colours: 50 colour, 2 grey" in lines
    assert "formats: 50 PNG, 2 JPEG" in lines
    assert "left out: 6" in lines
    assert f"{source}/link cannot be read (it is a link to a folder): replace or remove it" in lines
    assert sum("cannot be read" in line for line in lines) == add.NAMED
    assert "… and 3 more" in lines
    assert "duplicates: 2 of 52 pictures are alike once converted" in lines
    assert "params.yaml, own: mine: {height: 8, width: 16, channels: 3, convert: true}" in lines
    assert not any(name.endswith(("txt", "link")) for name in files(project / "data/own/mine"))


def arrays(folder):
    np.savez(folder / "train.npz", images=np.zeros((9, 8, 8), np.uint8))


def few(folder):
    for path in sorted(folder.rglob("*.png"))[:46]:
        path.unlink()


def broken(folder):
    for path in folder.rglob("*.png"):
        path.write_text("no picture")


def empty(folder):
    for path in folder.rglob("*.png"):
        path.unlink()


def nothing(_folder):
    pass


def taken(folder):
    (folder.parent / "project/data/own/mine").mkdir(parents=True)


def other_set(folder):
    path = folder.parent / "project/params.yaml"
    path.write_bytes(path.read_bytes().replace(NONE, b"own:\n  mine: " + OTHER + b"\n"))


def invalid(folder):
    path = folder.parent / "project/params.yaml"
    path.write_bytes(path.read_bytes().replace(b"seed: 0", b"seed: -1"))


def absent(folder):
    (folder.parent / "project/params.yaml").unlink()


PICS = "../pics"
NAMED = r"^params\.yaml: own\.{} must be a name of .* from a-z, 0-9 and _ that begins with a letter, and none of train, "
REFUSED = [
    (nothing, ("mine", "../nowhere"), r"^\.\./nowhere is not a folder: name a folder of pictures$"),
    (nothing, ("mine", "params.yaml"), r"^params\.yaml is not a folder"),
    (nothing, ("mine", "x" * 300), r"^x+ is not a folder"),
    (empty, ("mine", PICS), r"^\.\./pics holds no picture that can be read$"),
    (broken, ("mine", PICS), r"^\.\./pics holds no picture that can be read: \.\./pics/01\.png cannot be read as a picture"),
    (few, ("mine", PICS), r"holds 4 pictures that can be read: at least 6 are needed, or 44 where a tenth is held out$"),
    (arrays, ("mine", PICS), r"^\.\./pics/train\.npz holds arrays, which are declared by hand \(data/own/README\.md\)"),
    (taken, ("mine", PICS), r"^data/own/mine exists already: take another name, or move it away$"),
    (other_set, ("mine", PICS), r"own has mine already: take another name, or run `likelihood remove mine` first$"),
    (nothing, ("mnist_low", PICS), r"own\.mnist_low must be a name of .* that begins with a letter, and none of"),
    (nothing, ("fashion_mnist_wide", PICS), r"^params\.yaml: benchmarks has fashion_mnist_wide already: take another name$"),
    (nothing, ("Holidays", PICS), r"own\.Holidays must be a name of up to 100 characters from a-z, 0-9 and _ "),
    (nothing, ("../mine", PICS), r"own\.\.\./mine must be a name of"),
    (nothing, ("", PICS), r"own\. must be a name of"),
    *((nothing, (name, PICS), NAMED.format(name)) for name in ("2024", "007", "1e5", "_1", "null", "nan", "true")),
    (nothing, ("scores", PICS), r"benchmarks\.scores must be a name of .* and none of claims, detectors, scores, yes, no, on, "),
    (nothing, ("mine", PICS, "--size", "32"), r"^--size is '32': it must be height x width, as 32x48, each an integer from 1 to"),
    (nothing, ("mine", PICS, "--size", "0x8"), r"^--size is '0x8': it must be"),
    (nothing, ("mine", PICS, "--size", "8x99999"), r"^--size is '8x99999': it must be"),
    (nothing, ("mine", PICS, "--size", "30x48"), r"^--size is 30x48: Glow needs both sides to be divisible by 8 here, as 32x48$"),
    (invalid, ("mine", PICS), r"^params\.yaml: seed is -1"),
    (absent, ("mine", PICS), r"^params\.yaml is not here"),
]  # fmt: skip


@pytest.mark.parametrize(("spoil", "arguments", "message"), REFUSED)
def test_what_is_refused_changes_nothing(project, spoil, arguments, message):
    spoil(project.parent / "pics")
    before = contents(project.parent)
    with pytest.raises(InputError, match=message):
        run("add", *arguments)
    assert contents(project.parent) == before
    assert not (project / "data/own").exists() or [path.name for path in (project / "data/own").iterdir()] in ([], ["mine"])


def test_a_name_that_is_no_unicode_is_left_out(project, capsys):
    try:
        (project.parent / "pics" / os.fsdecode(b"caf\xe9.png")).write_bytes((project.parent / "pics/01.png").read_bytes())
    except OSError as error:  # as of macOS
        pytest.skip(f"no such name here: {error}")
    run("add", "mine", "../pics")
    assert r"../pics/caf\xe9.png has a name that is not UTF-8, which DVC cannot hash: rename it" in capsys.readouterr().out
    own.find("mine", params.load()["own"], add.OWN).hashable()


def test_a_file_that_may_not_be_written_stays(project, monkeypatch):
    monkeypatch.setattr(entries.os, "access", lambda *_: False)
    with pytest.raises(InputError, match=r"^params\.yaml is write-protected: change its permissions and run the same again$"):
        run("add", "mine", "../pics")
    assert contents(project) == {"params.yaml": COMMITTED}


def test_two_at_once_do_not_take_each_other_s_files(project):
    for command, arguments in (("add", ("mine", "../pics")), ("remove", ("mine",))):
        with entries.alone(), pytest.raises(InputError, match="is at work in this folder: wait for it"):
            run(command, *arguments)
    assert contents(project) == {"params.yaml": COMMITTED}
    run("add", "mine", "../pics")


def test_pictures_that_cannot_be_deleted_are_told_from_entries_that_are_gone(project, monkeypatch):
    run("add", "mine", "../pics")
    added = (project / "params.yaml").read_bytes()

    def refuse(place):
        raise PermissionError(13, "Permission denied", str(place))

    monkeypatch.setattr(entries.shutil, "rmtree", refuse)
    left = project / "data/own/.mine.partial"  # of a killed run
    left.mkdir()
    with pytest.raises(InputError, match=r"^nothing is changed: data/own/\.mine\.partial cannot be deleted \(Permission"):
        run("remove", "mine")
    assert (project / "params.yaml").read_bytes() == added
    left.rmdir()
    with pytest.raises(InputError, match=r"has no mine any more, but data/own/\.mine\.partial cannot be deleted \(Permission"):
        run("remove", "mine")
    assert (project / "params.yaml").read_bytes() == COMMITTED


def test_a_file_that_reads_as_something_else_is_not_written(project, monkeypatch):
    monkeypatch.setattr(entries, "added", lambda text, *_: text)
    with pytest.raises(InputError, match="laid out in a way that is kept as it is: change `own` and `benchmarks` by hand"):
        run("add", "mine", "../pics")
    assert contents(project) == {"params.yaml": COMMITTED}


@pytest.mark.parametrize("step", ["look", "bring"])
def test_what_was_written_meanwhile_is_not_lost(project, monkeypatch, step):
    real = getattr(add, step)

    def late(*arguments):
        (project / "params.yaml").write_bytes(COMMITTED + b"# mine\n")
        return real(*arguments)

    monkeypatch.setattr(add, step, late)
    with pytest.raises(InputError, match=r"^params\.yaml has been changed meanwhile: run the same again$"):
        run("add", "mine", "../pics")
    assert contents(project) == {"params.yaml": COMMITTED + b"# mine\n"}


def full(*_):
    raise OSError(28, "No space left on device", "a picture")


@pytest.mark.parametrize(("module", "name"), [(add.shutil, "copyfile"), (entries.os, "fsync"), (entries.os, "replace")])
def test_a_full_disk_leaves_nothing(project, monkeypatch, module, name):
    monkeypatch.setattr(module, name, full)
    with pytest.raises(InputError, match=r"cannot be written \(No space left on device\): nothing is changed$"):
        run("add", "mine", "../pics")
    monkeypatch.undo()
    assert contents(project) == {"params.yaml": COMMITTED}
    assert list((project / "data/own").glob("**/*")) == []


def test_a_removal_that_fails_leaves_everything(project, monkeypatch):
    run("add", "mine", "../pics")
    before = contents(project)
    monkeypatch.setattr(entries.os, "replace", full)
    with pytest.raises(InputError, match="nothing is changed"):
        run("remove", "mine")
    assert contents(project) == before


SIGNAL = """
import os, shutil, signal, sys
from likelihood import cli
sys.modules["likelihood.detection.fit"] = None  # no training is timed
name, module = sys.argv[1], {{"copyfile": shutil}}.get(sys.argv[1], os)
real, calls = getattr(module, name), []
def then(*arguments):
    real(*arguments)
    calls.append(arguments)
    if len(calls) == {calls}:
        os.kill(os.getpid(), signal.{signal})
setattr(module, name, then)
sys.argv = ["likelihood", *sys.argv[2:]]
cli.main()
"""


@pytest.mark.slow
@pytest.mark.parametrize(
    ("name", "calls", "which", "done"),
    [
        ("copyfile", 7, "SIGINT", False),
        ("fsync", 1, "SIGTERM", False),
        ("rename", 1, "SIGINT", True),
        ("replace", 1, "SIGINT", True),
    ],
)
def test_a_signal_leaves_all_or_nothing(project, name, calls, which, done):
    code = SIGNAL.format(calls=calls, signal=which)
    settings = {"env": {**os.environ, "PYTHONPATH": str(ROOT / "src")}, "capture_output": True, "text": True}

    def ended(*arguments):
        run = subprocess.run([sys.executable, "-c", code, name, *arguments], **settings)
        assert run.returncode == -getattr(signal, which), run.stderr
        assert run.stderr == "interrupted\n"

    ended("add", "mine", "../pics")
    assert (params.load()["own"] == {}) != done
    assert len(files(project / "data")) == 50 * done
    assert len(files(project)) == 1 + 50 * done, "nothing half-written"
    if done:
        ended("remove", "mine")
        assert contents(project) == {"params.yaml": COMMITTED}


def test_what_a_killed_run_has_left_is_replaced(project):
    made(project / "data/own/.mine.partial", 3)
    (project / ".params.yaml.partial").write_text("half")
    run("add", "mine", "../pics")
    assert len(files(project)) == 51


def used_by_a_benchmark(text):
    return text.replace(b"out: [mnist_5k, noise", b"out: [mine, noise")


def used_by_a_claim(text):
    return text.replace(b"    cifar10:\n    - svhn\n", b"    cifar10:\n    - svhn\n    - mine\n")


def used_by_the_rank(text):
    return text.replace(b"    - cifar100\n", b"    - cifar100\n    - mine\n")


def not_there(text):
    return text.replace(b"mine", b"yours")


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (used_by_a_benchmark, r"^params\.yaml: benchmarks\.fashion_mnist would lack mine: change that first$"),
        (used_by_a_claim, r"^params\.yaml: claims\.pairs\.cifar10 would lack mine: change that first$"),
        (used_by_the_rank, r"^params\.yaml: rank\.near\.cifar10 would lack mine: change that first$"),
        (not_there, r"^params\.yaml: own has no 'mine' to be removed; it has yours$"),
    ],
)
def test_what_is_used_or_no_own_set_is_not_removed(project, change, message):
    run("add", "mine", grey(project.parent / "grey"))
    (project / "params.yaml").write_bytes(change((project / "params.yaml").read_bytes()))
    before = contents(project)
    with pytest.raises(InputError, match=message):
        run("remove", "mine")
    assert contents(project) == before


def test_only_what_belongs_to_the_set_is_removed(project, capsys):
    """A benchmark of that name with another in-set, a set without pictures, a link in place of a folder, a shared set."""
    declared = replaced(NONE, b"own:\n  mnist: " + OTHER + b"\n").replace(b"mnist: {height", b"notes: {height")
    (project / "params.yaml").write_bytes(
        declared.replace(b"  mnist_low: {in", b"  notes: {in: mnist_low, out: [noise]}\n  mnist_low: {in")
    )
    assert run("remove", "notes") == 0
    assert capsys.readouterr().out == "params.yaml: own.notes removed\n"
    assert "notes" in params.load()["benchmarks"]
    (project / "params.yaml").write_bytes(declared)
    (project / "data/own").mkdir(parents=True)
    (project / "data/own/notes").symlink_to(project.parent / "pics")
    (project / "data/own/notes.dvc").write_text("outs: []\n")
    with pytest.raises(InputError, match=r"notes\.dvc shares the pictures: run `dvc remove data/own/notes\.dvc` first$"):
        run("remove", "notes")
    (project / "data/own/notes.dvc").unlink()
    assert run("remove", "notes") == 0
    assert files(project) == ["params.yaml"]
    assert (project / "params.yaml").read_bytes() == COMMITTED
    assert len(files(project.parent / "pics")) == 50


def test_a_picture_counts_as_grey_as_the_models_would_see_it(tmp_path):
    levels = RANDOM.integers(0, 256, (4, 5), dtype=np.uint8)
    clear = np.dstack([levels] * 3 + [np.full((4, 5), 255, np.uint8)])
    clear[0, 0] = 200, 0, 0, 0  # a colour that nobody sees
    for name, pixels, expected in (("a", levels, True), ("b", clear, True), ("c", clear[..., :3], False)):
        Image.fromarray(pixels).save(tmp_path / f"{name}.png")
        assert add.read(tmp_path / f"{name}.png").grey == expected


def test_the_median_size_is_that_of_the_middle_one(tmp_path):
    found = [add.Picture(tmp_path, side, side, "L", True, "PNG") for side in (9, 1, 3, 2, 5)]
    assert add.summary(found, [], pictures.Alike())[0] == "sizes: 1×1 to 9×9, median 3×3"


def test_no_more_than_half_is_proposed_to_be_held_out():
    text, _ = add.rates(60, {"preprocess": {"validation_fraction": 0.1}, "score": {"images": 2000}})
    assert "; preprocess.validation_fraction 0.5 resolves 0.077" in text  # 0.05 would take 37 of 48 images
