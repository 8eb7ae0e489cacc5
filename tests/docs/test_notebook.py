"""The notebook runs from top to bottom, as it is committed, beside a detector's file; no Jupyter is needed for that."""

import hashlib
import json
import os
import shutil
import subprocess

import numpy as np
import pytest
from PIL import Image

from tests import warm
from tests.helpers import ROOT, files

NOTEBOOK = ROOT / "examples/detector.ipynb"
# The SHA-256 of the first hundred test images of Fashion-MNIST.
FIRST = "d8c9b85550f6c8fa33478e27cb3fe70fd34b4cc96e6ab91b911853b51fb3d527"
RUN = """
import json, sys
import matplotlib
matplotlib.use("Agg")
names = {}
for cell in json.load(open(sys.argv[1]))["cells"]:
    if cell["cell_type"] == "code":
        exec(compile("".join(cell["source"]), cell["id"], "exec"), names)
from matplotlib import pyplot
print("figures:", len(pyplot.get_fignums()))
"""


@pytest.mark.slow
def test_the_notebook_runs_and_finds_what_it_says(exported, tmp_path):
    shutil.copytree(NOTEBOOK.parent, tmp_path / "examples", ignore=shutil.ignore_patterns("*.detector", "pictures"))
    shutil.copy(exported, tmp_path / "examples/fashion_mnist.detector")
    (tmp_path / "run.py").write_text(RUN)
    run = subprocess.run(
        [f"{warm.folder()}/python", str(tmp_path / "run.py"), NOTEBOOK.name],
        cwd=tmp_path / "examples",
        env={**os.environ, "PYTHONPATH": str(ROOT / "src")},
        capture_output=True,
        text=True,
    )
    assert run.returncode == 0, run.stderr
    said = dict(line.split(": ", 1) for line in run.stdout.splitlines() if ": " in line)
    assert said["figures"] == "2"
    assert said["digits"].startswith("100% are flagged")
    assert int(said["clothes"].partition("%")[0]) <= 12, "of a hundred at a rate of 0.05"
    clothes, digits = (float(said[name].split()[-2]) for name in ("clothes", "digits"))
    assert digits < clothes - 0.3, "digits are more likely"
    assert said["shoe.png"].endswith("normal")
    assert said["digit.png"].endswith("flagged")
    assert files(tmp_path / "examples/pictures") == ["digit.png", "shoe.png"]


def test_the_notebook_is_committed_without_outputs():
    """So nothing in it is older than the committed models, and a change of it can be read."""
    notebook = json.loads(NOTEBOOK.read_text())
    assert notebook["nbformat"] == 4
    for cell in notebook["cells"]:
        assert cell["cell_type"] == "markdown" or (cell["outputs"] == [] and cell["execution_count"] is None)
    assert len({cell["id"] for cell in notebook["cells"]}) == len(notebook["cells"])


def test_the_sheet_of_clothes_is_of_test_images():
    sheet = np.asarray(Image.open(NOTEBOOK.parent / "clothes.png"))
    first = sheet.reshape(5, 28, 20, 28).swapaxes(1, 2).reshape(100, 28, 28)
    assert hashlib.sha256(first.tobytes()).hexdigest() == FIRST
