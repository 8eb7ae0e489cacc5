"""What an experiment's own checkout gets of the checkout that started it."""

from pathlib import Path

import pytest

from likelihood.data import fetching
from tests.helpers import files

KEPT = (
    "data/own/mine/a/1.png",
    "data/own/mine/.hidden",
    "data/downloads/mnist/train.npy",
    "data/trainings/v/state.safetensors",
)


@pytest.fixture
def there(tmp_path, monkeypatch):
    """A checkout with what git does not have; this process is in an experiment's below it."""
    for name in (*KEPT, "data/trainings/v/state.safetensors.partial", "data/downloads/.mnist.x/archive", "data/raw/b/in.npy"):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text(name)
    here = tmp_path / ".dvc/tmp/exps/tmpx"
    here.mkdir(parents=True)
    monkeypatch.chdir(here)
    monkeypatch.setenv("DVC_ROOT", str(tmp_path))
    return tmp_path


def test_own_pictures_downloads_and_trainings_are_there_and_nothing_half_written(there):
    assert fetching.root() == there
    fetching.bring()
    assert files(Path()) == sorted(KEPT)
    assert all(Path(name).read_text(encoding="utf-8") == name for name in KEPT)


def test_what_is_there_already_stays_and_what_is_replaced_here_is_not_there(there):
    Path("data/own/mine/a").mkdir(parents=True)
    Path("data/own/mine/a/1.png").write_text("given by --copy-paths", encoding="utf-8")
    fetching.bring()
    fetching.bring()
    assert Path("data/own/mine/a/1.png").read_text(encoding="utf-8") == "given by --copy-paths"
    state = Path("data/trainings/v/state.safetensors")
    state.with_name("new").write_text("later")
    state.with_name("new").replace(state)
    assert (there / state).read_text() == str(state)


def test_links_cannot_be_made_everywhere(there, monkeypatch):
    monkeypatch.setattr(fetching.os, "link", lambda *_: (_ for _ in ()).throw(OSError("another file system")))
    fetching.bring()
    assert all(Path(name).read_text(encoding="utf-8") == name for name in KEPT)


@pytest.mark.parametrize("variable", [None, ".", "elsewhere"])
def test_a_run_in_its_own_checkout_takes_nothing(there, monkeypatch, tmp_path_factory, variable):
    elsewhere = {"elsewhere": str(tmp_path_factory.mktemp("elsewhere"))}.get(variable, variable)
    monkeypatch.setenv("DVC_ROOT", elsewhere) if variable else monkeypatch.delenv("DVC_ROOT")
    assert fetching.root() == Path.cwd()
    fetching.bring()
    assert files(Path()) == []
