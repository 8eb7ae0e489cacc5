"""Where verdicts go: a place that will not do is refused at once; a file is written whole or not at all."""

import contextlib
import inspect
import json
import os
import stat
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from likelihood.common.errors import InputError
from likelihood.detection import archive, verdicts
from likelihood.detection.report import Report
from tests.helpers import files

ROWS = pd.DataFrame({"image": ["a", "b"], "flagged": [True, False], "glow.bits_per_dim": [1.25, 2.0], "glow.x.p": [0.01, 0.7]})
BATCH = verdicts.Batch(ROWS, "glow.x", np.zeros((2, 1, 4, 4), np.uint8), dict)


@pytest.mark.parametrize("name", ["t.csv", "t.json", "T.CSV"])
@pytest.mark.parametrize("batches", [0, 1, 2])
def test_a_table_holds_every_row(tmp_path, name, batches):
    with verdicts.Table(tmp_path / name) as table:
        for _ in range(batches):
            table.add(BATCH)
        assert files(tmp_path) == [f".{name}.partial"]
    assert files(tmp_path) == [name]
    if name.endswith("json"):
        assert json.loads((tmp_path / name).read_text()) == batches * ROWS.to_dict("records")
    else:
        found = pd.read_csv(tmp_path / name)
        assert len(found) == 2 * batches
        assert list(found)[:2] == ["image", "flagged"]


def test_a_number_that_is_not_finite_is_null_in_json(tmp_path):
    rows = ROWS.assign(**{"glow.log_prob": [np.inf, np.nan]})
    with verdicts.Table(tmp_path / "t.json") as table:
        table.add(BATCH._replace(table=rows))

    def constant(name):
        raise AssertionError(name)

    found = json.loads((tmp_path / "t.json").read_text(), parse_constant=constant)
    assert [row["glow.log_prob"] for row in found] == [None, None]
    assert [row["image"] for row in found] == ROWS["image"].tolist()


def test_a_table_takes_the_place_of_an_older_one_with_its_permissions_and_where_a_link_leads(tmp_path):
    (tmp_path / "older.csv").write_text("older")
    (tmp_path / "older.csv").chmod(0o600)
    (tmp_path / "t.csv").symlink_to("older.csv")
    with verdicts.Table(tmp_path / "t.csv") as table:
        table.add(BATCH)
    assert (tmp_path / "t.csv").is_symlink()
    assert len(pd.read_csv(tmp_path / "older.csv")) == 2
    assert stat.S_IMODE((tmp_path / "older.csv").stat().st_mode) == 0o600


def test_after_a_failure_the_older_table_is_as_it_was(tmp_path):
    (tmp_path / "t.csv").write_text("older")
    with contextlib.suppress(ZeroDivisionError), verdicts.Table(tmp_path / "t.csv") as table:
        table.add(BATCH)
        raise ZeroDivisionError
    assert files(tmp_path) == ["t.csv"]
    assert (tmp_path / "t.csv").read_text() == "older"


def test_maps_go_to_where_a_link_leads_and_never_in_place_of_the_current_folder(tmp_path, monkeypatch):
    (tmp_path / "elsewhere").mkdir()
    (tmp_path / "link").symlink_to("elsewhere")
    one = BATCH._replace(maps=lambda rows: {"glow": np.ones((len(rows), 4, 4))})
    with verdicts.Maps(tmp_path / "link") as maps:
        maps.add(one)
    assert (tmp_path / "link").is_symlink()
    assert len(list((tmp_path / "elsewhere").glob("*.glow.npy"))) == 2
    (tmp_path / "here").mkdir()
    monkeypatch.chdir(tmp_path / "here")
    with pytest.raises(InputError, match=r"^\. is the folder that you are in: name a new one$"):
        verdicts.Maps(Path("."))


@pytest.mark.parametrize("when", ["write", "end"])
def test_a_full_disk_is_one_sentence_and_leaves_nothing(tmp_path, monkeypatch, when):
    def full(*_arguments, **_options):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(*((pd.DataFrame, "to_csv") if when == "write" else (os, "fsync")), full)
    sentence = r"t\.csv cannot be written \(No space left on device\)"
    with pytest.raises(InputError, match=sentence), verdicts.Table(tmp_path / "t.csv") as table:
        table.add(BATCH)
    assert files(tmp_path) == []


def test_what_a_killed_run_has_left_is_replaced(tmp_path):
    (tmp_path / ".t.csv.partial").write_text("half " * 1000)
    with verdicts.Table(tmp_path / "t.csv") as table:
        table.add(BATCH)
    assert files(tmp_path) == ["t.csv"]
    assert (tmp_path / "t.csv").read_text() == ROWS.to_csv(index=False)


def test_of_two_runs_at_once_the_second_is_refused_and_the_first_goes_on(tmp_path):
    with verdicts.Table(tmp_path / "t.csv") as table:
        table.add(BATCH)
        with pytest.raises(InputError, match=r"t\.csv is being written by another run: wait for it, or name another file"):
            verdicts.Table(tmp_path / "t.csv")
        table.add(BATCH)
    assert len(pd.read_csv(tmp_path / "t.csv")) == 4
    with verdicts.Table(tmp_path / "t.csv") as table:
        pass
    assert files(tmp_path) == ["t.csv"]


PLACES = {
    "t.txt": "t.txt must end in .csv or .json",
    "": "must end in .csv or .json",
    "folder.csv": r"folder\.csv is a folder: name a file",
    "pipe.csv": r"pipe\.csv is no plain file: name another",
    "no/t.csv": "no is not a folder: make it first",
    "a\nb/t.csv": r"a\\nb is not a folder: make it first",
    "x" * 250 + ".csv": r"cannot be written \(File name too long\): change that, or name another file",
    "link.csv": "cannot be written",
    "old.csv": r"old\.csv is write-protected: change its permissions, or name another file",
}


@pytest.mark.parametrize("name", PLACES)
def test_a_place_that_will_not_do_is_refused_when_it_is_named(tmp_path, name, monkeypatch):
    (tmp_path / "folder.csv").mkdir()
    os.mkfifo(tmp_path / "pipe.csv")
    (tmp_path / ".link.csv.partial").symlink_to("elsewhere")
    (tmp_path / "old.csv").touch()
    before = files(tmp_path)
    monkeypatch.setattr(os, "access", lambda path, _mode: path.name != "old.csv")  # root may write whatever is protected
    with pytest.raises(InputError, match=PLACES[name]) as refused:
        verdicts.Table(tmp_path / name)
    assert "\n" not in str(refused.value)
    assert files(tmp_path) == before


def test_a_line_holds_the_verdict_the_likelihoods_and_the_name(capsys):
    with verdicts.Lines() as lines:
        lines.add(BATCH)
    assert capsys.readouterr().out == (
        "FLAGGED  p 0.0100  glow.bits_per_dim    1.250  a\nnormal   p 0.7000  glow.bits_per_dim    2.000  b\n"
    )


def test_no_standard_output_is_one_sentence(monkeypatch):
    monkeypatch.setattr("sys.stdout", None)
    with pytest.raises(InputError, match="the standard output is closed: leave it open, or name a file with --output"):
        verdicts.Lines()


def test_a_file_that_does_not_say_how_it_ends_cannot_be_made(tmp_path):
    class Endless(verdicts.Whole):
        suffixes = (".txt",)

    with pytest.raises(TypeError, match="abstract"):
        Endless(tmp_path / "x.txt")
    assert files(tmp_path) == []
    assert not any(map(inspect.isabstract, (verdicts.Table, archive.Written, Report)))


def test_a_pixel_of_a_map_that_is_not_finite_is_white_and_a_gain_is_black():
    bits = np.array([[np.nan, np.inf, 9.0, 8.0, 4.0, 0.0, -3.0, -np.inf]])
    found = np.asarray(verdicts.picture(-bits * np.log(2), 1, "bits_per_dim"))
    assert found.tolist() == [[255, 255, 255, 255, 128, 0, 0, 0]]
