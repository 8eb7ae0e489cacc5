"""Samples of the models' own: every model is asked about every model's, the same ones every time; tables and figure say what."""

import json
import sys

import numpy as np
import pandas as pd
import pytest
import torch
import yaml
from sklearn.metrics import roc_auc_score

import analyse
import evaluate_analysis
from likelihood.common.params import MODELS
from likelihood.models.shared import checkpoint
from tests.builders import ARGUMENTS, build

SHAPE, N, DIMS = (1, 8, 8), 12, 64
SETS = {"test": ("in", -300.0), "digits": ("out", -200.0), "noise": ("out", -900.0)}


@pytest.fixture
def project(tmp_path, monkeypatch):
    """A folder with params.yaml, weights and statistics; of the two out-sets one is natural."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(analyse, "VALUES", N * DIMS)
    benchmark = {"in": "clothes", "out": ["digits", "noise"], "vae": {}, "pixelcnn": {}, "glow": {}}
    (tmp_path / "params.yaml").write_text(yaml.safe_dump({"seed": 3, "benchmarks": {"toy": benchmark}}))
    rng = np.random.RandomState(0)
    for name in MODELS:
        arguments = ARGUMENTS[name][0]
        model = build(name, arguments, SHAPE)
        checkpoint.save(
            tmp_path / f"data/models/toy/{name}/best.safetensors", model.state_dict(), name, {"shape": SHAPE, **arguments}
        )
        for known, (side, mean) in SETS.items():
            place = tmp_path / "data/scores/toy" / side / name
            place.mkdir(parents=True, exist_ok=True)
            pd.DataFrame({"index": range(30), "log_prob": rng.normal(mean, 20.0, 30)}).to_parquet(place / f"{known}.parquet")
            (place / "model.json").write_text(json.dumps({"model": name, "dims": DIMS, "unit": "bits_per_dim"}))
    return tmp_path


def drawn(folder):
    analyse.samples("toy", {"seed": 3, "draws": {"vae": 3, "pixelcnn": 1, "glow": 2}}, folder)
    return {name: pd.read_parquet(folder / f"{name}.parquet") for name in MODELS}


def test_every_model_is_asked_about_every_model_s_samples(project):
    tables = drawn(project / "data/analyses/toy/samples")
    for name, table in tables.items():
        _, model = checkpoint.load(project / f"data/models/toy/{name}/best.safetensors")
        x = model.sample(N, torch.Generator().manual_seed(3))
        assert len(table) == N
        for other, count in (("vae", 3), ("pixelcnn", 1), ("glow", 2)):
            _, asked = checkpoint.load(project / f"data/models/toy/{other}/best.safetensors")
            expected = asked.log_prob(x, count).numpy()
            np.testing.assert_allclose(table[f"{other}.log_prob"], expected, rtol=1e-5)
    again = drawn(project / "again")
    assert all(table.equals(again[name]) for name, table in tables.items())


def test_the_table_compares_them_with_test_images_and_natural_sets(project, monkeypatch):
    tables = drawn(project / "data/analyses/toy/samples")
    monkeypatch.setattr(sys, "argv", ["evaluate_analysis.py", "samples", "--benchmark", "toy"])
    evaluate_analysis.main()
    found = pd.read_csv(project / "metrics/scores/toy/samples/samples.csv").set_index(["model", "set"])
    assert [*found.index] == [(model, name) for model in MODELS for name in ("test", "samples", "digits")]
    for model in MODELS:
        log_prob = {name: pd.read_parquet(f"data/scores/toy/{SETS[name][0]}/{model}/{name}.parquet")["log_prob"] for name in SETS}
        log_prob["samples"] = tables[model][f"{model}.log_prob"]
        for name in ("test", "samples", "digits"):
            row = found.loc[(model, name)]
            assert row["n"] == len(log_prob[name])
            assert row["value"] == pytest.approx(-log_prob[name].mean() / DIMS / np.log(2.0), abs=1e-4)
            for normal in ("test", "samples"):
                if name in ("test", normal):
                    assert np.isnan(row[f"auroc_{normal}"])
                    continue
                labels = np.repeat([0, 1], [len(log_prob[normal]), len(log_prob[name])])
                expected = roc_auc_score(labels, -np.concatenate([log_prob[normal], log_prob[name]]))
                assert row[f"auroc_{normal}"] == pytest.approx(expected, abs=1e-4)
    assert (project / "plots/toy/samples/likelihoods.png").is_file()
