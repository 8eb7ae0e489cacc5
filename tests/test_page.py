"""A fresh clone of the committed tree: what the shipped remote restores, and the page of `dvc plots show` in a real browser."""

import json
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from tests.helpers import ROOT, git

CHARTS = 3  # likelihoods, ROC curves, loss curves


def dvc(*arguments, cwd, check=True):
    environment = {**os.environ, "PATH": f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"}
    run = subprocess.run([sys.executable, "-m", "dvc", *arguments], cwd=cwd, env=environment, capture_output=True, text=True)
    if check:
        assert run.returncode == 0, run.stdout + run.stderr
    return run.stdout + run.stderr


@pytest.fixture(scope="module")
def pulled(tmp_path_factory):
    folder = tmp_path_factory.mktemp("pulled") / "clone"
    git("clone", "-q", str(ROOT), str(folder))
    dvc("pull", "--allow-missing", cwd=folder)
    return folder


@pytest.fixture(scope="module")
def page(pulled):
    dvc("plots", "show", cwd=pulled)
    return pulled / "dvc_plots" / "index.html"


def test_the_committed_lock_belongs_to_the_committed_code_and_parameters(pulled):
    output = dvc("repro", "--dry", "--allow-missing", cwd=pulled)
    assert "Running stage" not in output, output


def test_pulling_gives_weights_statistics_tables_and_curves_but_no_images(pulled):
    for model in ("vae", "pixelcnn", "glow"):
        assert (pulled / f"data/models/fashion_mnist/{model}/best.safetensors").is_file()
        assert (pulled / f"data/scores/fashion_mnist/in/{model}/test.parquet").is_file()
        assert (pulled / f"metrics/fashion_mnist/train/{model}/plots/metrics/train/bits_per_dim.tsv").is_file()
    assert (pulled / "plots/fashion_mnist/tables/histogram.csv").is_file()
    assert not list((pulled / "data").glob("*/fashion_mnist/in/train.npy"))


def test_the_page_is_utf_8_and_names_no_other_host_to_load_from(page):
    text = page.read_text(encoding="utf-8")
    assert '<meta charset="utf-8">' in text
    assert "−log p" in text
    loaded = re.findall(r"<(?:script|img|link|iframe)[^>]*(?:src|href)=[\"']([^\"']+)", text)
    assert any(source.endswith("likelihoods.png") for source in loaded)
    for source in loaded:
        assert not re.match(r"(https?:)?//", source), source
        assert source.startswith("data:") or (page.parent / source).is_file(), source


def test_a_browser_draws_every_chart_without_an_error_or_a_request(page, tmp_path):
    browser = shutil.which("chromium") or shutil.which("google-chrome")
    if browser is None:
        pytest.skip("no Chromium on this machine: the page was not drawn")
    log = tmp_path / "net.json"
    run = subprocess.run(
        [browser, "--headless", "--no-sandbox", "--disable-gpu", "--no-first-run", "--disable-background-networking",
         "--disable-component-update", "--disable-sync", f"--user-data-dir={tmp_path / 'profile'}", "--enable-logging=stderr",
         f"--log-net-log={log}", "--virtual-time-budget=20000", "--dump-dom", page.as_uri()],
        capture_output=True, text=True, timeout=180,
    )  # fmt: skip
    dom = run.stdout
    assert dom.count('class="marks"') == CHARTS, run.stderr[-2000:]
    assert "vega-error" not in dom
    console = [line for line in run.stderr.splitlines() if "CONSOLE" in line]
    assert not console, console
    text = log.read_text(encoding="utf-8", errors="replace").rstrip().rstrip(",")
    events = json.loads(text if text.endswith("}") else text + "]}")["events"]
    urls = {event["params"]["url"] for event in events if "url" in event.get("params", {})}
    own = {url for url in urls if url.startswith(("http://", "https://"))}
    assert not own, own
