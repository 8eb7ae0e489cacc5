"""`likelihood pull` from a remote made here: every file whole or not there, and counted only once it is there."""

import contextlib
import errno
import hashlib
import os
from pathlib import Path
from types import SimpleNamespace

import pytest

from likelihood.commands import audit, entries, pull
from likelihood.common.errors import InputError
from likelihood.detection.command import unfinished
from tests.helpers import files


def md5(content):
    return hashlib.md5(content).hexdigest()


class Shared:
    """A remote with some contents, and a listing of the files of each output."""

    def __init__(self, contents, listings):
        self.contents, self.listings = {md5(content): content for content in contents}, listings

    def read(self, md5):
        if md5 not in self.contents:
            raise pull.MissingError(md5)
        return self.contents[md5]

    def files(self, path, _md5):
        return [pull.File(Path(path) / name, md5(content)) for name, content in self.listings[path].items()]

    def kept(self, _md5):
        return False


def lock(*paths):
    return {"train_glow@toy": {"outs": [{"path": path, "md5": "0" * 32} for path in paths]}}


@pytest.fixture
def pulled(tmp_path, monkeypatch):
    """What a pull of the benchmark `toy` gives, run in an empty folder."""
    monkeypatch.chdir(tmp_path)

    def run(remote, *paths):
        monkeypatch.setattr(pull, "opened", lambda _: contextlib.nullcontext())
        monkeypatch.setattr(pull, "Remote", lambda _: remote)
        monkeypatch.setattr(pull, "load_lock", lambda _: lock(*paths))
        return pull.run(SimpleNamespace(benchmarks=["toy"]))

    return run


def test_a_file_that_cannot_be_written_leaves_nothing_and_a_signal_would_find_it(tmp_path, monkeypatch):
    place = tmp_path / "data/models/toy/glow/best.safetensors"
    write, seen = Path.write_bytes, []

    def full(path, content):
        write(path, content[:3])
        seen.extend(unfinished.places)
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(Path, "write_bytes", full)
    with pytest.raises(OSError, match="No space left"):
        pull.bring(Shared([b"weights"], {}), pull.File(place, md5(b"weights")))
    assert seen == [place.with_name(f".{place.name}.partial")]
    assert files(tmp_path) == []
    assert not unfinished.places
    monkeypatch.setattr(Path, "write_bytes", write)
    (place.parent / f".{place.name}.partial").write_bytes(b"of a killed run")
    assert pull.bring(Shared([b"weights"], {}), pull.File(place, md5(b"weights")))
    assert files(tmp_path) == [str(place.relative_to(tmp_path))]
    assert place.read_bytes() == b"weights"


def test_something_else_in_its_place_is_one_sentence(tmp_path):
    remote, place = Shared([b"weights"], {}), tmp_path / "toy/glow"
    place.mkdir(parents=True)
    with pytest.raises(InputError, match=r"toy/glow cannot be written \(Is a directory\): move away what is in its place$"):
        pull.bring(remote, pull.File(place, md5(b"weights")))
    place.rmdir()
    place.touch()
    with pytest.raises(InputError, match=r"best cannot be written \((Not a directory|File exists)\)"):
        pull.bring(remote, pull.File(place / "best", md5(b"weights")))
    assert files(tmp_path) == ["toy/glow"]


def test_files_are_counted_once_they_are_here(tmp_path, pulled, capsys):
    one, two = "data/models/toy/glow", "data/scores/toy"
    remote = Shared([b"a", b"b", b"d"], {one: {"a": b"a", "b": b"b"}, two: {"c": b"c", "d": b"d", "e": b"e"}})
    os.makedirs(one)
    Path(one, "a").write_bytes(b"a")
    assert pulled(remote, one, two) == 0
    done = capsys.readouterr()
    assert done.out == "1 of 2 files brought; the others were here\n"
    assert f"note: {two} is not shared, or not all of it\n" in done.err
    assert files(tmp_path) == [f"{one}/a", f"{one}/b"]


def test_a_remote_that_is_not_named_or_does_not_answer_is_one_sentence(tmp_path):
    config, alone = tmp_path / ".dvc/config", "[core]\n    no_scm = true\n"
    config.parent.mkdir()
    config.write_text(alone)
    with pytest.raises(InputError, match=r"^DVC cannot go on: config file error: no remote"), audit.opened(tmp_path) as repo:
        pull.Remote(repo)
    address = "http://127.0.0.1:9/likelihood"  # where nobody listens
    config.write_text(f"{alone}    remote = team\n['remote \"team\"']\n    url = {address}\n")
    said = rf"^{address}/\S+ cannot be read \(.*\): see `dvc remote list`"
    with audit.opened(tmp_path) as repo, pytest.raises(InputError, match=said):
        pull.Remote(repo).read("0" * 32)


def test_two_at_once_do_not_take_each_other_s_files(pulled):
    with entries.alone(), pytest.raises(InputError, match="is at work in this folder: wait for it"):
        pulled(Shared([b"a"], {"data/scores/toy": {"a": b"a"}}), "data/scores/toy")


def test_a_remote_without_any_of_the_files_is_named_and_nothing_is_counted(pulled, capsys):
    with pytest.raises(InputError, match="the remote has none of these results: push them from where they were made"):
        pulled(Shared([], {"data/scores/toy": {"c": b"c"}}), "data/scores/toy")
    assert capsys.readouterr().out == ""


def test_a_benchmark_of_which_nothing_is_shared_is_not_the_remote_s_fault(pulled, capsys):
    with pytest.raises(
        InputError, match=r"^dvc\.lock has no results of 'toy' that are shared: run `dvc repro` to train its models$"
    ):
        pulled(Shared([], {}), "data/raw/toy/in", "metrics/toy/ood")
    assert capsys.readouterr().out == ""
