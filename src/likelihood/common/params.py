"""The one reader of params.yaml, and of what `check` resolves from it.

YAML 1.1, which PyYAML implements, takes 1e-05 for a string; DVC writes floats so. This reader follows YAML 1.2. What the values
may be is checked once, by the stage `check`, before anything else runs.
"""

import json
import re
from pathlib import Path
from typing import Any

import yaml

from likelihood.common.errors import InputError

FILE = Path("params.yaml")
LONGEST = 300  # characters of a message that are a library's
MODELS = ("vae", "pixelcnn", "glow")  # that every benchmark trains
FLOAT = re.compile(r"[-+]?(\d+(\.\d*)?|\.\d+)([eE][-+]?\d+)$|[-+]?(\d+\.\d*|\.\d+)$|[-+]?\.(inf|Inf|INF)$|\.(nan|NaN|NAN)$")


class _Loader(yaml.SafeLoader):
    """SafeLoader with the floats of YAML 1.2, which refuses a key that stands twice."""

    def construct_mapping(self, node: yaml.MappingNode, deep: bool = False) -> dict[Any, Any]:
        """As SafeLoader; InputError naming the key and both lines."""
        lines: dict[str, int] = {}
        for key, _ in node.value:
            line = key.start_mark.line + 1
            if isinstance(key, yaml.ScalarNode) and key.tag != "tag:yaml.org,2002:merge":
                if key.value in lines:
                    raise InputError(
                        f"the key {key.value!r} stands twice, in lines {lines[key.value]} and {line}: keep one of them"
                    )
                lines[key.value] = line
        return super().construct_mapping(node, deep)


_Loader.add_implicit_resolver("tag:yaml.org,2002:float", FLOAT, list("-+.0123456789"))


def load(path: Path = FILE) -> dict[str, Any]:
    """Everything in params.yaml, nested. Raises InputError where the file is absent, not YAML, or has a key twice."""
    try:
        with path.open(encoding="utf-8") as file:
            values = yaml.load(file, _Loader)
    except FileNotFoundError:
        raise InputError(f"{path} is not here: run this from the folder of the project that holds it") from None
    except IsADirectoryError:
        raise InputError(f"{path} is a folder: put the file of parameters in its place") from None
    except InputError as error:
        raise InputError(f"{path}: {error}") from None
    except UnicodeDecodeError as error:
        raise InputError(f"{path} is not UTF-8 text (byte {error.start}): save it as UTF-8") from None
    except (yaml.YAMLError, RecursionError, ValueError) as error:  # ValueError: a number of thousands of digits
        reason = " ".join(str(error).split())[:LONGEST]
        raise InputError(f"{path} is not valid YAML: {reason}") from None
    if not isinstance(values, dict):
        raise InputError(f"{path} must hold a mapping of keys to values")
    return values


def of_benchmark(values: dict[str, Any], benchmark: str) -> dict[str, Any]:
    """A benchmark's entry in params.yaml; InputError naming those there are where it has none."""
    known = values["benchmarks"]
    if benchmark not in known:
        raise InputError(f"there is no benchmark {benchmark!r} in params.yaml: the known ones are {', '.join(known)}")
    return known[benchmark]


def resolved(benchmark: str, name: str) -> dict[str, Any]:
    """What `check` resolved for a benchmark (settings/resolve.py), as `glow/training` or `sets`; InputError if it is absent."""
    path = Path("data/settings") / benchmark / f"{name}.json"
    try:
        return json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise InputError(f"{path} is not here: name {benchmark} under `run` in params.yaml, then run `dvc repro`") from None
