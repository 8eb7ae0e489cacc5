"""The stage `evaluate` on small made statistics: its numbers by hand, the images it takes, its refusals, its bytes."""

import itertools
import json
import sys

import numpy as np
import pandas as pd
import pytest
import yaml
from sklearn.metrics import roc_auc_score

import evaluate
from likelihood import scores
from likelihood.common import images, selection
from likelihood.common.errors import InputError
from likelihood.evaluation import calibration, results
from tests.helpers import files

DIMS, MODELS = 16, ("vae", "pixelcnn", "glow")
SETS = {"train": "in", "val": "in", "test": "in", "near": "out", "test_again": "out"}
SCORED, STORED, COMPARED = 40, 60, 30  # a part of the images is scored, and of those a part compared


@pytest.fixture
def project(tmp_path, monkeypatch):
    """A folder with params.yaml, images and statistics; `test_again` is the in-set's test set under another name."""
    rng = np.random.RandomState(0)
    benchmark = {"in": "train_set", "out": ["near", "test_again"], "vae": {}, "pixelcnn": {}, "glow": {}}
    params = {"seed": 0, "benchmarks": {"toy": benchmark}, "evaluate": {"bootstrap": 200, "images": COMPARED}}
    (tmp_path / "params.yaml").write_text(yaml.safe_dump(params))
    index, pixels = rng.permutation(STORED)[:SCORED], {}
    for name, side in SETS.items():
        # Images that are not scored are white: a baseline that took them would show it.
        pixels[name] = np.full((STORED, 1, 4, 4), 255, np.uint8)
        pixels[name][index] = rng.randint(0, 100 if side == "in" else 90, (SCORED, 1, 4, 4))
    pixels["test_again"] = pixels["test"]
    for name, side in SETS.items():
        images.save(tmp_path / f"data/processed/toy/{side}/{name}.npy", pixels[name])
    (tmp_path / "data/processed/toy/in/statistics.json").write_text("{}")
    for model in MODELS:
        log_prob = {name: rng.normal(-40.0 if side == "in" else -38.0, 4.0, SCORED) for name, side in SETS.items()}
        log_prob["test_again"] = log_prob["test"]
        for name, side in SETS.items():
            write(tmp_path, side, model, name, pd.DataFrame({"index": index, "log_prob": log_prob[name]}))
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "argv", ["evaluate.py", "--benchmark", "toy"])
    return tmp_path


def write(folder, side, model, name, table, unit="bits_per_dim"):
    place = folder / "data/scores/toy" / side / model
    place.mkdir(parents=True, exist_ok=True)
    table.to_parquet(place / f"{name}.parquet", index=False)
    (place / "model.json").write_text(json.dumps({"model": model, "dims": DIMS, "unit": unit, "draws": 1}))


def read(folder, side, model, name):
    return pd.read_parquet(folder / "data/scores/toy" / side / model / f"{name}.parquet")


def result(folder):
    evaluate.main()
    return json.loads((folder / "metrics/toy/ood/metrics.json").read_text())


def test_likelihoods_and_auroc_are_those_worked_out_from_the_statistics(project):
    found = result(project)
    assert list(found) == [*MODELS, "images"]
    for model in MODELS:
        assert set(found[model]["bits_per_dim"]) == {"train", "test", "near", "test_again"}
        for name, mean in found[model]["bits_per_dim"].items():
            nats = read(project, SETS[name], model, name)["log_prob"].mean()
            assert mean == pytest.approx(-nats / DIMS / np.log(2.0), abs=1e-4)
        test, near = (read(project, SETS[name], model, name)["log_prob"] for name in ("test", "near"))
        expected = roc_auc_score([0] * SCORED + [1] * SCORED, -np.concatenate([test, near]))
        assert found[model]["near"]["auroc"] == pytest.approx(expected, abs=1e-4)
        assert found[model]["near"]["auroc_low"] <= expected <= found[model]["near"]["auroc_high"]
    assert found["images"] == dict.fromkeys(("train", "test", "near", "test_again"), SCORED)


def table(folder):
    """The table of scores by model, score and out-set."""
    result(folder)
    return pd.read_csv(folder / "metrics/scores/toy.csv").set_index(["model", "score", "out"])


def test_scores_see_a_fixed_part_of_the_scored_images_and_no_others(project):
    means = []
    for path in ("in/test", "out/near"):
        side, name = path.split("/")
        index = read(project, side, "glow", name)["index"].to_numpy()
        rows = selection.compared(name, SCORED, COMPARED, 0)
        means.append(np.load(f"data/processed/toy/{path}.npy")[index[rows]].mean(axis=(1, 2, 3)))
    expected = roc_auc_score([0] * COMPARED + [1] * COMPARED, -np.concatenate(means))
    found = table(project).loc[("none", "mean", "near")]
    assert found["auroc"] == pytest.approx(expected, abs=1e-4)
    assert found["n"] == COMPARED


def test_the_table_has_every_score_of_every_model_of_all_and_of_none(project):
    found = {(model, score) for model, score, _ in table(project).index}
    bare = set(scores.applicable([]))
    assert found == {
        *((model, score) for model in MODELS for score in scores.applicable(["log_prob"])),
        *((results.ALL_MODELS, score) for score in scores.pooling(["log_prob"])),
        *((results.NO_MODEL, score) for score in bare),
    }


@pytest.mark.slow
def test_scores_are_fitted_on_validation_images(project):
    before = table(project)["auroc"]
    for model in MODELS:
        statistics = read(project, "in", model, "val")
        write(project, "in", model, "val", statistics.assign(log_prob=statistics["log_prob"] - 8.0))
    after = table(project)["auroc"]
    changed = {index[1] for index in before.index if before[index] != after[index]}
    assert {"typicality", "dose_kde", "code_kde"} <= changed
    assert changed.isdisjoint({"log_prob", "complexity", *scores.applicable([])})


def test_a_set_is_not_told_from_itself(project):
    found = result(project)
    assert [found[model]["test_again"]["auroc"] for model in MODELS] == [0.5] * len(MODELS)


def test_a_model_of_binarised_images_never_stands_beside_bits_per_dim(project):
    for name, side in SETS.items():
        table = read(project, side, "vae", name)
        table["log_prob"] /= 10.0  # so few that only the unit's name keeps them off the axis of 8-bit images
        write(project, side, "vae", name, table, unit="binary_bits_per_dim")
    found = result(project)
    assert "vae" not in found
    assert "bits_per_dim" not in found["vae_binarised"]
    mean = -read(project, "in", "vae", "test")["log_prob"].mean() / DIMS / np.log(2.0)
    assert found["vae_binarised"]["binary_bits_per_dim"]["test"] == pytest.approx(mean, abs=1e-4)
    assert set(pd.read_csv("plots/toy/tables/histogram.csv")["model"]) == {"pixelcnn", "glow"}
    assert (project / "plots/toy/tables/roc_vae_binarised.csv").exists()


@pytest.mark.slow
def test_a_likelihood_that_is_not_finite_is_refused_by_model_set_and_image(project):
    evaluate.main()
    before = {file: (project / file).read_bytes() for file in files(project) if file.startswith(("metrics", "plots"))}
    for name, bad in itertools.product(("train", "val", "near"), (np.nan, np.inf, -np.inf)):
        table = read(project, SETS[name], "pixelcnn", name)
        changed = table.copy()
        changed.loc[7, "log_prob"] = bad
        write(project, SETS[name], "pixelcnn", name, changed)
        with pytest.raises(InputError, match=rf"pixelcnn: log_prob of image {table['index'][7]} of {name} is not finite"):
            evaluate.main()
        write(project, SETS[name], "pixelcnn", name, table)
    assert {file: (project / file).read_bytes() for file in files(project) if file.startswith(("metrics", "plots"))} == before


def test_models_that_scored_different_images_are_not_compared(project):
    table = read(project, "out", "glow", "near")
    table.loc[0, "index"] += 1
    write(project, "out", "glow", "near", table)
    with pytest.raises(InputError, match="glow has scored other images of near than vae: rerun `dvc repro`"):
        evaluate.main()


def test_an_unknown_benchmark_is_refused_by_name(project, monkeypatch):
    monkeypatch.setattr(sys, "argv", ["evaluate.py", "--benchmark", "other"])
    with pytest.raises(InputError, match=r"there is no benchmark 'other' in params\.yaml: the known ones are toy"):
        evaluate.main()


@pytest.mark.slow
def test_the_same_statistics_give_the_same_bytes_and_no_other_files(project):
    before, runs = set(files(project)), []
    for _ in range(2):
        evaluate.main()
        runs.append({file: (project / file).read_bytes() for file in set(files(project)) - before})
    assert runs[0] == runs[1]
    kept = ["metrics/toy/ood/metrics.json", "metrics/toy/ood/codecs.json", "metrics/scores/toy.csv", "metrics/detectors/toy.csv"]
    kept += [f"data/detectors/toy/{name}" for name in ("reference.parquet", "calibration.parquet", "detector.json")]
    tables = ["auroc.csv", "histogram.csv", "likelihoods.parquet", *(f"roc_{model}.csv" for model in MODELS)]
    assert set(runs[0]) == {*kept, *(f"plots/toy/tables/{table}" for table in tables)}


def test_an_image_whose_p_is_the_rate_counts_as_flagged(project, monkeypatch):
    monkeypatch.setattr(calibration, "RATES", (1.0,))
    evaluate.main()
    found = pd.read_csv("metrics/detectors/toy.csv", keep_default_na=False)
    assert (found["flagged"] == 1.0).all()


def test_a_detector_says_how_pictures_were_prepared_and_of_how_many_images_its_shares_are(project):
    prepared = {"resized": 0.75, "lossy": 0.25}
    (project / "data/processed/toy/in/statistics.json").write_text(json.dumps({"prepared": prepared}))
    evaluate.main()
    assert json.loads((project / "data/detectors/toy/detector.json").read_text())["prepared"] == prepared
    found = pd.read_csv("metrics/detectors/toy.csv", keep_default_na=False)
    assert set(zip(found["calibrated"], found["n"], strict=True)) == {(SCORED // 2, SCORED)}


def test_the_area_under_a_curve_is_the_auroc(project):
    found = result(project)
    for model in MODELS:
        curve = pd.read_csv(f"plots/toy/tables/roc_{model}.csv").query("out == 'near'")
        assert np.trapezoid(curve["tpr"], curve["fpr"]) == pytest.approx(found[model]["near"]["auroc"], abs=0.01)
