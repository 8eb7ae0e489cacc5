"""`likelihood pull` from a remote made here: every file whole or not there, and counted only once it is there."""

import errno
import hashlib
import json
from pathlib import Path
from types import SimpleNamespace

import pytest
import yaml

from likelihood.commands import audit, entries, pull
from likelihood.common.errors import InputError
from likelihood.detection.command import unfinished
from tests.helpers import files

CONFIG = "[core]\n    no_scm = true\n"
MODEL, SCORES = "data/models/toy/glow", "data/scores/toy"


def md5(content):
    return hashlib.md5(content).hexdigest()


class Toy:
    """A project in the working folder with a stage of one benchmark, `toy`, and remotes, which are folders."""

    def __init__(self, *remotes):
        self.outs = {}
        named = "".join(f"['remote \"{name}\"']\n    url = ../{name}\n" for name in remotes)
        default = f"    remote = {remotes[0]}\n" if remotes else ""
        Path(".dvc").mkdir()
        Path(".dvc/config").write_text(
            f"{CONFIG}{default}    site_cache_dir = {Path('.dvc/site').absolute()}\n{named}", encoding="utf-8"
        )
        self.lock()

    def lock(self):
        stage = {"cmd": "train", "outs": [{"path": path, "hash": "md5", "md5": md5} for path, md5 in self.outs.items()]}
        Path("dvc.lock").write_text(yaml.safe_dump({"schema": "2.0", "stages": {"train_glow@toy": stage}}), encoding="utf-8")
        # As when the benchmark is enabled.
        stage = {"matrix": {"benchmark": ["toy"]}, "cmd": "train", "outs": list(self.outs)}
        Path("dvc.yaml").write_text(yaml.safe_dump({"stages": {"train_glow": stage}}), encoding="utf-8")

    def output(self, path, remote=None, **contents):
        """Name an output, a folder, in dvc.lock; a remote may have the listing and all files but those without a content."""
        listing = [{"md5": md5(content or name.encode()), "relpath": name} for name, content in contents.items()]
        text = json.dumps(listing).encode()
        self.outs[path] = f"{md5(text)}.dir"
        if remote:
            for name, content in {self.outs[path]: text, **{md5(each): each for each in contents.values() if each}}.items():
                place = Path(remote, "files/md5", name[:2], name[2:])
                place.parent.mkdir(parents=True, exist_ok=True)
                place.write_bytes(content)
        self.lock()

    def pull(self):
        return pull.run(SimpleNamespace(benchmarks=["toy"]))

    def status(self):
        """What DVC says has changed."""
        return audit.status(Path())


def cached(content):
    return Path(".dvc/cache/files/md5", md5(content)[:2], md5(content)[2:])


@pytest.fixture
def toy(tmp_path, monkeypatch):
    """A project whose default remote is `shipped`."""
    monkeypatch.chdir(tmp_path)
    return Toy("shipped")


def test_what_is_pulled_dvc_takes_for_its_own(toy):
    """Or it would train the benchmark again once it is enabled."""
    toy.output(MODEL, "shipped", a=b"a", b=b"b")
    toy.output(SCORES, "shipped", c=b"c")
    Path(MODEL).mkdir(parents=True)
    Path(MODEL, "a").write_bytes(b"a")  # as an earlier version has left it
    assert toy.pull() == 0
    assert toy.status() == {"train_glow@toy": []}
    assert {path.stat().st_mode & 0o777 for path in Path(".dvc/cache/files").rglob("*") if path.is_file()} == {0o444}
    assert Path(MODEL, "b").stat().st_mode & 0o200
    cached(b"c").unlink()
    assert toy.status() == {"train_glow@toy": [{"changed outs": {SCORES: "not in cache"}}]}, "the test is blind"


def test_a_file_is_a_link_where_dvc_s_configuration_asks_for_it(toy):
    Path(".dvc/config.local").write_text("[cache]\n    type = hardlink\n", encoding="utf-8")
    toy.output(MODEL, "shipped", a=b"a")
    toy.pull()
    assert Path(MODEL, "a").samefile(cached(b"a"))


def test_a_folder_has_the_files_of_its_listing_and_no_others(toy):
    """One more would make DVC run the stage again; what is nowhere else is not deleted."""
    toy.output(MODEL, "shipped", a=b"a", b=b"of an earlier run")
    toy.pull()
    toy.output(MODEL, "shipped", a=b"a")
    Path(MODEL, "mine").write_text("written by hand", encoding="utf-8")
    with pytest.raises(InputError, match=rf"^{MODEL}/mine is no part of what dvc\.lock names, and nowhere else: move it away"):
        toy.pull()
    Path(MODEL, "mine").unlink()
    toy.pull()
    assert files(Path(MODEL)) == ["a"]
    assert toy.status() == {"train_glow@toy": []}


def test_a_listing_of_which_files_are_missing_is_not_cached(toy, capsys):
    toy.output(MODEL, "shipped", a=b"a")
    toy.output(SCORES, "shipped", c=b"c", d=None)
    toy.pull()
    assert "data/scores/toy is not shared, or not all of it" in capsys.readouterr().err
    assert [path.name for path in Path(".dvc/cache/files").rglob("*.dir")] == [toy.outs[MODEL][2:]]


def test_a_damaged_file_of_the_cache_is_replaced(toy):
    toy.output(MODEL, "shipped", a=b"a")
    cached(b"a").parent.mkdir(parents=True)
    cached(b"a").write_bytes(b"b")
    toy.pull()
    assert cached(b"a").read_bytes() == Path(MODEL, "a").read_bytes() == b"a"


def test_what_the_default_remote_lacks_comes_from_the_repository(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    toy = Toy("team", "shipped")
    toy.output(MODEL, "team", a=b"a")
    toy.output(SCORES, "shipped", c=b"c", d=b"d")
    toy.pull()
    done = capsys.readouterr()
    assert done.out == "3 of 3 files brought; the others were here\n"
    assert done.err.count("note: what the default remote lacks comes from the remote 'shipped'\n") == 1
    assert files(tmp_path / "data") == ["models/toy/glow/a", "scores/toy/c", "scores/toy/d"]


@pytest.mark.parametrize("place", [f"{MODEL}/.a.partial", ".dvc/cache"])
def test_a_full_disk_leaves_nothing_and_a_signal_would_find_it(toy, monkeypatch, place):
    toy.output(MODEL, "shipped", a=b"weights")
    copy, write, seen = pull.shutil.copyfile, Path.write_bytes, []

    def full(path):
        write(Path(path), b"wei")
        seen.extend(unfinished.places)
        raise OSError(errno.ENOSPC, "No space left on device")

    if place == ".dvc/cache":
        monkeypatch.setattr(Path, "write_bytes", lambda path, content: full(path))
    else:
        monkeypatch.setattr(pull.shutil, "copyfile", lambda source, target: full(target))
    with pytest.raises(OSError, match="No space left"):
        toy.pull()
    assert len(seen) == 1
    assert place in str(seen[0])
    assert files(Path("data")) == []
    assert not list(Path(".dvc/cache").rglob(".*partial"))
    assert not unfinished.places
    monkeypatch.setattr(pull.shutil, "copyfile", copy)
    monkeypatch.setattr(Path, "write_bytes", write)
    Path(MODEL).mkdir(parents=True, exist_ok=True)
    Path(MODEL, ".a.partial").write_bytes(b"of a killed run")
    toy.pull()
    assert files(Path("data")) == ["models/toy/glow/a"]
    assert Path(MODEL, "a").read_bytes() == b"weights"


def test_something_else_in_its_place_is_one_sentence(toy):
    toy.output(MODEL, "shipped", a=b"weights")
    Path(MODEL, "a").mkdir(parents=True)
    with pytest.raises(InputError, match=r"toy/glow/a cannot be written \(Is a directory\): move away what is in its place$"):
        toy.pull()
    Path(MODEL, "a").rmdir()
    Path(MODEL).rmdir()
    Path(MODEL).touch()
    with pytest.raises(InputError, match=r"a cannot be written \((Not a directory|File exists)\)"):
        toy.pull()
    assert files(Path("data")) == ["models/toy/glow"]


def test_files_are_counted_once_they_are_here(toy, tmp_path, capsys):
    toy.output(MODEL, "shipped", a=b"a", b=b"b")
    toy.output(SCORES, "shipped", c=None, d=b"d", e=b"e")
    Path(MODEL).mkdir(parents=True)
    Path(MODEL, "a").write_bytes(b"a")
    assert toy.pull() == 0
    done = capsys.readouterr()
    assert done.out == "1 of 2 files brought; the others were here\n"
    assert f"note: {SCORES} is not shared, or not all of it\n" in done.err
    assert files(tmp_path / "data") == ["models/toy/glow/a", "models/toy/glow/b"]


def test_a_remote_that_is_not_named_or_does_not_answer_is_one_sentence(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    toy = Toy()
    toy.output(MODEL, a=b"a")
    with pytest.raises(InputError, match=r"^DVC cannot go on: config file error: no remote"):
        toy.pull()
    address = "http://127.0.0.1:9/likelihood"  # where nobody listens
    Path(".dvc/config").write_text(f"{CONFIG}    remote = team\n['remote \"team\"']\n    url = {address}\n", encoding="utf-8")
    with pytest.raises(InputError, match=rf"^{address}/\S+ cannot be read \(.*\): see `dvc remote list`"):
        toy.pull()


def test_two_at_once_do_not_take_each_other_s_files(toy):
    toy.output(SCORES, "shipped", a=b"a")
    with entries.alone(), pytest.raises(InputError, match="is at work in this folder: wait for it"):
        toy.pull()


def test_a_remote_without_any_of_the_files_is_named_and_nothing_is_counted(toy, capsys):
    toy.output(SCORES, c=b"c")
    with pytest.raises(InputError, match="the remote has none of these results: push them from where they were made"):
        toy.pull()
    assert capsys.readouterr().out == ""


def test_a_benchmark_of_which_nothing_is_shared_is_not_the_remote_s_fault(toy, capsys):
    toy.output("data/raw/toy/in", "shipped", c=b"c")
    toy.output("metrics/toy/ood", "shipped", c=b"c")
    with pytest.raises(
        InputError, match=r"^dvc\.lock has no results of 'toy' that are shared: run `dvc repro` to train its models$"
    ):
        toy.pull()
    assert capsys.readouterr().out == ""


def test_a_damaged_file_of_a_remote_is_not_taken(toy):
    toy.output(MODEL, "shipped", a=b"weights")
    Path("shipped/files/md5", md5(b"weights")[:2], md5(b"weights")[2:]).write_bytes(b"wrong")
    with pytest.raises(InputError, match=r"of the remote is damaged: push it again from where it was made$"):
        toy.pull()
    assert not Path(MODEL).exists()
    assert not cached(b"weights").exists()


def test_other_content_in_its_place_is_kept(toy):
    toy.output(MODEL, "shipped", a=b"weights")
    Path(MODEL).mkdir(parents=True)
    Path(MODEL, "a").write_bytes(b"mine")
    with pytest.raises(InputError, match=r"glow/a differs from what dvc\.lock names and is nowhere else: move it away"):
        toy.pull()
    assert Path(MODEL, "a").read_bytes() == b"mine"


def test_a_benchmark_whose_name_begins_another_s_is_pulled_alone():
    lock = {f"train_glow@{name}": {"outs": [{"path": f"data/models/{name}/glow", "md5": name}]} for name in ("toy", "toy_5k")}
    assert pull.outputs(lock, "toy") == {"data/models/toy/glow": "toy"}
