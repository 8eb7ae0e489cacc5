"""Weights on disk: safetensors, rebuilt from their own metadata, so nothing is unpickled and nothing need be remembered.

The metadata hold the family's name and its constructor's arguments. A family is a folder of likelihood/models, and its class is
the one in its model.py that derives from LikelihoodModel; it is imported when its name is asked for.

A finished model's weights are kept in half precision, half of the space: a mean likelihood moves by less than 0.001 bits/dim, and
all that is published is of these weights. A compact state takes a quarter, for weights that only show how a training went: a
large tensor is kept as bytes, of each row its largest value and every value as a share of it in
1/127; all else is in half precision.
"""

import errno
import importlib
import json
import os
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file

from likelihood.common.errors import InputError
from likelihood.models.shared.base import LikelihoodModel


def model_class(name: str) -> type[LikelihoodModel]:
    """The class of the family in folder `<name>`."""
    module = importlib.import_module(f"likelihood.models.{name}.model")
    (found,) = [
        value
        for value in vars(module).values()
        if isinstance(value, type) and issubclass(value, LikelihoodModel) and value.__module__ == module.__name__
    ]
    return found


LARGE = 1024  # numbers in a tensor that a compact state keeps as bytes
SCALE = ".row_scale"  # appended to such a tensor's name


def halved(state: dict[str, torch.Tensor]) -> dict[str, torch.Tensor]:
    """A state dict in half precision; `load` reads it."""
    return {key: value.half() if value.is_floating_point() else value for key, value in state.items()}


def compact(state: dict[str, torch.Tensor]) -> dict[str, torch.Tensor]:
    """A state dict as bytes and half-precision numbers; `load` reads it."""
    found = halved(state)
    for key, value in state.items():
        if value.is_floating_point() and value.dim() > 1 and value.numel() >= LARGE:
            scale = (value.flatten(1).abs().amax(dim=1) / 127.0).clamp(min=1e-12).view(-1, *[1] * (value.dim() - 1))
            found |= {key: torch.round(value / scale).to(torch.int8), key + SCALE: scale.float()}
    return found


def expanded(state: dict[str, torch.Tensor]) -> dict[str, torch.Tensor]:
    """The state dict of a compact one; any other as it is."""
    return {
        key: value * state[key + SCALE] if key + SCALE in state else value
        for key, value in state.items()
        if not key.endswith(SCALE)
    }


def save(path: Path, state: dict[str, torch.Tensor], name: str, arguments: dict[str, Any]) -> None:
    """Write a state dict with what is needed to rebuild its model, whole or not at all.

    Arguments:
        path: the file to write or replace.
        state: the model's state_dict.
        name: the model's file name, as `glow`.
        arguments: the constructor's arguments; everything that JSON can hold.
    """
    # One entry: several are written in no fixed order, and the same model must always give the same bytes.
    write(path, state, {"model": json.dumps({"name": name, "arguments": arguments})})


def write(path: Path, tensors: dict[str, torch.Tensor], metadata: dict[str, str]) -> None:
    """Write or replace a safetensors file, whole or not at all; makes the folder."""
    path.parent.mkdir(parents=True, exist_ok=True)
    partial = path.with_name(path.name + ".partial")
    try:
        save_file({key: value.detach().cpu().contiguous() for key, value in tensors.items()}, partial, metadata=metadata)
        os.replace(partial, path)
    except SafetensorError as error:
        if "No space left on device" in str(error):
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), str(path)) from None
        raise
    finally:
        partial.unlink(missing_ok=True)


def load(path: Path) -> tuple[str, LikelihoodModel]:
    """Rebuild a model from its file; return its name and itself, in evaluation mode on the CPU.

    Raises InputError naming the file when it is absent, damaged, or of another architecture than today's code builds.
    """
    try:
        with safe_open(path, framework="pt") as file:
            metadata = json.loads(file.metadata()["model"])
            state = {key: file.get_tensor(key) for key in file.keys()}  # noqa: SIM118 (not a mapping)
        name = metadata["name"]
        model = model_class(name)(**metadata["arguments"])
        model.load_state_dict(expanded(state))
    except FileNotFoundError:
        raise InputError(f"{path} is not here: train the model with `dvc repro`, or fetch it with `dvc pull`") from None
    except SafetensorError as error:
        raise InputError(f"{path} is damaged ({error}): delete it and run `dvc repro`") from None
    except (KeyError, TypeError, RuntimeError, ModuleNotFoundError, json.JSONDecodeError) as error:
        reason = str(error).splitlines()[0]
        raise InputError(f"{path} was written by other code than this ({reason}): train the model again") from None
    return name, model.eval()
