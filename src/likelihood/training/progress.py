"""What a training goes on from: its state after the last complete epoch.

Its folder is named after a hash of all that determines the result (settings, data, code), so a training never goes on from the
state of another. Epochs, weights and the optimisers' moments are one file, replaced whole: it is of one epoch at any moment.
"""

import hashlib
import json
from collections.abc import Iterable
from pathlib import Path

from safetensors import SafetensorError, safe_open
from torch import Tensor

from likelihood.models.shared import checkpoint
from likelihood.training.loop import Epoch


def fingerprint(settings: list[object], files: Iterable[Path]) -> str:
    """Hash of settings, anything that JSON can hold, and of the files' names and contents, as hexadecimal digits."""
    digest = hashlib.sha256(json.dumps(settings, sort_keys=True).encode())
    for path in files:
        with path.open("rb") as file:
            digest.update(path.name.encode() + hashlib.file_digest(file, "sha256").digest())
    return digest.hexdigest()


class Progress:
    """The state of one training in `folder`, made when there is something to keep."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.file = folder / "state.safetensors"

    def save(self, epochs: list[Epoch], tensors: dict[str, Tensor]) -> None:
        """Replace what is kept: the epochs so far, and the tensors to go on from."""
        checkpoint.write(self.file, tensors, {"epochs": json.dumps(epochs)})

    def load(self) -> tuple[list[Epoch], dict[str, Tensor]]:
        """The epochs and tensors last kept; none of either where nothing is kept or the file is damaged."""
        try:
            with safe_open(self.file, framework="pt") as file:
                epochs = [Epoch(*epoch) for epoch in json.loads(file.metadata()["epochs"])]
                return epochs, {key: file.get_tensor(key) for key in file.keys()}  # noqa: SIM118 (not a mapping)
        except (FileNotFoundError, SafetensorError):
            return [], {}
