"""`likelihood watch`: files are judged once they are whole, drift raises the alarm, a signal ends it with a summary."""

import os
import shutil
import signal
import subprocess
import time

import numpy as np
import pytest
import torch
from PIL import Image

from likelihood import cli
from likelihood.commands import watch
from likelihood.commands.detect import Named
from likelihood.common.errors import InputError
from likelihood.data.pictures import files
from tests import warm
from tests.helpers import ROOT

rng = np.random.default_rng(0)


def noise(path):
    Image.fromarray(rng.integers(0, 256, (28, 28), dtype=np.uint8)).save(path)


@pytest.fixture
def inbox(tmp_path):
    (tmp_path / "inbox").mkdir()
    return tmp_path / "inbox"


def test_a_file_is_given_once_it_has_stayed_the_same(inbox):
    (inbox / "old.png").write_bytes(b"old")
    arrivals = watch.Arrivals(inbox)
    assert arrivals.settled(0.0) == []
    (inbox / "a.png").write_bytes(b"half")
    (inbox / ".hidden.png").write_bytes(b"x")
    (inbox / "empty.png").touch()
    os.mkfifo(inbox / "pipe.png")
    assert arrivals.settled(1.0) == []
    assert arrivals.settled(2.5) == []
    (inbox / "a.png").write_bytes(b"half and half")
    (inbox / "below").mkdir()
    (inbox / "below/b.png").write_bytes(b"b")
    os.utime(inbox / "below/b.png", ns=(0, 0))
    assert arrivals.settled(3.0) == [], "it has changed"
    assert arrivals.settled(5.0) == [inbox / "below/b.png", inbox / "a.png"], "the one that was changed first"
    assert arrivals.settled(9.0) == []
    (inbox / "old.png").write_bytes(b"another")
    (inbox / "below/b.png").unlink()
    assert arrivals.settled(10.0) == []
    assert arrivals.settled(12.0) == [inbox / "old.png"]
    (inbox / "below/b.png").write_bytes(b"b")
    os.utime(inbox / "below/b.png", ns=(0, 0))
    assert arrivals.settled(13.0) == []
    assert arrivals.settled(15.0) == [inbox / "below/b.png"], "the same name again, of another file"


def test_the_files_are_those_that_a_detector_looks_at(inbox):
    made = [inbox / name for name in ("a.png", "below/b.png", "linked.png")]
    (inbox / "below").mkdir()
    (inbox / ".hidden").mkdir()
    for path in (*made[:2], inbox / ".hidden/c.png", inbox / "below/.d.png"):
        path.write_bytes(b"x")
    made[2].symlink_to("a.png")
    (inbox / "folder").symlink_to("below")
    (inbox / "nothing.png").symlink_to("none")
    assert set(watch.Arrivals(inbox).present()) == set(map(str, made)) == {str(path) for path in files(inbox) if path.is_file()}


def test_a_folder_that_cannot_be_listed_for_a_moment_still_has_its_files(inbox, monkeypatch):
    (inbox / "below").mkdir()
    (inbox / "below/old.png").write_bytes(b"old")
    arrivals, present = watch.Arrivals(inbox), watch.Arrivals.present
    monkeypatch.setattr(watch.Arrivals, "present", lambda _: {})
    assert arrivals.settled(1.0) == []
    monkeypatch.setattr(watch.Arrivals, "present", present)
    assert arrivals.settled(3.0) == arrivals.settled(9.0) == []
    shutil.rmtree(inbox / "below")
    arrivals.settled(10.0)
    assert arrivals.known == {}, "nothing is kept of what has gone"


def test_a_file_whose_time_is_changed_back_is_not_the_same_if_its_size_is_not(inbox):
    arrivals = watch.Arrivals(inbox)
    for size in (1, 2):
        (inbox / "a.png").write_bytes(b"x" * size)
        os.utime(inbox / "a.png", ns=(0, 0))
        assert arrivals.settled(10.0 * size) == []
    assert arrivals.settled(21.0) == []
    assert arrivals.settled(22.0) == [inbox / "a.png"]


def test_nothing_is_kept_of_pictures_that_never_end():
    seen = watch.Seen({"resized": 0.0, "lossy": 0.0}, endless=True)
    for _ in range(3):
        seen.add([Named("a.png", np.zeros((4, 4, 1), np.uint8))])
        seen.skip("b.png cannot be read as a picture")
    assert (seen.images, seen.alike.total) == (3, 0)
    assert (seen.skipped, seen.faults) == (3, [])


def watched(monkeypatch, exported, inbox, steps, *options):
    """The status of a watch during which these steps happen, a second apart; then Ctrl-C."""
    torch.set_default_dtype(torch.float32)
    clock, todo = [0.0], iter([*steps, *[lambda: None] * 3])

    def sleep(_seconds):
        clock[0] += 1.0
        step = next(todo, lambda: signal.raise_signal(signal.SIGINT))
        step()

    monkeypatch.setattr(watch.time, "sleep", sleep)
    monkeypatch.setattr(watch.time, "monotonic", lambda: clock[0])
    before = signal.getsignal(signal.SIGINT)
    arguments = ["watch", "--detector", str(exported), "--model", "glow", *options, str(inbox)]
    status = watch.run(cli.parser().parse_args(arguments))
    assert signal.getsignal(signal.SIGINT) is before
    return status


def test_pictures_are_judged_as_they_arrive_and_drift_raises_one_alarm(monkeypatch, exported, inbox, capsys):
    noise(inbox / "old.png")
    whole = (inbox / "old.png").read_bytes()

    def several():
        for number in range(12):
            noise(inbox / f"noise{number:02d}.png")

    steps = [
        lambda: (inbox / "slow.png").write_bytes(whole[:300]),
        lambda: (inbox / "slow.png").write_bytes(whole),
        lambda: (inbox / "text.png").write_text("x"),
        several,
    ]
    assert watched(monkeypatch, exported, inbox, steps) == watch.ALARMED
    done = capsys.readouterr()
    lines = done.out.splitlines()
    verdicts = [line for line in lines if not line.startswith("ALARM")]
    assert verdicts[0].startswith("FLAGGED  p 0.00")
    assert [line.rpartition("/")[2] for line in verdicts] == ["slow.png", *(f"noise{number:02d}.png" for number in range(12))]
    (alarm,) = [line for line in lines if line.startswith("ALARM    the pictures are more outlying than those trained on: ")]
    assert alarm.rpartition("/")[2].startswith("noise")
    messages = done.err.splitlines()
    assert messages[0] == f"watching {inbox}; files that are there already: 1; Ctrl-C ends"
    assert f"skipped: {inbox}/text.png cannot be read as a picture" in messages[1]
    assert messages[-1].startswith(
        "13 of 13 images flagged by glow.code_kde at a rate of false alarms of 0.05; 1 skipped; alarm at image "
    )


def test_a_look_that_takes_long_is_followed_by_a_rest_as_long(monkeypatch, exported, inbox):
    clock, rests, takes = [0.0], [], iter([3.0, 0.1])

    def settled(_arrivals, _now):
        clock[0] += next(takes)
        return []

    def sleep(seconds):
        rests.append(seconds)
        if len(rests) == 2:
            signal.raise_signal(signal.SIGINT)

    monkeypatch.setattr(watch.Arrivals, "settled", settled)
    monkeypatch.setattr(watch.time, "sleep", sleep)
    monkeypatch.setattr(watch.time, "monotonic", lambda: clock[0])
    watch.run(cli.parser().parse_args(["watch", "--detector", str(exported), "--model", "glow", str(inbox)]))
    assert rests == [pytest.approx(3.0), watch.POLL]


def test_without_drift_there_is_no_alarm_and_status_0(monkeypatch, exported, inbox, capsys):
    assert watched(monkeypatch, exported, inbox, [lambda: noise(inbox / "one.png")]) == 0
    done = capsys.readouterr()
    assert len(done.out.splitlines()) == 1
    assert done.err.splitlines()[-1].endswith(
        "1 of 1 images flagged by glow.code_kde at a rate of false alarms of 0.05; 0 skipped; no alarm"
    )


def test_a_folder_that_goes_away_is_named_after_the_summary(monkeypatch, exported, inbox, capsys):
    with pytest.raises(InputError, match="inbox is not a folder"):
        watched(monkeypatch, exported, inbox, [inbox.rmdir])
    assert (
        "0 of 0 images flagged by glow.code_kde at a rate of false alarms of 0.05; 0 skipped; no alarm" in capsys.readouterr().err
    )


@pytest.mark.slow
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_ends_it_with_a_summary(exported, inbox, number):
    program = [f"{warm.folder()}/python", "-m", "likelihood.cli", "watch", "--detector", exported, "--model", "glow", inbox]
    settings = {"env": {**os.environ, "PYTHONPATH": str(ROOT / "src")}, "stderr": subprocess.PIPE, "text": True}
    with subprocess.Popen(program, stdout=subprocess.PIPE, **settings) as process:
        assert process.stderr.readline().startswith("watching ")
        time.sleep(0.1)
        process.send_signal(number)
        _, said = process.communicate()
    assert (process.returncode, said) == (
        0,
        "0 of 0 images flagged by glow.code_kde at a rate of false alarms of 0.05; 0 skipped; no alarm\n",
    )


def test_the_rates_are_those_that_were_asked_for(monkeypatch, exported, inbox, capsys):
    def several():
        for number in range(12):
            noise(inbox / f"noise{number:02d}.png")

    assert watched(monkeypatch, exported, inbox, [several], "--rate", "0.2", "--alarm", "1e-99") == 0
    assert capsys.readouterr().err.splitlines()[-1].endswith("at a rate of false alarms of 0.2; 0 skipped; no alarm")


def test_the_alarm_names_the_image_that_raised_it(monkeypatch, exported, inbox, capsys):
    def several():
        for number in range(12):
            noise(inbox / f"noise{number:02d}.png")

    watched(monkeypatch, exported, inbox, [several])
    done = capsys.readouterr()
    (alarm,) = [line for line in done.out.splitlines() if line.startswith("ALARM")]
    number = int(done.err.rpartition("alarm at image ")[2])
    assert number < 12, "the test is blind"
    assert alarm.endswith(f", with image {number}, {inbox}/noise{number - 1:02d}.png")
