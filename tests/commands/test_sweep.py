"""A sweep over seeds and learning rates in the queue, two at a time; its table in `dvc exp show`; its mean ± spread."""

import json
import re
import statistics
import subprocess
import time

import pytest

from likelihood.commands import summarize
from likelihood.common.errors import InputError
from tests.clone import environment
from tests.helpers import ROOT, git, table_rows

SWEPT = {"0.005": (0, 1), "0.002": (0,)}  # seeds by learning rate; of the first only what the summary needs
TIMEOUT = 900  # seconds for three small pipelines


@pytest.fixture(scope="module")
def swept(small, tmp_path_factory):
    clone = small.copied(tmp_path_factory.mktemp("sweep") / "clone")
    for (rate, seeds), to in zip(SWEPT.items(), (["evaluate"], []), strict=True):
        clone.dvc("exp", "run", "--queue", "-S", f"seed={','.join(map(str, seeds))}", "-S", f"vae.lr={rate}", *to)
    clone.dvc("queue", "start", "-j", "2")
    deadline = time.monotonic() + TIMEOUT
    while re.search(r"Queued|Running", clone.dvc("queue", "status")) and time.monotonic() < deadline:
        time.sleep(5)
    return clone


def metrics(clone, name):
    return json.loads(git("show", f"{name}:metrics/mnist_5k/ood/metrics.json", cwd=clone.folder))


def parameters(clone):
    """Name of every experiment, by its seed and learning rate."""
    found = {}
    for name in clone.dvc("exp", "list", "--name-only").split():
        revision = git("for-each-ref", "--format=%(objectname)", f"refs/exps/**/{name}", cwd=clone.folder).strip()
        text = git("show", f"{revision}:params.yaml", cwd=clone.folder)
        found[int(re.search(r"^seed: (\d+)", text, re.M)[1]), re.search(r"^vae:\n  lr: (\S+)", text, re.M)[1]] = revision
    return found


def test_every_experiment_of_the_queue_succeeds(swept):
    status = swept.dvc("queue", "status")
    experiments = {(seed, rate) for rate, seeds in SWEPT.items() for seed in seeds}
    assert status.count("Success") == len(experiments), status
    assert "Failed" not in status
    assert set(parameters(swept)) == experiments
    assert git("status", "--porcelain", cwd=swept.folder) == "", "the workspace is left alone"


def test_the_table_of_experiments_has_few_columns_with_short_names(swept):
    arguments = []
    for line in (ROOT / "profiles/columns").read_text().splitlines():
        arguments += line.split(" ", 1)
    header, *rows = swept.dvc("exp", "show", "--csv", *arguments).splitlines()
    columns = header.split(",")
    models = ("vae", "pixelcnn", "glow")
    assert columns == ["Experiment", "rev", "typ", *(f"{m}.bits_per_dim.test" for m in models), "seed", "vae.lr"]
    assert len(rows) == 1 + sum(map(len, SWEPT.values()))
    shell = subprocess.run(
        ["bash", "-c", f"xargs -a {ROOT}/profiles/columns dvc exp show --no-pager"],
        cwd=swept.folder,
        env={**environment(), "COLUMNS": "160"},
        capture_output=True,
        text=True,
    )
    assert shell.returncode == 0, shell.stderr
    assert "…" not in shell.stdout, "a column does not fit"


def test_the_columns_of_the_default_benchmark_fit_into_a_wide_terminal():
    kept = [name for name in columns_of(ROOT) if not any(re.match(drop, name) for drop in drops())]
    models = ("vae", "pixelcnn", "glow")
    assert kept == [name for model in models for name in (f"{model}.bits_per_dim.test", f"{model}.mnist_5k.auroc")]


def drops():
    lines = (ROOT / "profiles/columns").read_text().splitlines()
    return [line.removeprefix("--drop ") for line in lines if line.startswith("--drop")]


def columns_of(folder):
    """The metrics of the committed default benchmark as `dvc exp show` names them."""
    names = []
    for file in (
        "metrics/fashion_mnist/train/vae/metrics.json",
        "metrics/fashion_mnist/ood/metrics.json",
        "metrics/ranking.json",
    ):
        values = json.loads((folder / file).read_text())
        prefix = f"metrics/{file}:" if "train" in file else ""  # there are three of them with the same keys
        names += [prefix + name for name, _ in summarize.leaves(values)]
    return names


def test_the_summary_is_mean_and_spread_over_seeds(swept, monkeypatch, capsys):
    monkeypatch.chdir(swept.folder)
    summarize.run(None)
    parts = capsys.readouterr().out.split("vae.lr = ")[1:]
    tables = dict(part.split("\n", 1) for part in parts)
    assert set(tables) == {"empty; seed 0", "0.005; seeds 0, 1", "0.002; seed 0"}
    revisions = parameters(swept)
    found = [metrics(swept, revisions[seed, "0.005"]) for seed in SWEPT["0.005"]]
    test = [values["vae"]["bits_per_dim"]["test"] for values in found]
    noise = [values["vae"]["bits_per_dim"]["noise"] for values in found]
    auroc = [values["vae"]["noise"]["auroc"] for values in found]
    cells = [f"{statistics.mean(each):.3f} ± {statistics.stdev(each):.3f}" for each in (test, noise, auroc)]
    assert ["mnist_5k", "VAE", "uniform noise", *cells] in table_rows(tables["0.005; seeds 0, 1"])
    for revision, title in (("HEAD", "empty; seed 0"), (revisions[0, "0.002"], "0.002; seed 0")):
        alone = metrics(swept, revision)["vae"]["bits_per_dim"]["test"]
        assert ["mnist_5k", "VAE", "uniform noise", f"{alone:.3f}"] in [row[:4] for row in table_rows(tables[title])]


def test_a_project_without_experiments_is_told_how_to_make_some(small, monkeypatch):
    monkeypatch.chdir(small.folder)
    with pytest.raises(InputError, match="no finished experiment derives from the last commit: queue some"):
        summarize.finished()


def test_a_commit_counts_if_its_results_are_of_its_own_parameters(small, tmp_path, monkeypatch):
    clone = small.copied(tmp_path / "clone")
    monkeypatch.chdir(clone.folder)
    for name in ("params.yaml", "dvc.lock"):  # a number that YAML 1.1 takes for a text
        clone.write(name, clone.read(name).replace("clip_norm: 1.0", "clip_norm: 1e-05"))
    clone.commit()
    assert summarize.measured("HEAD")
    clone.change("params.yaml", "bins: 80", "bins: 41")
    clone.commit()
    assert not summarize.measured("HEAD")
    assert summarize.measured("HEAD~1")
    (clone.folder / "dvc.lock").unlink()
    clone.commit()
    assert not summarize.measured("HEAD")


def test_an_experiment_that_skipped_check_is_left_out(small, tmp_path, monkeypatch, capsys):
    clone = small.copied(tmp_path / "clone")
    monkeypatch.chdir(clone.folder)
    clone.dvc("exp", "run", "-n", "skipped", "--single-item", "plot", "-S", "plot.bins=41")
    with pytest.raises(InputError, match=r"^there are only experiments whose numbers are not those of their parameters"):
        summarize.finished()
    clone.dvc("exp", "run", "-n", "whole", "plot", "-S", "plot.bins=42")
    assert len(summarize.finished()) == 2
    assert re.search(r"^note: left out are experiments .*: skipped$", capsys.readouterr().err, re.M)


@pytest.mark.parametrize(
    ("row", "unit", "title"),
    [
        ("vae", "bits_per_dim", "VAE"),
        ("vae_binarised", "binary_bits_per_dim", "VAE, binarised images"),
        ("vae_bernoulli", "binary_bits_per_dim", "VAE, bernoulli (binarised)"),
    ],
)
def test_that_images_are_binarised_is_said_once(row, unit, title):
    metrics = {"toy": {row: {unit: {"test": 0.1, "noise": 1.0}, "noise": {"auroc": 0.9}}, "images": {"test": 5}}}
    assert list(summarize.rows("toy", [metrics])) == [("toy", title, "uniform noise", "0.100", "1.000", "0.900")]
