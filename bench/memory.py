"""What `likelihood detect` needs of memory: by build of PyTorch, and with a report and maps by number of pictures.

    importing    MB of a Python that imports PyTorch and nothing else
    first        MB of a call with one picture
    reported     MB of a call with `--report` and `--maps`

All are the most that a process ever had. Detector and pictures are those of detecting.py. `--python` names the Python of another
environment that has this package and another build of PyTorch. Needs `dvc pull` and the processed images: `dvc repro preprocess`.
"""

import argparse
import subprocess
import sys
import tempfile
from pathlib import Path

import numpy as np

from bench import detecting
from bench.machine import store
from likelihood.common import images

COUNTS = (300, 1000)


def build(python: str) -> str:
    """The version of PyTorch that a Python imports, with what it was built for."""
    command = [python, "-c", "import torch; print(torch.__version__)"]
    return subprocess.run(command, check=True, capture_output=True, text=True).stdout.strip()


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--python", action="append", default=[], help="the Python of another environment")
    pythons = [sys.executable, *parser.parse_args().python]
    x = np.array(images.load(Path(f"data/processed/{detecting.BENCHMARK}/in/test.npy")))
    builds, reported = {}, {}
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        file, one = detecting.exported(folder), detecting.written(x, folder / "one", 1)
        for python in pythons:
            importing, (_, _, first) = detecting.importing_torch(python), detecting.called(file, one, python=python)
            builds[build(python)] = {"importing": round(importing), "first": round(first)}
        for count in COUNTS:
            pictures, options = detecting.written(x, folder / str(count), count), []
            for option, path in (("--report", f"{count}.html"), ("--maps", f"{count} maps")):
                options += [option, str(folder / path)]
            reported[str(count)] = round(detecting.called(file, pictures, *options)[2])
    store("memory", {"builds": builds, "reported": reported})


if __name__ == "__main__":
    main()
