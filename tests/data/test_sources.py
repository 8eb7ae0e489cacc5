"""The download paths, from archives of our own on a server of this machine: the same formats, the same checks."""

import contextlib
import functools
import gzip
import hashlib
import http.server
import io
import tarfile
import threading

import numpy as np
import pytest
from scipy.io import savemat

from likelihood.data import base, sources

datasets = pytest.importorskip("torchvision.datasets")
COUNTS = {"train": 10, "test": 3}
GREY = {split: np.random.RandomState(0).randint(0, 256, (n, 28, 28), dtype=np.uint8) for split, n in COUNTS.items()}
COLOUR = {split: np.random.RandomState(1).randint(0, 256, (n, 32, 32, 3), dtype=np.uint8) for split, n in COUNTS.items()}
LABELS = {split: np.random.RandomState(2).randint(0, 10, n, dtype=np.uint8) for split, n in COUNTS.items()}


class Quiet(http.server.SimpleHTTPRequestHandler):
    def log_message(self, *arguments):
        pass


@pytest.fixture
def served(tmp_path, monkeypatch):
    """A folder, and the address under which a server of this machine serves it."""
    folder = tmp_path / "served"
    folder.mkdir()
    for variable in ("http_proxy", "https_proxy", "HTTP_PROXY", "HTTPS_PROXY"):
        monkeypatch.delenv(variable, raising=False)
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), functools.partial(Quiet, directory=folder))
    threading.Thread(target=server.serve_forever, args=(0.01,), daemon=True).start()  # seconds that it takes to stop
    with contextlib.closing(server.socket):
        yield folder, f"http://127.0.0.1:{server.server_port}/"
        server.shutdown()


def md5(content):
    return hashlib.md5(content).hexdigest()


def idx(array):
    """A file of MNIST's format, compressed."""
    header = bytes([0, 0, 8, array.ndim]) + b"".join(size.to_bytes(4, "big") for size in array.shape)
    return gzip.compress(header + array.tobytes())


def serve_idx(served, monkeypatch, loader):
    folder, address = served
    resources = []
    for split, stem in (("train", "train"), ("test", "t10k")):
        for kind, array in (("images-idx3", GREY[split]), ("labels-idx1", LABELS[split])):
            name, content = f"{stem}-{kind}-ubyte.gz", idx(array)
            (folder / name).write_bytes(content)
            resources.append((name, md5(content)))
    monkeypatch.setattr(getattr(datasets, loader), "mirrors", [address])
    monkeypatch.setattr(getattr(datasets, loader), "resources", resources)


def serve_cifar(served, monkeypatch, name):
    folder, address = served
    archive = sources.CIFAR[name]
    content = io.BytesIO()
    with tarfile.open(fileobj=content, mode="w:gz") as tar:
        for split, files in archive.splits.items():
            flat = COLOUR[split].transpose(0, 3, 1, 2).reshape(COUNTS[split], -1)
            coarse = np.full((COUNTS[split], archive.labels - 1), 7, np.uint8)
            table = np.hstack([coarse, LABELS[split][:, None], flat])
            for file, part in zip(files, np.array_split(table, len(files)), strict=True):
                data = part.tobytes()
                member = tarfile.TarInfo(f"{archive.folder}/{file}")
                member.size = len(data)
                tar.addfile(member, io.BytesIO(data))
    (folder / archive.file).write_bytes(content.getvalue())
    monkeypatch.setattr(sources, "ADDRESS", address)
    monkeypatch.setitem(sources.CIFAR, name, archive._replace(md5=md5(content.getvalue())))


def serve_svhn(served, monkeypatch, loader):
    folder, address = served
    lists = {}
    for split, pixels in COLOUR.items():
        content = io.BytesIO()
        savemat(content, {"X": pixels.transpose(1, 2, 3, 0), "y": LABELS[split][:, None]})
        (folder / f"{split}.mat").write_bytes(content.getvalue())
        lists[split] = [f"{address}{split}.mat", f"{split}.mat", md5(content.getvalue())]
    monkeypatch.setattr(datasets.SVHN, "split_list", lists)


SERVED = {
    "mnist": ("MNIST", serve_idx, GREY),
    "fashion_mnist": ("FashionMNIST", serve_idx, GREY),
    "kmnist": ("KMNIST", serve_idx, GREY),
    "cifar10": ("cifar10", serve_cifar, COLOUR),
    "cifar100": ("cifar100", serve_cifar, COLOUR),
    "svhn": ("SVHN", serve_svhn, COLOUR),
}


def source(name):
    """The first source of a set, which is a server."""
    return base.get(name).sources[0]


def test_half_a_record_is_refused():
    with pytest.raises(RuntimeError, match="does not hold whole records of 3073 bytes"):
        sources.records(bytes(3073 + 5), 1)


def test_every_set_from_a_server_is_tried_here():
    published = {name for name in base.names() if isinstance(base.get(name), base.Published) and base.get(name).sources}
    assert published - {"mnist_5k"} == SERVED.keys()  # which comes from a package


@pytest.mark.parametrize("name", SERVED)
def test_a_set_is_downloaded_unpacked_and_given_in_canonical_layout_with_its_labels(name, served, monkeypatch, tmp_path):
    loader, serve, expected = SERVED[name]
    serve(served, monkeypatch, loader)
    fetched = source(name).fetch(tmp_path / "scratch")
    assert fetched.keys() == {"train", "test", "train_labels", "test_labels"}
    for split in COUNTS:
        assert fetched[split].dtype == np.uint8
        np.testing.assert_array_equal(fetched[split], expected[split])
        np.testing.assert_array_equal(fetched[f"{split}_labels"], LABELS[split])


@pytest.mark.parametrize("name", SERVED)
def test_an_archive_that_is_not_the_published_one_is_refused(name, served, monkeypatch, tmp_path):
    loader, serve, _ = SERVED[name]
    serve(served, monkeypatch, loader)
    for file in served[0].iterdir():
        content = bytearray(file.read_bytes())
        content[len(content) // 2] ^= 1
        file.write_bytes(content)
    with pytest.raises(RuntimeError):
        source(name).fetch(tmp_path / "scratch")
