"""Every family of the project, small, found by listing the folder of models: the laws run over what is there."""

import inspect
import itertools
from typing import Annotated, Literal, get_args, get_origin

import numpy as np
import torch

from likelihood.models.shared import checkpoint
from likelihood.settings import schema

NAMES = sorted(schema.families())

# Constructor arguments that make a model small, one entry a variant; a model without an entry has them by its annotations.
ARGUMENTS = {
    "vae": [
        {"network": network, "hidden": hidden, "latent": 3, "likelihood": likelihood}
        for network, hidden in (("dense", 12), ("convolutional", 4))
        for likelihood in ("logistic", "mixture", "bernoulli")
    ],
    "pixelcnn": [{"layers": 3, "channels": 6, "dilation": 2, "pixels": pixels} for pixels in ("softmax", "mixture")],
    "glow": [
        {"scales": 2, "steps": 2, "hidden": 8, "coupling": coupling, "preprocessing": preprocessing, "dequantization": couplings}
        for coupling, preprocessing, couplings in itertools.product(("affine", "additive"), ("logit", "scale"), (0, 2))
    ],
}
GIVEN = ("shape", "levels")
SMALL = {int: [4], float: [0.5], bool: [False, True]}


def variants(model):
    """Small arguments for a model's constructor by its annotations: every word of a `Literal`, both truths of a `bool`."""
    parameters = [p for p in inspect.signature(model).parameters.values() if p.name not in GIVEN]
    kinds = [get_args(p.annotation)[0] if get_origin(p.annotation) is Annotated else p.annotation for p in parameters]
    values = [get_args(kind) if get_origin(kind) is Literal else SMALL[kind] for kind in kinds]
    return [dict(zip([p.name for p in parameters], chosen, strict=True)) for chosen in itertools.product(*values)]


ARGUMENTS |= {name: variants(checkpoint.model_class(name)) for name in NAMES if name not in ARGUMENTS}
VARIANTS = [(name, arguments) for name in NAMES for arguments in ARGUMENTS[name]]
IDS = ["-".join([name, *(str(v) for v in arguments.values() if isinstance(v, str))]) for name, arguments in VARIANTS]


def images(n, shape, levels=256, seed=0):
    """Random uint8 images (n, *shape)."""
    return torch.from_numpy(np.random.default_rng(seed).integers(0, levels, (n, *shape), dtype=np.uint8))


def build(name, arguments, shape, levels=256):
    """A model whose parameters are all random, as after training: zero-initialised layers would hide mistakes."""
    torch.manual_seed(0)
    model = checkpoint.model_class(name)(shape=shape, levels=levels, **arguments)
    x = images(32, shape, levels, seed=1)
    model.initialize(x, model.noise(len(x), np.random.default_rng(0)))
    generator = torch.Generator().manual_seed(1)
    for parameter in model.parameters():
        parameter.data += 0.1 * torch.randn(parameter.shape, generator=generator)
    return model
