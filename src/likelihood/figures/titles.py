"""How figures and pages call models, variants, data sets and units: every title stands here."""

from likelihood.common.units import Unit

TITLES = {
    "vae": "VAE",
    "vae_binarised": "VAE, binarised images",
    "pixelcnn": "Gated PixelCNN",
    "glow": "Glow",
    "none": "no model",
    "all": "all models",
}
SET_TITLES = {
    "fashion_mnist": "Fashion-MNIST",
    "fashion_tops": "Fashion-MNIST tops",
    "fashion_other": "Fashion-MNIST others",
    "mnist": "MNIST",
    "mnist_low": "MNIST 0–4",
    "mnist_high": "MNIST 5–9",
    "mnist_5k": "MNIST (5k)",
    "kmnist": "KMNIST",
    "notmnist": "notMNIST",
    "omniglot28": "Omniglot 28×28",
    "cifar10": "CIFAR-10",
    "cifar10_30k": "CIFAR-10 (30k)",
    "cifar10_animals": "CIFAR-10 animals",
    "cifar10_vehicles": "CIFAR-10 vehicles",
    "cifar100": "CIFAR-100",
    "svhn": "SVHN",
    "svhn_10k": "SVHN (10k)",
    "noise": "uniform noise",
    "constant": "constant grey",
    "samples": "its own samples",
}
# Bits of a value under a model that knows nothing.
BLIND: dict[Unit, float] = {"bits_per_dim": 8.0, "binary_bits_per_dim": 1.0}
AXIS: dict[Unit, str] = {"bits_per_dim": "bits/dim", "binary_bits_per_dim": "bits/dim of binarised images"}


def model_title(row: str) -> str:
    """The title of a row: of a model, or of a variant from its family's title and the rest of its name."""
    if row in TITLES:
        return TITLES[row]
    family = next((name for name in TITLES if row.startswith(f"{name}_")), None)
    return f"{TITLES[family]}, {kind(row, family).replace('_', ' ')}" if family else row


def kind(variant: str, family: str) -> str:
    """What a variant is to its family: its name without the family's."""
    return variant.removeprefix(f"{family}_")


def row_title(row: str, unit: Unit) -> str:
    """The title of a row, which says where it is of binarised images."""
    return model_title(row) + (" (binarised)" if unit != "bits_per_dim" and not row.endswith("_binarised") else "")


def set_title(name: str) -> str:
    """The title of a data set; a user's own has its name."""
    return SET_TITLES.get(name, name)


def score_title(model: str, title: str) -> str:
    """The title of a score of one model, from that of the score."""
    return f"{title}, {model_title(model)}"
