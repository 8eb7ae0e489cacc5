"""dvc.lock: what every result was made from."""

from pathlib import Path
from typing import Any

import yaml

from likelihood.common.errors import InputError

Base = getattr(yaml, "CSafeLoader", yaml.SafeLoader)  # the C library reads it ten times as fast


class _Loader(Base):
    """A SafeLoader."""


def load(root: Path) -> dict[str, Any]:
    """The entry of every cell, by its name; InputError where there is no dvc.lock."""
    try:
        return yaml.load((root / "dvc.lock").read_text(encoding="utf-8"), _Loader)["stages"]
    except FileNotFoundError:
        raise InputError("dvc.lock is not here: run `dvc repro` first, from the folder of the project") from None
