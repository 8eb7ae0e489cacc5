"""`likelihood export`: one file, whole or not at all, which judges pictures in a folder that has nothing else."""

import json
import os
import subprocess
import sys

import numpy as np
import pytest
import torch
from PIL import Image

from likelihood import cli
from likelihood.commands import detect, export
from likelihood.common.errors import InputError
from likelihood.detection import archive
from likelihood.detection.detector import Detector
from tests.clone import shipped
from tests.helpers import ROOT, files, git


def run(command, *arguments):
    torch.set_default_dtype(torch.float32)
    return command.run(cli.parser().parse_args([command.__name__.rpartition(".")[2], *map(str, arguments)]))


@pytest.mark.slow
def test_an_exported_detector_judges_in_an_empty_folder(committed, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(committed)
    assert run(export, "fashion_mnist", "-o", tmp_path / "f.detector") == 0
    assert capsys.readouterr().out == f"{tmp_path}/f.detector: 3.3 MB\n"
    first = (tmp_path / "f.detector").read_bytes()
    assert run(export, "fashion_mnist", "-o", tmp_path / "f.detector") == 0
    assert (tmp_path / "f.detector").read_bytes() == first
    monkeypatch.chdir(tmp_path)
    Image.fromarray(np.random.default_rng(0).integers(0, 256, (28, 28), dtype=np.uint8)).save("noise.png")
    arguments = ("--detector", "f.detector", "--report", "r.html", "--output", "f.csv", "noise.png")
    assert run(detect, *arguments) == detect.FLAGGED
    assert files(tmp_path) == ["f.csv", "f.detector", "noise.png", "r.html"]
    assert "Fashion-MNIST" in (tmp_path / "r.html").read_text()


def test_what_does_not_load_is_not_exported_and_the_older_file_stays(committed, tmp_path, monkeypatch):
    (tmp_path / "old.detector").write_bytes(b"older")
    monkeypatch.chdir(committed)
    for benchmark, message in (
        ("mnist", r"detector\.json is not here: run `likelihood pull mnist`, or name mnist under `run`"),
        ("x", "there is no benchmark 'x'"),
    ):
        with pytest.raises(InputError, match=message):
            run(export, benchmark, "-o", tmp_path / "old.detector")
    assert files(tmp_path) == ["old.detector"]
    assert (tmp_path / "old.detector").read_bytes() == b"older"
    for name, message in (("f.zip", r"f\.zip must end in \.detector"), ("no/f.detector", "no is not a folder: make it first")):
        with pytest.raises(InputError, match=message):
            run(export, "fashion_mnist", "-o", tmp_path / name)


def test_a_variant_s_detector_is_exported_with_what_was_measured_of_it(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(shipped(tmp_path, "fashion_mnist", "glow_additive"))
    assert run(export, "fashion_mnist", "--model", "glow_additive", "-o", "g.detector") == 0
    card = json.loads(archive.read(tmp_path / "g.detector")[1][archive.CARD])
    assert card["metrics"]["score"] == "glow_additive.code_kde"
    assert card["metrics"]["bits_per_dim"].keys() == {"glow_additive"}
    assert {row["out"] for row in card["metrics"]["detection"]} == {"mnist_5k", "noise", "constant"}
    noise = np.random.default_rng(0).integers(0, 256, (2, 1, 28, 28), dtype=np.uint8)
    alone = Detector.load("g.detector").p_values(noise)
    np.testing.assert_array_equal(alone, Detector.load(".", "fashion_mnist", models="glow_additive").p_values(noise))
    for model, message in (
        ("glow", "--model is glow: only a variant has a detector"),
        ("glo", "has no model 'glo'"),
        (
            "vae_bernoulli",
            r"name fashion_mnist under `run` and vae_bernoulli under `run_variants` in params\.yaml and run `dvc",
        ),
    ):
        with pytest.raises(InputError, match=message):
            run(export, "fashion_mnist", "--model", model, "-o", "h.detector")


def test_the_card_names_the_commit_of_the_lock_unless_it_has_changed(tmp_path):
    (tmp_path / "dvc.lock").write_text("1")
    assert export.commit(tmp_path) is None
    git("init", "-q", cwd=tmp_path)
    git("add", "-A", cwd=tmp_path)
    git("-c", "user.name=t", "-c", "user.email=t@example.org", "commit", "-qm", "1", cwd=tmp_path)
    assert export.commit(tmp_path) == git("rev-parse", "HEAD", cwd=tmp_path).strip()
    (tmp_path / "dvc.lock").write_text("2")
    assert export.commit(tmp_path) is None


def test_the_card_names_no_commit_where_the_history_is_cut_off(tmp_path):
    whole, cut = tmp_path / "whole", tmp_path / "cut"
    whole.mkdir()
    git("init", "-q", cwd=whole)
    for name in ("dvc.lock", "other"):
        (whole / name).write_text("1")
        git("add", "-A", cwd=whole)
        git("-c", "user.name=t", "-c", "user.email=t@example.org", "commit", "-qm", name, cwd=whole)
    git("clone", "-q", "--depth", "1", f"file://{whole}", str(cut))
    assert export.commit(whole) == git("rev-parse", "HEAD~1", cwd=whole).strip()
    assert export.commit(cut) is None


def test_results_that_were_not_measured_are_named(tmp_path):
    with pytest.raises(InputError, match=r"metrics\.json is not here: run `dvc repro` to measure it"):
        export.metrics(tmp_path, "fashion_mnist", {"glow": {"unit": "bits_per_dim"}})


def test_likelihoods_of_binarised_images_are_given_in_their_own_unit(tmp_path):
    ood, tables = tmp_path / "metrics/toy/ood", [tmp_path / "metrics/detectors", tmp_path / "metrics/scores"]
    for folder in (ood, *tables):
        folder.mkdir(parents=True)
    rows = {"vae_binarised": {"binary_bits_per_dim": {"train": 0.1, "test": 0.2, "noise": 1.0}}}
    rows |= {"glow": {"bits_per_dim": {"train": 3.0, "test": 3.1, "noise": 9.0}}}
    (ood / "metrics.json").write_text(json.dumps(rows))
    for folder in tables:
        (folder / "toy.csv").write_text("benchmark,model,score,auroc\ntoy,all,code_kde,0.9\ntoy,vae_binarised,log_prob,0.5\n")
    models = {"vae": {"draws": 1, "unit": "binary_bits_per_dim"}, "glow": {"draws": 1, "unit": "bits_per_dim"}}
    found = export.metrics(tmp_path, "toy", models)
    assert found["binary_bits_per_dim"] == {"vae_binarised": {"train": 0.1, "test": 0.2}}
    assert found["bits_per_dim"] == {"glow": {"train": 3.0, "test": 3.1}}
    assert found["detection"] == [{"auroc": 0.9}]


def test_a_skipped_file_moves_groups_and_that_is_said(exported, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "0.png").write_text("no picture")
    for number in range(1, 5):
        Image.fromarray(np.random.default_rng(number).integers(0, 256, (28, 28), dtype=np.uint8)).save(f"{number}.png")
    names, options = [f"{number}.png" for number in range(5)], ("--detector", exported, "--model", "glow")
    sentence = (
        "warning: skipped files are in no group, so groups after the first of them hold other images than they otherwise would"
    )
    for more, which, said in (((), names, False), (("--group", 2), names, True), (("--group", 2), names[1:], False)):
        run(detect, *options, *more, *which)
        assert (sentence in capsys.readouterr().err.splitlines()) == said


def test_a_detector_is_asked_for_by_its_file_or_by_its_benchmark(tmp_path):
    settings = {"cwd": tmp_path, "env": {**os.environ, "PYTHONPATH": str(ROOT / "src")}, "capture_output": True, "text": True}
    for which in ((), ("--benchmark", "a", "--detector", "b")):
        done = subprocess.run([sys.executable, "-m", "likelihood.cli", "detect", *which, "x"], **settings)
        assert done.returncode == 2
        assert "--detector" in done.stderr


def test_a_link_to_itself_is_skipped_wherever_it_stands(exported, tmp_path, capsys):
    Image.new("L", (28, 28)).save(tmp_path / "black.png")
    for name in ("loop.png", "table.csv"):
        (tmp_path / name).symlink_to(name)
    options = ("--detector", exported, "--model", "glow", "--output", tmp_path / "table.csv")
    assert run(detect, *options, tmp_path / "black.png", tmp_path / "loop.png") == detect.FAILED
    assert "loop.png cannot be read" in capsys.readouterr().err


def test_a_file_that_is_skipped_counts_for_more_than_an_image_that_is_flagged(exported, tmp_path, capsys):
    Image.fromarray(np.random.default_rng(0).integers(0, 256, (28, 28), dtype=np.uint8)).save(tmp_path / "noise.png")
    options = ("--detector", exported, "--model", "glow")
    assert run(detect, *options, tmp_path) == detect.FLAGGED
    (tmp_path / "text.png").write_text("no picture")
    assert run(detect, *options, tmp_path) == detect.FAILED
    assert capsys.readouterr().err.splitlines()[-1].startswith("1 of 1 images flagged by glow.code_kde")


@pytest.mark.parametrize("group", [7, 200, 201])
def test_a_batch_holds_whole_groups(exported, tmp_path, monkeypatch, group):
    Image.new("L", (28, 28)).save(tmp_path / "black.png")
    judged, sizes = detect.judged, []
    monkeypatch.setattr(detect, "judged", lambda *arguments: sizes.append(arguments[3]) or judged(*arguments))
    run(detect, "--detector", exported, "--model", "glow", "--group", group, tmp_path)
    assert sizes[0] > 0
    assert sizes[0] % group == 0
