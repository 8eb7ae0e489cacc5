"""The parameters with the changes of a file of profiles/."""

from typing import Any

import yaml

from bench.machine import ROOT
from likelihood.common import params


def profile(name: str) -> dict[str, Any]:
    """params.yaml with the changes of profiles/<name>.args."""
    values = params.load(ROOT / "params.yaml")
    for word in (ROOT / "profiles" / f"{name}.args").read_text(encoding="utf-8").split()[1::2]:
        key, text = word.split("=", 1)
        *sections, last = key.split(".")
        place = values
        for section in sections:
            place = place[section]
        place[last] = yaml.safe_load(text)
    return values
