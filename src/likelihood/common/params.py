"""The one reader of params.yaml.

YAML 1.1, which PyYAML implements, takes 1e-05 for a string; DVC writes floats so. This reader follows YAML 1.2. What the values
may be is checked once, by the stage `check`, before anything else runs.
"""

import re
from pathlib import Path
from typing import Any

import yaml

from likelihood.common.errors import InputError

FILE = Path("params.yaml")
MODELS = ("vae", "pixelcnn", "glow")  # that every benchmark trains
FLOAT = re.compile(r"[-+]?(\d+(\.\d*)?|\.\d+)([eE][-+]?\d+)$|[-+]?(\d+\.\d*|\.\d+)$|[-+]?\.(inf|Inf|INF)$|\.(nan|NaN|NAN)$")


class _Loader(yaml.SafeLoader):
    """SafeLoader with the floats of YAML 1.2."""


_Loader.add_implicit_resolver("tag:yaml.org,2002:float", FLOAT, list("-+.0123456789"))


def load(path: Path = FILE) -> dict[str, Any]:
    """Everything in params.yaml, nested. Raises InputError where the file is absent or not YAML."""
    try:
        with path.open(encoding="utf-8") as file:
            values = yaml.load(file, _Loader)
    except FileNotFoundError:
        raise InputError(f"{path} is not here: run this from the folder of the project that holds it") from None
    except yaml.YAMLError as error:
        raise InputError(f"{path} is not valid YAML: {' '.join(str(error).split())}") from None
    if not isinstance(values, dict):
        raise InputError(f"{path} must hold a mapping of keys to values")
    return values


def of_benchmark(values: dict[str, Any], benchmark: str) -> dict[str, Any]:
    """A benchmark's entry in params.yaml; InputError naming those there are where it has none."""
    known = values["benchmarks"]
    if benchmark not in known:
        raise InputError(f"there is no benchmark {benchmark!r} in params.yaml: the known ones are {', '.join(known)}")
    return known[benchmark]


def of_model(values: dict[str, Any], model: str, benchmark: str) -> dict[str, Any]:
    """A model's settings in a benchmark: `model`, overridden by the model's own section, then by the benchmark's.

    Arguments:
        values: all of params.yaml.
        model: a model's section, as `glow`; an empty value there inherits.
        benchmark: a key of `benchmarks`; what stands there under the model's name comes last.
    """
    own = {key: value for key, value in values[model].items() if value is not None}
    return {**values["model"], **own, **of_benchmark(values, benchmark)[model]}
