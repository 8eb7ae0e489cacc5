"""The pages on extending the project, followed to the letter in a copy of the small pipeline: their code, settings, commands."""

import json
import re
import subprocess
import sys

import pandas as pd
import pytest
import yaml

from tests import warm
from tests.clone import environment, ran
from tests.helpers import ROOT, git
from tests.pipeline.test_page import browse, headings

BLOCK = re.compile(r"(?:^`([^`\n]+)`(?:, (at the end|below `[^`\n]+`))?:\n\n)?^```(\w*)\n(.*?)^```$", re.DOTALL | re.MULTILINE)
TESTED = re.compile(r"(\d+) passed")


def merged(values, changes):
    """Nested mappings with some of their values changed."""
    both = isinstance(values, dict) and isinstance(changes, dict)
    return {**values, **{key: merged(values.get(key), value) for key, value in changes.items()}} if both else changes


class Page:
    """A page of docs/: the files it gives, by path, what it adds to files, the settings, and the commands in their order."""

    def __init__(self, name):
        text = (ROOT / "docs" / name).read_text()
        blocks = BLOCK.findall(text)
        code = [(path, place, block) for path, place, language, block in blocks if language == "python"]
        self.files = {path: block for path, place, block in code if not place}
        self.added = [part for part in code if part[1]]
        settings = [block for *_, language, block in blocks if language == "yaml"]
        self.settings = [yaml.safe_load(block.replace("fashion_mnist", "mnist_5k")) for block in settings]
        self.commands = [line for *_, language, block in blocks if not language for line in block.splitlines()]
        assert all(path for path, *_ in code)
        assert code

    def followed(self, small, folder, **smaller):
        """Its files and settings in a copy of the small pipeline; `smaller` settings are for the test's sake."""
        clone = small.copied(folder)
        for path, text in self.files.items():
            assert not (clone.folder / path).exists(), path
            (clone.folder / path).parent.mkdir(exist_ok=True)
            clone.write(path, text)
        for path, place, text in self.added:
            if place == "at the end":
                clone.write(path, f"{clone.read(path)}\n\n{text}")
            else:
                line = place.split("`")[1]
                clone.change(path, f"{line}\n", f"{line}\n{text}")
        values = yaml.safe_load(clone.read("params.yaml"))
        for settings in (*self.settings, smaller):
            values = merged(values, settings)
        clone.write("params.yaml", yaml.safe_dump(values, sort_keys=False))
        return clone

    def tested(self, clone):
        """How many tests its command runs; all must pass."""
        (command,) = [line for line in self.commands if "pytest" in line]
        words = command.removeprefix("python").split()
        run = subprocess.run(
            [f"{warm.folder()}/python", *words], cwd=clone.folder, env={**environment(), "PYTEST_ADDOPTS": "-p no:cacheprovider"},
            capture_output=True, text=True,
        )  # fmt: skip
        assert run.returncode == 0, run.stdout[-4000:] + run.stderr
        return int(TESTED.search(run.stdout)[1])


def clean(clone, page):
    """The code of a page is as the project's own must be."""
    files = [*page.files, *dict.fromkeys(path for path, *_ in page.added)]
    run = subprocess.run(
        [sys.executable, "-m", "ruff", "check", *files], cwd=clone.folder, capture_output=True, text=True
    )  # fmt: skip
    assert run.returncode == 0, run.stdout
    run = subprocess.run(
        [sys.executable, "-m", "ruff", "format", "--check", *files], cwd=clone.folder, capture_output=True, text=True
    )
    assert run.returncode == 0, run.stdout


@pytest.fixture(scope="module")
def made(small, tmp_path_factory):
    """The copy in which the fourth model of the page was run, and what `dvc repro` printed."""
    page = Page("model.md")
    seeds = {"variants": {"made_seeds": {"family": "made", "seeds": [1, 2]}}, "run_variants": ["made", "made_seeds"]}
    clone = page.followed(small, tmp_path_factory.mktemp("made") / "clone", made={"epochs": 2, "hidden": 32}, **seeds)
    clean(clone, page)
    (words,) = [line.split()[1:] for line in page.commands if "schema" in line]
    subprocess.run([sys.executable, *words], cwd=clone.folder, env={**environment(), "PYTHONPATH": "src"}, check=True)
    assert "made" in json.loads(clone.read("src/likelihood/settings/params.schema.json"))["properties"]
    assert "dvc repro" in page.commands
    return clone, clone.dvc("repro")


def test_the_laws_find_a_model_s_file(made):
    assert Page("model.md").tested(made[0]) >= 14


def test_a_model_is_added_as_its_page_says(made):
    clone, output = made
    cells = {f"{stage}_variant-{name}" for stage in ("train", "score", "evaluate") for name in ("made", "made_seeds")}
    assert ran(output) == {"check", "rank", *cells}
    over_seeds = pd.read_csv(clone.folder / "metrics/scores/mnist_5k/made_seeds/seeds.csv")
    assert set(over_seeds["seeds"]) == {2}
    found = json.loads(clone.read("metrics/mnist_5k/variants/made.json"))
    three = json.loads(clone.read("metrics/mnist_5k/ood/metrics.json"))
    assert found["images"] == three["images"]
    assert found["made"].keys() == three["glow"].keys()
    assert 0.0 < found["made"]["bits_per_dim"]["test"] < 8.0 < found["made"]["bits_per_dim"]["noise"]
    table = pd.read_csv(clone.folder / "metrics/scores/mnist_5k/made/scores.csv")
    of_pixelcnn = pd.read_csv(clone.folder / "metrics/scores/mnist_5k.csv").query("model == 'pixelcnn'")
    needs = ["score", "out", "n"]
    grey = of_pixelcnn[~of_pixelcnn["score"].str.startswith("dose")]  # what more statistics than the likelihood allow
    pd.testing.assert_frame_equal(
        table[~table["score"].str.startswith("dose")][needs].reset_index(drop=True), grey[needs].reset_index(drop=True)
    )
    assert "made" in pd.read_csv(clone.folder / "metrics/scores.csv")["model"].unique()
    drawn = sorted(path.name for path in (clone.folder / "plots/mnist_5k/made").iterdir())
    assert drawn == ["curves.png", "likelihoods.png", "samples.png"]
    assert ran(clone.dvc("repro")) == set()
    lock = yaml.safe_load(clone.read("dvc.lock"))["stages"]
    before = yaml.safe_load(git("show", "HEAD:dvc.lock", cwd=clone.folder))["stages"]
    changed = {name for name in before if lock[name] != before[name]}
    assert changed == {"check", "rank"}, "what the three have done stays as it was"


def test_an_additional_model_that_is_disabled_is_checked_by_the_audit(made, tmp_path):
    clone = made[0].copied(tmp_path / "clone")
    values = yaml.safe_load(clone.read("params.yaml"))
    values["run_variants"] = []
    clone.write("params.yaml", yaml.safe_dump(values, sort_keys=False))
    clone.dvc("repro")
    found = clone.likelihood("audit").stdout
    assert "0 enabled and 0 disabled ones are stale" in found, found
    clone.change("src/likelihood/models/made/model.py", "import torch\n", "import torch  #\n")
    found = clone.likelihood("audit").stdout
    stale = dict(re.findall(r"^(\w+): src/likelihood/models is modified: (.+)$", found, re.M))
    assert stale["enabled"] == "check", "which holds every model's settings to its constructor"
    cells = {f"{stage}_variant@mnist_5k-{name}" for stage in ("train", "score", "evaluate") for name in ("made", "made_seeds")}
    assert set(stale["disabled"].split(", ")) == cells


def test_the_page_of_plots_has_a_further_model_s_figures_below_their_headings(made, tmp_path):
    made[0].dvc("plots", "show", "-o", str(tmp_path / "page"), "plots/mnist_5k/made")
    dom, console, _ = browse(tmp_path / "page" / "index.html", tmp_path)
    assert not console
    assert headings(dom) == ["likely", "samples", "learning"]
    for name in ("likelihoods", "samples", "curves"):
        assert f">mnist_5k/made: {name} (workspace)<" in dom


def test_a_data_set_is_added_as_its_page_says(small, tmp_path):
    page = Page("dataset.md")
    clone = page.followed(small, tmp_path / "clone")
    values = yaml.safe_load(clone.read("params.yaml"))
    values["benchmarks"]["mnist_5k"]["out"].remove("mnist_5k")  # the page's benchmark has the digits as an out-set
    clone.write("params.yaml", yaml.safe_dump(values, sort_keys=False))
    clean(clone, page)
    assert page.tested(clone) == 2
    output = clone.dvc("repro")
    scored = {f"score_out-{model}" for model in ("vae", "pixelcnn", "glow")}
    assert ran(output) == {"check", "download", "preprocess", *scored, "map", "evaluate", "plot", "rank"}
    found = json.loads(clone.read("metrics/mnist_5k/ood/metrics.json"))
    assert all("checkerboard" in found[model] for model in ("vae", "pixelcnn", "glow"))


def test_a_score_is_added_as_its_page_says(small, tmp_path):
    page = Page("score.md")
    clone = page.followed(small, tmp_path / "clone")
    clean(clone, page)
    assert page.tested(clone) >= 5
    output = clone.dvc("repro")
    assert ran(output) == {"evaluate", "rank"}
    table = pd.read_csv(clone.folder / "metrics/scores/mnist_5k.csv")
    assert set(table[table["score"] == "typical_complexity"]["model"]) == {"vae", "pixelcnn", "glow"}
    detectors = pd.read_csv(clone.folder / "metrics/detectors/mnist_5k.csv")
    assert "typical_complexity" in set(detectors["score"])


@pytest.mark.parametrize(
    ("annotation", "value", "message"),
    [
        ("int", 0, "an integer from 1 to 1000000"),
        ("float", -0.5, "a number above 0.0"),
        ("bool", 1, "true or false"),
        ('Literal["wide", "deep"]', "high", "one of wide, deep"),
        ("list[int]", [1], "a setting must be int, float, bool, Literal or Annotated"),
    ],
)
def test_a_model_s_settings_are_held_to_its_annotations(annotation, value, message, small, tmp_path):
    page = Page("model.md")
    clone = page.followed(small, tmp_path / "clone", made={"hidden": value})
    clone.change("src/likelihood/models/made/model.py", "hidden: int", f"hidden: {annotation}")
    before = clone.read("dvc.lock")
    command = ["-m", "dvc", "repro"] if annotation == "int" else ["src/check.py"]  # which is its first stage
    run = subprocess.run(
        [f"{warm.folder()}/python", *command], cwd=clone.folder, env=environment(), capture_output=True, text=True
    )
    assert run.returncode != 0
    assert message in run.stderr
    assert "Traceback" not in run.stdout + run.stderr
    assert clone.read("dvc.lock") == before
