"""A user's own colour pictures from end to end: trained on by the colour models, scored, drawn; DVC sees their content."""

import json
import re
import time

import numpy as np
import pytest
import yaml
from PIL import Image

from likelihood.common import params
from likelihood.settings import checks
from tests.clone import Clone, ran
from tests.helpers import ROOT, git

pytestmark = pytest.mark.slow

OWN = """own:
  mine:
    height: 8
    width: 12
    channels: 3
    convert: true
"""
BENCHMARK = """  pictures:
    in: mine
    out:
    - constant
    vae: {lr: 0.0005, latent: 20}
    glow: {scales: 2}
"""


@pytest.fixture(scope="module")
def clone(tmp_path_factory):
    clone = Clone(tmp_path_factory.mktemp("clone"))
    folder = clone.folder / "data/own/mine"
    folder.mkdir()
    for number in range(60):
        pixels = np.random.default_rng(number).integers(0, 120, (10, 15, 3), dtype=np.uint8)
        pixels[:5] += 100  # light above, dark below
        Image.fromarray(pixels).save(folder / f"{number}.png")
    text = clone.read("params.yaml").replace("variants:\n", f"{BENCHMARK}variants:\n").replace("own: {}\n", OWN)
    text = text.replace("validation_fraction: 0.1", "validation_fraction: 0.4")  # there are few pictures
    clone.write("params.yaml", text.replace("run:\n- mnist_5k\n", "run:\n- pictures\n"))
    clone.dvc("repro")
    return clone


def test_every_model_is_trained_and_scored_on_them(clone):
    metrics = json.loads(clone.read("metrics/pictures/ood/metrics.json"))
    assert metrics["images"] == {"train": 29, "test": 12, "constant": 60}  # of 60, 12 for testing and 19 for validation
    for model in ("vae", "pixelcnn", "glow"):
        assert set(metrics[model]["bits_per_dim"]) == {"train", "test", "constant"}
        assert all(0.0 < value < 100.0 for value in metrics[model]["bits_per_dim"].values())
    assert np.load(clone.folder / "data/processed/pictures/in/train.npy").shape == (29, 3, 8, 12)
    assert (clone.folder / "plots/pictures/figures/samples.png").is_file()


def test_the_detector_tells_pictures_of_another_kind_from_new_ones_of_the_same(clone, tmp_path):
    for number in range(10):
        new = np.random.default_rng(1000 + number).integers(0, 120, (10, 15, 3), dtype=np.uint8)
        new[:5] += 100
        Image.fromarray(new).save(tmp_path / f"same{number}.png")
        Image.fromarray(np.full((9, 9), 25 * number, np.uint8)).save(tmp_path / f"other{number}.png")
    done = clone.likelihood("detect", "--benchmark", "pictures", "--rate", "0.1", tmp_path)
    assert done.returncode == 1, done.stderr
    flagged = [line.startswith("FLAGGED") for line in done.stdout.splitlines()]
    assert all(flagged[:10]), "constant pictures come first, by name"
    assert sum(flagged[10:]) <= 5  # one expected; ten calibration images and ten new ones leave much to chance


def test_the_documented_example_of_own_images_is_allowed():
    (text,) = re.findall(r"```\n(own:\n.*?)```", (ROOT / "docs/detect.md").read_text(), re.S)
    values, example = params.load(ROOT / "params.yaml"), yaml.safe_load(text)
    values["own"] |= example["own"]
    values["benchmarks"] |= example["benchmarks"]
    checks.check({**values, "run": ["holidays"]})
    assert len(text.splitlines()) <= 10


def lock(clone, revision):
    """The hash of the user's own pictures, by the lock of a commit or of the workspace."""
    text = git("show", f"{revision}:dvc.lock", cwd=clone.folder) if revision else clone.read("dvc.lock")
    return {
        dep["md5"]
        for stage in yaml.safe_load(text)["stages"].values()
        for dep in stage.get("deps", [])
        if dep["path"] == "data/own"
    }


def revision(clone, name):
    """The commit of an experiment."""
    (found,) = git("for-each-ref", "--format=%(objectname)", f"refs/exps/**/{name}", cwd=clone.folder).split()
    return found


AGAIN = {"check", "downloadpictures", "preprocesspictures", "plotpictures"}  # images are not cached


def test_an_experiment_of_the_queue_finds_the_pictures_and_trains_nothing_again(clone):
    clone.commit()
    clone.dvc("exp", "run", "--queue", "-n", "queued", "-S", "plot.bins=42")
    clone.dvc("queue", "start")
    deadline = time.monotonic() + 300
    while re.search(r"Queued|Running", status := clone.dvc("queue", "status")) and time.monotonic() < deadline:
        time.sleep(1)
    logs = clone.dvc("queue", "logs", "queued")
    assert "Success" in status, status + logs
    assert ran(logs) == AGAIN
    assert lock(clone, revision(clone, "queued")) == lock(clone, None)
    clone.dvc("exp", "apply", "queued")
    assert ran(clone.dvc("repro")) == set()


def test_a_picture_that_has_changed_is_seen_beside_the_workspace_too(clone):
    note = clone.folder / "data/own/mine/.note"  # no picture, but DVC does not know that
    note.write_text("new")
    assert ran(clone.dvc("exp", "run", "--temp", "-n", "aside", "-S", "plot.bins=43")) == AGAIN
    assert lock(clone, revision(clone, "aside")) != lock(clone, None)
    note.unlink()


def test_a_changed_picture_is_seen_and_a_broken_one_named_before_anything_is_trained(clone):
    assert ran(clone.dvc("repro")) == set()
    picture = clone.folder / "data/own/mine/7.png"
    content = picture.read_bytes()
    Image.new("RGB", (12, 8)).save(picture)
    assert ran(clone.dvc("repro", "--dry")) == {"downloadpictures"}
    picture.write_bytes(content[:50])
    output = clone.dvc("repro", check=False)
    assert "error: data/own/mine/7.png cannot be read as a picture" in output
    assert "Traceback" not in output
    assert not any(name.startswith("train") for name in ran(output))
    picture.write_bytes(content)
    assert ran(clone.dvc("repro")) == {"downloadpictures"}
