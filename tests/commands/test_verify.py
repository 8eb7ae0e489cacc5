"""Which numbers `likelihood verify` compares, and where it finds their spread over seeds."""

import contextlib
import json
import os
import sys
from pathlib import Path
from types import SimpleNamespace

import pandas as pd
import pytest

from likelihood.commands import verify
from likelihood.common.errors import InputError


def spread(folder, std):
    """The tables of a variant of several seeds."""
    folder.mkdir(parents=True)
    (folder / "likelihoods.csv").write_text(f"model,set,std\nglow,test,{std}\n")
    (folder / "seeds.csv").write_text(f"model,score,out,auroc_std\nglow,log_prob,mnist,{std}\n")


def test_a_spread_is_that_of_any_variant_of_several_seeds_and_of_no_other(tmp_path):
    place = tmp_path / "metrics/scores/toy"
    spread(place / "glow_again", 0.25)
    (place / "glow_without_seeds").mkdir()
    (place / "glow_without_seeds/scores.csv").write_text("model,score,out,auroc\n")
    found = verify.deviations(tmp_path, "toy")
    assert list(found["std"]) == [0.25, 0.25]
    assert list(found["quantity"]) == ["likelihood", "auroc"]
    assert len(verify.deviations(tmp_path, "other")) == 0


def test_the_pipeline_is_run_again_whatever_a_cache_holds_on_images_that_a_folder_named_from_here_has(tmp_path, monkeypatch):
    calls = []

    @contextlib.contextmanager
    def process(command, cwd, env):
        calls.append((command, env))
        yield SimpleNamespace(wait=lambda: 0)

    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("LIKELIHOOD_IMAGES", "pictures")
    monkeypatch.setenv("LIKELIHOOD_TRAININGS", "kept")
    monkeypatch.setattr(verify.audit, "copy", lambda root, folder: None)
    monkeypatch.setattr(verify, "process", process)
    verify.rerun(tmp_path, tmp_path)
    ((command, environment),) = calls
    assert command[-2:] == ["repro", "--no-run-cache"]
    assert environment["LIKELIHOOD_IMAGES"] == str(tmp_path / "pictures")
    assert "LIKELIHOOD_TRAININGS" not in environment
    # Stages find this Python, also where its environment is not activated.
    assert environment["PATH"].split(os.pathsep)[0] == str(Path(sys.executable).parent)


def test_the_numbers_are_likelihoods_in_each_model_s_unit_and_areas_also_without_a_model(tmp_path):
    (tmp_path / "metrics/toy/ood").mkdir(parents=True)
    rows = {
        "vae_binarised": {"binary_bits_per_dim": {"test": 0.1}},
        "glow": {"bits_per_dim": {"test": 3.0}},
        "images": {"test": 5},
    }
    (tmp_path / "metrics/toy/ood/metrics.json").write_text(json.dumps(rows))
    (tmp_path / "metrics/scores").mkdir()
    (tmp_path / "metrics/scores/toy.csv").write_text("model,score,out,auroc\nnone,mean,mnist,0.5\n")
    expected = [
        ("likelihood", "vae_binarised", "log_prob", "test", 0.1),
        ("likelihood", "glow", "log_prob", "test", 3.0),
        ("auroc", "none", "mean", "mnist", 0.5),
    ]
    pd.testing.assert_frame_equal(verify.numbers(tmp_path, "toy"), pd.DataFrame(expected, columns=[*verify.KEYS, "value"]))


def measured(folder, likelihood):
    """A folder with the metrics of a model and a score."""
    (folder / "metrics/toy/ood").mkdir(parents=True)
    (folder / "metrics/toy/ood/metrics.json").write_text(json.dumps({"glow": {"bits_per_dim": {"test": likelihood}}}))
    (folder / "metrics/scores").mkdir()
    (folder / "metrics/scores/toy.csv").write_text("model,score,out,auroc\nnone,mean,mnist,0.5\n")


@pytest.mark.parametrize(("here", "status"), [(3.0, 0), (3.04, 0), (3.06, 1)])
def test_the_status_says_whether_a_number_is_too_far_off(tmp_path, monkeypatch, capsys, here, status):
    measured(tmp_path, 3.0)
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(verify.checks, "load", lambda: {"run": ["toy"]})
    monkeypatch.setattr(verify, "comparable", lambda _root, _benchmarks: None)
    monkeypatch.setattr(verify, "rerun", lambda _root, folder: measured(folder, here))
    assert verify.run(None) == status
    assert f"toy: of 2 numbers {1 + (here == 3.0)} are equal, {status} too far off" in capsys.readouterr().out


def test_what_cannot_be_compared_is_said_before_anything_runs(tmp_path, monkeypatch):
    monkeypatch.setattr(verify.audit, "enabled", lambda _root, _folder: {})
    monkeypatch.setattr(verify.audit, "load_lock", lambda _root: {})
    monkeypatch.setattr(verify.audit, "stale", lambda _changes, _lock: {"train_vae@toy": ["vae.epochs was changed"]})
    with pytest.raises(InputError, match=r"^metrics/toy/ood/metrics\.json is not here: run `dvc repro` first$"):
        verify.comparable(tmp_path, ["toy"])
    measured(tmp_path, 3.0)
    message = r"^the results of 1 enabled stages are stale \(train_vae@toy: vae\.epochs was changed\): run `dvc repro` first$"
    with pytest.raises(InputError, match=message):
        verify.comparable(tmp_path, ["toy"])
    (tmp_path / "metrics/scores/toy.csv").unlink()
    with pytest.raises(InputError, match=r"^metrics/scores/toy\.csv is not here"):
        verify.comparable(tmp_path, ["toy"])
