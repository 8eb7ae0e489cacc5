"""Fetching: no pixel enters unchecked, no failure leaves anything behind."""

import errno
import socket
import subprocess
import sys
import types

import numpy as np
import pytest

from likelihood.common import images
from likelihood.common.errors import InputError
from likelihood.data import base, fetching, sources
from tests.helpers import COLOUR, GREY, files


def tiny(*fetches):
    """A published set of the six grey images, with these functions as its sources."""
    splits = {"train": base.Split(4, images.sha256(GREY[:4])), "test": base.Split(2, images.sha256(GREY[4:]))}
    sources = tuple(base.Source(f"source {number}", fetch) for number, fetch in enumerate(fetches))
    return base.Published(shape=(4, 5), splits=splits, sources=sources, licence="none")


def right(scratch):
    return {"train": GREY[:4], "test": GREY[4:]}


def unreachable(scratch):
    (scratch / "half.gz").write_bytes(b"half")
    raise OSError("Error downloading it:\nTried a mirror, got:\nName or service not known\n")


def raising(error):
    def fetch(scratch):
        raise error

    return fetch


def test_what_a_source_gives_is_kept_and_not_fetched_twice(tmp_path):
    pixels, origin = fetching.fetch("tiny", tiny(right), "train", tmp_path, None)
    np.testing.assert_array_equal(pixels, GREY[:4])
    assert origin == "source 0"
    assert files(tmp_path) == ["tiny/test.npy", "tiny/train.npy"]
    pixels, origin = fetching.fetch("tiny", tiny(raising(AssertionError("asked again"))), "test", tmp_path, None)
    np.testing.assert_array_equal(pixels, GREY[4:])
    assert origin == str(tmp_path / "tiny/test.npy")


def test_the_next_source_is_tried_when_one_fails_or_gives_other_pixels(tmp_path):
    def wrong(scratch):
        return {"train": GREY[:4], "test": GREY[4:] ^ 1}

    pixels, origin = fetching.fetch("tiny", tiny(unreachable, wrong, right), "test", tmp_path, None)
    np.testing.assert_array_equal(pixels, GREY[4:])
    assert origin == "source 2"


@pytest.mark.parametrize(
    ("spoil", "fault"),
    [
        (lambda pixels: pixels ^ 1, "SHA-256"),
        (lambda pixels: pixels[:1], r"shape \(1, 4, 5\), not uint8 of shape \(2, 4, 5\)"),
        (lambda pixels: pixels.astype(float), "float64"),
    ],
)
def test_wrong_pixels_are_refused_and_nothing_is_left(tmp_path, spoil, fault):
    with pytest.raises(InputError, match=fault):
        fetching.fetch("tiny", tiny(lambda scratch: {"train": GREY[:4], "test": spoil(GREY[4:])}), "train", tmp_path, None)
    assert list(tmp_path.iterdir()) == []


def test_a_missing_network_is_one_sentence_with_each_reason_and_nothing_is_left(tmp_path):
    with pytest.raises(InputError) as caught:
        fetching.fetch("tiny", tiny(unreachable, raising(ImportError("no such package"))), "test", tmp_path, None)
    message = str(caught.value)
    assert "\n" not in message
    for part in (
        "tiny",
        "source 0 (Name or service not known)",
        "source 1 (no such package)",
        "LIKELIHOOD_IMAGES",
        "tiny/test.npz",
    ):
        assert part in message
    assert list(tmp_path.iterdir()) == []


def test_a_full_disk_ends_the_fetch_and_nothing_is_left(tmp_path):
    def filling(scratch):
        (scratch / "half").write_bytes(b"half")
        raise OSError(errno.ENOSPC, "No space left on device")

    with pytest.raises(InputError, match="the disk is full while fetching tiny"):
        fetching.fetch("tiny", tiny(filling, right), "test", tmp_path, None)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    "spoil", [lambda kept: kept[:-7], lambda kept: kept[:-1] + bytes([kept[-1] ^ 1]), lambda kept: b"", lambda kept: b"x"]
)
def test_a_damaged_kept_file_is_fetched_anew(tmp_path, spoil):
    fetching.fetch("tiny", tiny(right), "test", tmp_path, None)
    kept = tmp_path / "tiny/test.npy"
    whole = kept.read_bytes()
    kept.write_bytes(spoil(whole))
    pixels, origin = fetching.fetch("tiny", tiny(right), "test", tmp_path, None)
    np.testing.assert_array_equal(pixels, GREY[4:])
    assert origin == "source 0"
    assert kept.read_bytes() == whole


def test_the_users_folder_is_tried_first_and_a_split_it_lacks_comes_from_elsewhere(tmp_path):
    (tmp_path / "mine/tiny").mkdir(parents=True)
    np.savez_compressed(tmp_path / "mine/tiny/test.npz", images=GREY[4:], labels=np.zeros(2))
    never = tiny(raising(AssertionError("a source was asked")))
    pixels, origin = fetching.fetch("tiny", never, "test", tmp_path / "downloads", tmp_path / "mine")
    np.testing.assert_array_equal(pixels, GREY[4:])
    assert origin == str(tmp_path / "mine/tiny/test.npz")
    assert fetching.fetch("tiny", tiny(right), "train", tmp_path / "downloads", tmp_path / "mine")[1] == "source 0"


@pytest.mark.parametrize(
    ("content", "fault"),
    [
        ({"images": GREY[:2]}, "SHA-256"),
        ({"pictures": GREY[4:]}, "no key 'images'"),
        ({"images": GREY[4:].astype(np.int64)}, "int64"),
        ({"images": COLOUR[:2, ..., :2]}, r"\(2, 4, 5, 2\)"),
        ({"images": np.array([{}], dtype=object)}, "cannot be read"),
        (b"not a zip archive", "cannot be read"),
    ],
)
def test_a_wrong_file_in_the_users_folder_is_refused_by_name(tmp_path, content, fault):
    path = tmp_path / "tiny/test.npz"
    path.parent.mkdir()
    if isinstance(content, bytes):
        path.write_bytes(content)
    else:
        np.savez(path, **content)
    with pytest.raises(InputError, match=fault) as caught:
        fetching.fetch("tiny", tiny(right), "test", tmp_path / "downloads", tmp_path)
    assert str(path) in str(caught.value)


def test_a_users_folder_that_does_not_exist_is_refused(tmp_path):
    with pytest.raises(InputError, match=r"LIKELIHOOD_IMAGES names .*nowhere"):
        fetching.fetch("tiny", tiny(right), "test", tmp_path, tmp_path / "nowhere")


def test_torchvision_is_given_a_timeout_which_is_taken_back(tmp_path, monkeypatch):
    seen = []

    class Loader:
        def __init__(self, root, train, download):
            seen.append((root, download, socket.getdefaulttimeout()))
            self.data = GREY[:4] if train else GREY[4:]
            self.targets = np.arange(len(self.data))

    monkeypatch.setitem(sys.modules, "torchvision", types.SimpleNamespace(datasets=types.SimpleNamespace(Loader=Loader)))
    before = socket.getdefaulttimeout()
    fetched = sources.torchvision("Loader").fetch(tmp_path)
    np.testing.assert_array_equal(fetched["train"], GREY[:4])
    np.testing.assert_array_equal(fetched["test"], GREY[4:])
    np.testing.assert_array_equal(fetched["test_labels"], [0, 1])
    assert seen == [(tmp_path, True, sources.TIMEOUT)] * 2
    assert socket.getdefaulttimeout() == before


def play_apt(monkeypatch, answers):
    """Let every command end as `answers` says, by its verb: (status, standard error); returns the list of commands."""
    commands = []

    def run(command, cwd, **others):
        commands.append(command)
        status, said = answers.get(command[-1 if command[-1] == "update" else -2], (0, ""))
        if "download" in command and status == 0:
            (cwd / f"{command[-1]}_1_all.deb").write_bytes(b"")
        return subprocess.CompletedProcess(command, status, "", said)

    monkeypatch.setattr(sources.subprocess, "run", run)
    monkeypatch.setattr(sources.shutil, "which", lambda tool: f"/usr/bin/{tool}")
    return commands


def test_apt_keeps_its_state_inside_the_scratch_folder_and_installs_nothing(tmp_path, monkeypatch):
    commands = play_apt(monkeypatch, {})
    assert sources.unpack("package", tmp_path) == tmp_path / "root"
    assert [next(word for word in command[1:] if not word.startswith("-")) for command in commands[:2]] == ["update", "download"]
    for command in commands[:2]:
        assert f"-oDir::State={tmp_path / 'state'}" in command
        assert f"-oDir::Cache={tmp_path / 'cache'}" in command
    assert commands[2] == ["dpkg-deb", "-x", "package_1_all.deb", str(tmp_path / "root")]


def test_apts_failure_tells_the_cause_that_its_update_only_warned_of(tmp_path, monkeypatch):
    play_apt(monkeypatch, {"update": (0, "W: no route\nW: ignored"), "download": (100, "E: Unable to locate package")})
    with pytest.raises(RuntimeError, match="E: Unable to locate package; W: no route"):
        sources.unpack("package", tmp_path)


@pytest.mark.parametrize("said", ["E: write (28: No space left on device)", "E: You don't have enough free space in /tmp"])
def test_apts_full_disk_is_known_as_one(tmp_path, monkeypatch, said):
    play_apt(monkeypatch, {"update": (100, said)})
    with pytest.raises(OSError, match="No space left") as caught:
        sources.unpack("package", tmp_path)
    assert caught.value.errno == errno.ENOSPC


def test_a_machine_without_apt_is_told_so(tmp_path, monkeypatch):
    monkeypatch.setattr(sources.shutil, "which", lambda tool: None)
    with pytest.raises(RuntimeError, match="no apt-get"):
        sources.unpack("package", tmp_path)
