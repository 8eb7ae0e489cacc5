"""Detectors of images at hand: what the stages would find, from any interruption on; settings are the project's."""

import copy
import dataclasses
import json
import pickle
import re
import subprocess
import sys
import time
import tomllib

import numpy as np
import pandas as pd
import pytest
import torch
from lightning_fabric import Fabric

import preprocess
import score
import train
from likelihood.common import images, params
from likelihood.common.errors import InputError
from likelihood.common.params import MODELS
from likelihood.detection import archive, fit
from likelihood.detection.detector import Detector
from likelihood.evaluation import calibration, results
from likelihood.models.shared import checkpoint
from likelihood.settings import resolve
from likelihood.training import loop
from tests.clone import small_parameters
from tests.helpers import ROOT, files

pytestmark = pytest.mark.slow


def drawn(count, shape=(8, 8), seed=0):
    """Grey images (N, H, W), or others of a shape: dark left, bright right."""
    x = np.random.default_rng(seed).integers(0, 60, (count, *shape), dtype=np.uint8)
    x[..., shape[-1] // 2 :] += 190
    return x


NOISE = np.random.default_rng(1).integers(0, 256, (5, 8, 8), dtype=np.uint8)


@pytest.fixture(autouse=True)
def brief(tmp_path, monkeypatch):
    """Settings that take a second, in single precision as ever."""
    torch.set_default_dtype(torch.float32)
    path = tmp_path / "small.yaml"
    path.write_text(small_parameters())
    monkeypatch.setattr(fit, "DEFAULTS", path)


def fitted(x, **settings):
    return Detector.fit(x, **{"held_out": 0.3, "progress": False, **settings})


def test_it_judges_and_is_saved_pickled_and_copied(tmp_path, capfd):
    x = drawn(200)
    detector = fitted(x, trained_on="halves")
    assert capfd.readouterr() == ("", "")
    assert (detector.shape, detector.trained_on, list(detector.models)) == ((1, 8, 8), "halves", list(MODELS))
    assert len(detector.levels) == 30
    fresh = drawn(200, seed=2)
    flagged, p = (detector.predict(fresh, 0.1) < 0).mean(), detector.p_values(fresh)
    assert 0.0 < flagged <= 0.1 + 4 * np.sqrt(0.09 * (1 / 30 + 1 / 200))
    assert abs(p.mean() - 0.5) <= 4 * np.sqrt((1 / 30 + 1 / 200) / 12) + 1 / 31, "p is about uniform"
    assert (detector.predict(NOISE, 0.1) == -1).all()
    assert detector.maps(NOISE[:, None])["glow"].shape == (5, 8, 8)
    table = detector.table(x[:7])
    detector.save(tmp_path / "halves.detector")
    loaded = Detector.load(tmp_path / "halves.detector")
    assert loaded.trained_on == "halves"
    for other in (loaded, pickle.loads(pickle.dumps(detector)), copy.deepcopy(detector)):
        pd.testing.assert_frame_equal(other.table(x[:7]), table)
    loaded.save(tmp_path / "again.detector")
    assert (tmp_path / "again.detector").read_bytes() == (tmp_path / "halves.detector").read_bytes()
    card = json.loads(detector.members[archive.CARD])
    assert card["trained_on"]["count"] == 200
    assert card["training"]["vae"] == {"epochs": 2, "seed": 0}
    for model, each in card["metrics"]["bits_per_dim"].items():
        assert 4 < each["held_out"] < 8, model
    assert set(card["sha256"]) == detector.members.keys() - {archive.CARD}


def test_a_detector_of_some_models_or_of_a_benchmark_is_copied_but_not_saved(committed, exported, tmp_path):
    x = np.zeros((2, 28, 28), np.uint8)
    for detector in (
        Detector.load(exported, models=["glow"], score="glow.complexity"),
        Detector.load(committed, "fashion_mnist", ["glow"], "glow.complexity"),
    ):
        np.testing.assert_array_equal(pickle.loads(pickle.dumps(detector)).score_samples(x), detector.score_samples(x))
        with pytest.raises(InputError, match="only a whole detector that was fitted, or loaded from a file, is saved"):
            detector.save(tmp_path / "x.detector")
    with pytest.raises(InputError, match=r"x\.zip must end in \.detector"):
        Detector.load(exported).save(tmp_path / "x.zip")


def staged(folder, x, seed, share, monkeypatch):
    """What the stages leave in a folder, of a benchmark `own` whose training images are x."""
    monkeypatch.chdir(folder)
    monkeypatch.setattr(torch, "get_num_threads", lambda: 1)  # this process is not forked
    values = params.load(fit.DEFAULTS) | {"seed": seed, "run": ["own"], "run_variants": []}
    values["own"] = {"own": {"height": 8, "width": 8, "channels": 1, "convert": False}}
    values["benchmarks"] = {"own": {"in": "own", "out": ["noise"]}}
    (folder / "params.yaml").write_text(json.dumps(values))
    resolve.write(values, folder / "data/settings")
    for name, images_ in (("train", x), ("test", x[:9])):
        images.save(folder / f"raw/{name}.npy", images_)
    processed = folder / "data/processed/own/in"
    processed.mkdir(parents=True)
    preprocess.preprocess_in(folder / "raw", processed, seed, share)
    for model in MODELS:
        train.train(Fabric(accelerator="cpu"), model, "own")
        monkeypatch.setattr(sys, "argv", ["score.py", "in", model, "--benchmark", "own"])
        score.main()
    found = {model: results.read_statistics(folder / "data/scores/own/in" / model) for model in MODELS}
    facts, statistics = ({model: each[k] for model, each in found.items()} for k in (0, 1))
    calibration.write_detector("own", "own", facts, statistics, seed)


def test_it_finds_what_the_stages_find_in_the_same_images(tmp_path, monkeypatch):
    x = drawn(240)  # of whose 72 that are held out 60 are scored
    members = fitted(x, seed=3).members
    try:
        staged(tmp_path, x, 3, 0.3, monkeypatch)
    finally:
        torch.use_deterministic_algorithms(False)
    for model in MODELS:
        weights = (tmp_path / f"data/models/own/{model}/best.safetensors").read_bytes()
        assert members[archive.WEIGHTS.format(model)] == weights, model
    there = tmp_path / "data/detectors/own"
    for name in ("reference.parquet", "calibration.parquet"):
        assert members[name] == (there / name).read_bytes(), name
    facts = json.loads(members[archive.FACTS])
    unknown = {"prepared": {"resized": 0.0, "lossy": 0.0}}  # which pictures tell, and arrays do not
    assert json.loads((there / "detector.json").read_text()) == unknown | {
        name: value for name, value in facts.items() if name not in ("format", "trained_on", "prepared")
    }


def test_an_interrupted_fit_goes_on_after_the_last_complete_epoch_and_finds_the_same(tmp_path, monkeypatch):
    x, models, folder = drawn(60), ("vae", "pixelcnn"), tmp_path / "kept"
    expected = fitted(x, models=models, epochs=3).members
    validate, trained = loop.validate, []

    def counting(*arguments):
        if len(trained) in stops:
            raise KeyboardInterrupt
        trained.append(1)
        return validate(*arguments)

    monkeypatch.setattr(loop, "validate", counting)
    for stops, done in (({1}, 1), ({4}, 4), ({6}, 6)):
        if stops == {6}:
            assert fitted(x, models=models, epochs=3, folder=folder).members == expected
        else:
            with pytest.raises(KeyboardInterrupt):
                fitted(x, models=models, epochs=3, folder=folder)
        assert len(trained) == done, "no complete epoch is trained again"
    assert fitted(x, models=models, epochs=3, folder=folder).members == expected, "and all of it is there"
    assert len(files(folder)) == 4, "a state and weights for each model"
    stops = set()
    for change in ({"seed": 1}, {"epochs": 2}, {"held_out": 0.4}):
        trained.clear()
        fitted(x, folder=folder, **{"models": ["vae"], "epochs": 3, **change})
        assert trained, "another training does not go on from there"
    for other in (x.reshape(-1, 4, 16), np.where(np.arange(len(x)) == 0, 0, x.T).T):
        trained.clear()
        fitted(other, models=["vae"], epochs=3, folder=folder)
        assert len(trained) == 3, "images of another shape, or other images"


def test_the_seed_decides_and_nothing_else_of_the_caller_s_is_touched():
    x = drawn(50)
    torch.manual_seed(7)
    before, untouched = torch.get_rng_state(), x.copy()
    first = fitted(x, models=["vae"])
    assert torch.equal(torch.get_rng_state(), before)
    assert not torch.are_deterministic_algorithms_enabled()
    np.testing.assert_array_equal(x, untouched)
    torch.manual_seed(8)
    assert fitted(torch.from_numpy(x)[:, None], models=["vae"]).members == first.members
    assert fitted(x, models=["vae"], seed=1).members != first.members
    assert fitted(x, models=["vae"], seed=np.int64(0)).members == first.members
    longer = fitted(x, models=["vae"], epochs=4)
    assert json.loads(longer.members[archive.CARD])["training"] == {"vae": {"epochs": 4, "seed": 0}}


def test_bars_show_how_far_it_is(capfd):
    fitted(drawn(50), models=["vae"], progress=True)
    said = capfd.readouterr()
    assert said.out == ""
    assert "epoch=2/2" in said.err
    assert "scoring: 100%" in said.err


def test_colour_images_have_the_settings_of_colour():
    x = np.stack([drawn(50, (16, 16), seed) for seed in range(3)], axis=1)
    detector = fitted(x, models=["vae", "glow"])
    assert detector.shape == (3, 16, 16)
    assert len(detector.models["glow"].scales) == 3
    assert detector.facts["models"]["vae"]["draws"] == 2


def test_settings_are_those_that_the_project_resolves_for_a_benchmark(monkeypatch):
    values = params.load(ROOT / "params.yaml")
    monkeypatch.undo()
    assert fit.DEFAULTS.read_bytes() == (ROOT / "params.yaml").read_bytes()
    data = tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]["setuptools"]["package-data"]["likelihood"]
    assert str(fit.DEFAULTS.relative_to(ROOT / "src/likelihood")) in data
    for shape, benchmark in (((1, 28, 28), "fashion_mnist"), ((3, 32, 32), "cifar10_30k")):
        own = fit.settings(shape, MODELS, None, values["seed"])
        for model in MODELS:
            assert resolve.training(own, fit.NAME, model) == resolve.training(values, benchmark, model)
            assert resolve.scoring(own, fit.NAME, model) == resolve.scoring(values, benchmark, model)
    said = " ".join(Detector.fit.__doc__.split())
    assert f"epochs of {values['model']['epoch_images']:,} images" in said
    assert f"{values['preprocess']['validation_fraction']} by default" in said


def test_the_documented_call_works(tmp_path, monkeypatch):
    _, code = re.findall(r"```python\n(.*?)```", (ROOT / "docs/detect.md").read_text(), re.S)  # the other is in test_detector.py
    monkeypatch.chdir(tmp_path)
    np.save("images.npy", drawn(50))
    exec(code, names := {})
    assert Detector.load("own.detector").shape == names["detector"].shape == (1, 8, 8)
    assert len(files(tmp_path / "training")) == 6
    values = params.load(ROOT / "params.yaml")
    page = (ROOT / "docs/detect.md").read_text()
    assert f"an epoch is {values['model']['epoch_images']:,} images" in page
    for name, section in (("multiples of", values["glow"]), ("of colour images of", values["colour"]["glow"])):
        assert f"{name} {2 ** section['scales']}" in page


def test_what_cannot_be_fitted_is_one_sentence(tmp_path):
    (tmp_path / "file").write_text("")
    x = drawn(50)
    for images_, settings, message in (
        (x / 255, {}, r"the images are float64 of shape \(50, 8, 8\); they must be uint8, 0 to 255, of shape \(N, 1, H, W\)"),
        (x[..., None], {}, "the images are uint8 of shape"),
        (x[0, 0], {}, "the images are uint8 of shape"),
        (x[:0], {}, "the images are uint8 of shape"),
        (x[:, :0], {}, "the images are uint8 of shape"),
        ("pictures", {}, "they must be uint8"),
        (
            x[:34],
            {"held_out": None},
            r"of 34 images 3 are held out, but a detector needs 4: give at least 35 images, or a larger",
        ),
        (x[:1], {}, "of 1 images 0 are held out"),
        (x, {"held_out": 1.0}, r"held_out is 1\.0: it must be a number above 0 and below 1"),
        (x, {"held_out": "0.1"}, r"held_out is '0\.1': it must be a number"),
        (
            np.zeros((50, 4, 5000), np.uint8),
            {"models": ["pixelcnn"]},
            "the images' width is 5000: it must be an integer from 1 to 4096",
        ),
        (x, {"held_out": np.nan}, "held_out is nan"),
        (x, {"epochs": 0}, "epochs is 0: it must be an integer from 1 to 100000"),
        (x, {"epochs": 1.5}, "epochs is 1.5: it must be an integer"),
        (x, {"models": []}, r"models is \[\]: name some of vae, pixelcnn, glow, each once"),
        (x, {"models": "flow"}, r"models is \['flow'\]: name some of vae, pixelcnn, glow"),
        (x, {"models": ["vae", "vae"]}, "each once"),
        (x, {"models": None}, "models is None: give names of models"),
        (x, {"models": [["vae"]]}, r"models has \['vae'\]: give names of models"),
        (x, {"folder": 3}, "folder is 3: name one, or None"),
        (x, {"models": ["flow"]}, "name some of vae, pixelcnn, glow"),
        (x[:, 1:], {}, "the images are of 7×8, but Glow takes multiples of 4: cut or pad them, or name other models"),
        (x, {"folder": tmp_path / "file"}, r"file cannot be a folder \(File exists\): name another"),
        (x, {"folder": tmp_path / "file/below"}, r"below cannot be a folder \(Not a directory\): name another"),
        (x, {"seed": -1}, "seed is -1: it must be an integer from 0 to 2147483647"),
        (x, {"seed": "1"}, "seed is '1': it must be an integer"),
        (x, {"trained_on": "a\nb"}, r"trained_on is 'a\\nb': it must be a text of 1 to 200 printable characters"),
        (np.stack([x, x, x], axis=1), {"models": ["glow"]}, r"glow cannot learn from these images \(training [^;]*\): give more"),
    ):
        with pytest.raises(InputError, match=message) as error:
            fitted(images_, **settings)
        assert "\n" not in str(error.value)
    assert fitted(x[:, 1:], models=["vae", "pixelcnn"]).shape == (1, 7, 8), "the others take any size"


def test_a_missing_package_is_one_sentence_and_loading_imports_none_of_those_that_train(exported):
    code = f"""
import sys
from likelihood.detection.detector import Detector
Detector.load({str(exported)!r}, models=["glow"])
assert not {{"lightning_fabric", "dvclive", "dvc"}} & sys.modules.keys(), sys.modules.keys()
sys.modules["lightning_fabric"] = None
import numpy as np
Detector.fit(np.zeros((50, 8, 8), np.uint8))
"""
    run = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    last = run.stderr.splitlines()[-1]
    assert last.startswith(
        "likelihood.common.errors.InputError: Detector.fit needs lightning_fabric, which is not installed: install"
    )


@pytest.mark.parametrize("name", MODELS)
def test_a_step_of_a_training_is_timed_with_the_settings_it_will_have(name, monkeypatch):
    torch.set_default_dtype(torch.float32)
    shape, built, times = (1, 8, 8), [], []

    class Seen(loop.Training):
        def __init__(self, fabric, model, x, validation, schedule):
            super().__init__(fabric, model, x, validation, schedule)
            built.append((model, x, schedule))

        def epoch(self, *arguments):
            start = time.perf_counter()
            try:
                return super().epoch(*arguments)
            finally:
                times.append(time.perf_counter() - start)

    monkeypatch.setattr(fit, "Training", Seen)
    training = resolve.training(fit.settings(shape, (name,), 2, 0), fit.NAME, name)
    whole, batch = fit.schedule_of(training["loop"], 0), training["loop"]["batch_size"]
    before = time.perf_counter()
    minutes = fit.training_minutes([training], shape)
    passed = time.perf_counter() - before
    assert len(built) == len(times) == fit.STEPS + 1
    seconds = 60.0 * minutes / (2 * (whole.epoch_images // batch))
    assert np.median(times[1:]) <= seconds <= passed - times[0], "the first step warms up"
    expected = checkpoint.model_class(name)(shape=list(shape), **training["architecture"])
    for model, x, schedule in built:
        assert (x.shape, x.dtype) == ((batch, *shape), np.uint8)
        assert schedule == dataclasses.replace(whole, epochs=1, epoch_images=batch), "one step of a whole batch"
        assert type(model) is type(expected)
        sizes = [{key: value.shape for key, value in each.state_dict().items()} for each in (model, expected)]
        assert sizes[0] == sizes[1]
