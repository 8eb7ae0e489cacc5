"""torchvision's download paths, from archives of our own on a server of this machine: the same formats, the same checks."""

import contextlib
import functools
import gzip
import hashlib
import http.server
import io
import pickle
import tarfile
import threading

import numpy as np
import pytest
from scipy.io import savemat

from likelihood.data import base, batches
from likelihood.data.mirrors import torchvision

datasets = pytest.importorskip("torchvision.datasets")
GREY = {split: np.random.RandomState(0).randint(0, 256, (n, 28, 28), dtype=np.uint8) for split, n in (("train", 7), ("test", 3))}
COLOUR = {
    split: np.random.RandomState(1).randint(0, 256, (n, 32, 32, 3), dtype=np.uint8) for split, n in (("train", 10), ("test", 3))
}


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
    threading.Thread(target=server.serve_forever, daemon=True).start()
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
        labels = np.zeros(len(GREY[split]), np.uint8)
        for kind, array in (("images-idx3", GREY[split]), ("labels-idx1", labels)):
            name, content = f"{stem}-{kind}-ubyte.gz", idx(array)
            (folder / name).write_bytes(content)
            resources.append((name, md5(content)))
    monkeypatch.setattr(getattr(datasets, loader), "mirrors", [address])
    monkeypatch.setattr(getattr(datasets, loader), "resources", resources)


def python_2_pickle(flat, label):
    """A batch as published: protocol 2, whose strings are bytes under Python 2, columns first if the array is."""
    by_columns = not flat.flags.c_contiguous
    content = flat.tobytes(order="F" if by_columns else "C")
    array = b"cnumpy.core.multiarray\n_reconstruct\ncnumpy\nndarray\nK\x00\x85U\x01b\x87R"
    kind = b"cnumpy\ndtype\nU\x02u1K\x00K\x01\x87R(K\x03U\x01|NNNJ\xff\xff\xff\xffJ\xff\xff\xff\xffK\x00tb"
    shape = b"".join(b"M" + size.to_bytes(2, "little") for size in flat.shape) + b"\x86"
    state = b"(K\x01" + shape + kind + (b"\x88" if by_columns else b"\x89")
    state += b"T" + len(content).to_bytes(4, "little") + content + b"tb"
    labels = f"U{chr(len(label))}{label}".encode() + b"](" + b"K\x00" * len(flat) + b"e"
    return b"\x80\x02}(U\x04data" + array + state + labels + b"u."


def serve_cifar(served, monkeypatch, loader):
    folder, address = served
    kind = getattr(datasets, loader)
    label = "labels" if loader == "CIFAR10" else "fine_labels"
    files = {}
    for split, names in (("train", [name for name, _ in kind.train_list]), ("test", [name for name, _ in kind.test_list])):
        for name, part in zip(names, np.array_split(COLOUR[split], len(names)), strict=True):
            flat = part.transpose(0, 3, 1, 2).reshape(len(part), -1)
            files[name] = python_2_pickle(flat, label)
    archive = io.BytesIO()
    with tarfile.open(fileobj=archive, mode="w:gz") as tar:
        for name, content in files.items():
            member = tarfile.TarInfo(f"{kind.base_folder}/{name}")
            member.size = len(content)
            tar.addfile(member, io.BytesIO(content))
    (folder / kind.filename).write_bytes(archive.getvalue())
    monkeypatch.setattr(kind, "url", address + kind.filename)
    monkeypatch.setattr(kind, "tgz_md5", md5(archive.getvalue()))
    for which in ("train_list", "test_list"):
        monkeypatch.setattr(kind, which, [[name, md5(files[name])] for name, _ in getattr(kind, which)])


def serve_svhn(served, monkeypatch, loader):
    folder, address = served
    lists = {}
    for split, pixels in COLOUR.items():
        content = io.BytesIO()
        savemat(content, {"X": pixels.transpose(1, 2, 3, 0), "y": np.ones((len(pixels), 1), np.uint8)})
        (folder / f"{split}.mat").write_bytes(content.getvalue())
        lists[split] = [f"{address}{split}.mat", f"{split}.mat", md5(content.getvalue())]
    monkeypatch.setattr(datasets.SVHN, "split_list", lists)


SERVED = {
    "mnist": ("MNIST", serve_idx, GREY),
    "fashion_mnist": ("FashionMNIST", serve_idx, GREY),
    "kmnist": ("KMNIST", serve_idx, GREY),
    "cifar10": ("CIFAR10", serve_cifar, COLOUR),
    "cifar100": ("CIFAR100", serve_cifar, COLOUR),
    "svhn": ("SVHN", serve_svhn, COLOUR),
}


def source(name):
    """The source of a set that is torchvision."""
    (found,) = [source for source in base.get(name).sources if source.name == "torchvision's mirrors"]
    return found


@pytest.mark.parametrize("order", ["C", "F"])
def test_a_batch_is_read_as_unpickling_it_would(order):
    flat = np.asarray(np.random.RandomState(2).randint(0, 256, (4, 3072), dtype=np.uint8), order=order)
    pickled = python_2_pickle(flat, "labels")
    np.testing.assert_array_equal(pickle.loads(pickled, encoding="latin1")["data"], flat)  # the form above is a pickle's
    np.testing.assert_array_equal(batches.rows(pickled), flat)
    np.testing.assert_array_equal(batches.rows(pickle.dumps({"data": flat})), flat)  # as Python 3 would write it


def test_a_pickle_that_would_run_something_is_not_run(tmp_path):
    class Evil:
        def __reduce__(self):
            return (tmp_path.joinpath("ran").touch, ())

    with pytest.raises(RuntimeError, match="holds no images of 3072 values"):
        batches.rows(pickle.dumps({"data": Evil()}))
    assert not (tmp_path / "ran").exists()


def test_every_set_from_torchvision_is_tried_here():
    published = [name for name in base.names() if isinstance(base.get(name), base.Published)]
    mirrored = {name for name in published if any(s.name == torchvision("MNIST").name for s in base.get(name).sources)}
    assert mirrored == SERVED.keys()


@pytest.mark.parametrize("name", SERVED)
def test_a_set_is_downloaded_unpacked_and_given_in_canonical_layout(name, served, monkeypatch, tmp_path):
    loader, serve, expected = SERVED[name]
    serve(served, monkeypatch, loader)
    fetched = source(name).fetch(tmp_path / "scratch")
    assert fetched.keys() == {"train", "test"}
    for split, pixels in fetched.items():
        assert pixels.dtype == np.uint8
        np.testing.assert_array_equal(pixels, expected[split])


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
