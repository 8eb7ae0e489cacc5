"""Detectors: p-values keep the rate of false alarms; what is loaded judges as what was calibrated."""

import copy
import re
import shutil
import tomllib
import tracemalloc
import weakref

import numpy as np
import pandas as pd
import pytest
import torch
import yaml
from PIL import Image

from likelihood.common.errors import InputError
from likelihood.detection.detector import Detector
from likelihood.models.shared.base import LikelihoodModel
from likelihood.scores import complexity
from tests.helpers import ROOT, digits


@pytest.fixture(scope="module")
def detector(small):
    before = torch.get_default_dtype()
    torch.set_default_dtype(torch.float32)
    yield Detector.load(small.folder, "mnist_5k")
    torch.set_default_dtype(before)


def test_a_loaded_detector_gives_an_image_the_likelihood_it_was_scored_with(small, detector):
    torch.set_default_dtype(torch.float32)
    table = pd.read_parquet(small.folder / "data/scores/mnist_5k/in/glow/val.parquet")
    found = detector.table(digits(small, "val")[table["index"].to_numpy()])
    np.testing.assert_allclose(found["glow.bits_per_dim"], table["log_prob"] / (-784 * np.log(2)), rtol=1e-5)


def test_fresh_in_distribution_images_are_flagged_at_the_rate_asked_for(small, detector):
    torch.set_default_dtype(torch.float32)
    found = detector.table(digits(small, "test")[:400])
    n = len(detector.calibration.levels)
    images = 1 / n + 1 / 400  # of the calibration and these: what a share or a mean varies by
    for name in detector.names:
        p = found[f"{name}.p"]
        for rate in (0.1, 0.3):
            assert abs((p <= rate).mean() - rate) <= 4 * np.sqrt(rate * (1 - rate) * images) + 1 / (n + 1), name
        assert (p <= 0.3).any(), name
        assert abs(p.mean() - 0.5) <= 4 * np.sqrt(images / 12) + 1 / (n + 1), f"{name}: p is about uniform"


def test_an_image_has_the_same_numbers_alone_and_among_others(small, detector):
    torch.set_default_dtype(torch.float32)
    x = digits(small, "test")[:5]
    alone, among = detector.table(x[3:4]), detector.table(x).iloc[3:4].reset_index(drop=True)
    p = [name for name in alone if name.endswith(".p")]
    # Rounding differs with the number of rows of a product. A score may be a difference near 0, or a density whose units are a
    # thousandth of a statistic's; a p may pass by one more image.
    pd.testing.assert_frame_equal(alone.drop(columns=p), among.drop(columns=p), rtol=1e-5, atol=1e-3)
    pd.testing.assert_frame_equal(alone[p], among[p], rtol=0.0, atol=1.01 * detector.least_rate())


def test_a_table_of_one_score_is_a_part_of_that_of_all(small, detector):
    torch.set_default_dtype(torch.float32)
    x = digits(small, "test")[:3]
    some, every = detector.table(x, [detector.score]), detector.table(x)
    pd.testing.assert_frame_equal(some, every[list(some)])
    pd.testing.assert_frame_equal(some, detector.table(x, detector.score))
    assert [name for name in some if not name.endswith(".bits_per_dim")] == [detector.score, f"{detector.score}.p"]


def test_maps_add_up_to_the_likelihoods_and_a_model_without_places_is_named(small, detector, monkeypatch):
    torch.set_default_dtype(torch.float32)
    pixels = digits(small, "test")[:7]
    found, maps = detector.table(pixels), detector.maps(pixels[:, None])
    assert set(maps) == {"vae", "pixelcnn", "glow"}
    for model, each in maps.items():
        assert each.shape == (7, 28, 28)
        np.testing.assert_allclose(each.sum(axis=(1, 2)), -found[f"{model}.bits_per_dim"] * 784 * np.log(2), rtol=1e-4)
    assert detector.unmapped() == []
    monkeypatch.setattr(type(detector.models["glow"]), "terms", LikelihoodModel.terms)
    assert detector.unmapped() == ["glow"]


def test_noise_is_flagged(small, detector):
    torch.set_default_dtype(torch.float32)
    found = detector.table(digits(small, "noise", "out")[:20])
    assert (found["all.code_kde.p"] <= detector.least_rate() + 1e-12).all()


def test_what_is_missing_is_named(small, tmp_path):
    for path in (tmp_path / "no.detector", "x" * 300):
        with pytest.raises(InputError, match=r"is not a file: name one that `likelihood export` or `Detector\.save` wrote"):
            Detector.load(path)
    with pytest.raises(InputError, match="models is 3: give names of models"):
        Detector.load(tmp_path, "mnist_5k", 3)
    with pytest.raises(InputError, match=r"there is no benchmark 'mnist' in params\.yaml: the known ones are mnist_5k"):
        Detector.load(small.folder, "mnist")
    for text, message in (
        ("benchmarks:", "has no benchmarks, so it is of another project"),
        ("benchmarks: {mine: }", "benchmark mine has no in-set: run `dvc repro check`"),
        ("benchmarks: {mine: {out: [noise]}}", "benchmark mine has no in-set"),
        ("benchmarks: {2024: {in: mnist}}", "a benchmark is named 2024: run `dvc repro check`"),
    ):
        (tmp_path / "params.yaml").write_text(text)
        with pytest.raises(InputError, match=message):
            Detector.load(tmp_path, "mine")
    shutil.copy(small.folder / "params.yaml", tmp_path)
    for lock, message in (
        ("", "name mnist_5k under `run`"),  # it was never trained, so there is nothing to pull
        ("stages:\n  evaluate@mnist_5k:\n    outs:\n    - path: data/detectors/mnist_5k\n", "run `likelihood pull mnist_5k`, or"),
    ):
        (tmp_path / "dvc.lock").write_text(lock)
        with pytest.raises(InputError, match=rf"data/detectors/mnist_5k/detector\.json is not here: {message}"):
            Detector.load(tmp_path, "mnist_5k")
    for models, message in (
        (["flow"], "has no model 'flow'; it has vae, pixelcnn, glow"),
        (["glow", "glow_additive"], "glow_additive is a variant, which has a detector of its own: name it alone"),
    ):
        with pytest.raises(InputError, match=message):
            Detector.load(small.folder, "mnist_5k", models)


def test_other_versions_of_a_codec_are_known(small, detector):
    assert detector.other_codecs() == []
    facts = {**detector.facts, "codecs": {**detector.facts["codecs"], "png": "Pillow 1.0"}}
    assert Detector({}, facts, detector.calibration, "mnist_5k").other_codecs() == ["png"]


def test_what_is_calibrated_holds_no_image(small):
    folder = small.folder / "data/detectors/mnist_5k"
    assert {path.name for path in folder.iterdir()} == {"reference.parquet", "calibration.parquet", "detector.json"}
    table = pd.read_csv(small.folder / "metrics/detectors/mnist_5k.csv", keep_default_na=False)
    assert set(table["rate"]) == {0.01, 0.05, 0.1}
    assert {f"{row.model}.{row.score}" for row in table.itertuples()} == set(
        pd.read_parquet(folder / "calibration.parquet").columns
    )
    assert table["flagged"].between(0, 1).all()


def test_a_detector_is_refused_where_its_model_was_trained_or_scored_again_since(committed, tmp_path):
    shutil.copytree(committed, tmp_path / "here")
    lock = yaml.safe_load((committed / "dvc.lock").read_text())
    scored = lock["stages"]["score_in@fashion_mnist-glow"]
    scored["outs"][0]["md5"] = "0" * 32 + ".dir"
    (tmp_path / "here/dvc.lock").write_text(yaml.safe_dump(lock))
    message = r"data/scores/fashion_mnist/in/glow is not what .*data/detectors/fashion_mnist was calibrated with: run `dvc"
    with pytest.raises(InputError, match=message):
        Detector.load(tmp_path / "here", "fashion_mnist")
    Detector.load(tmp_path / "here", "fashion_mnist", "vae")  # which is what it was
    del lock["stages"]["score_in@fashion_mnist-glow"]
    (tmp_path / "here/dvc.lock").write_text(yaml.safe_dump(lock))
    Detector.load(tmp_path / "here", "fashion_mnist")  # nothing is known of it


# The calls of scikit-learn, on the committed detector.


@pytest.fixture(scope="module")
def glow(exported):
    """The smallest detector there is."""
    before = torch.get_default_dtype()
    torch.set_default_dtype(torch.float32)
    yield Detector.load(exported, models=["glow"])
    torch.set_default_dtype(before)


@pytest.fixture
def x():
    """Seven grey images (N, C, H, W): stripes that widen, and noise."""
    torch.set_default_dtype(torch.float32)
    made = np.zeros((7, 1, 28, 28), np.uint8)
    for number, image in enumerate(made[:6]):
        image[:, 4 : 8 + 3 * number, 6:22] = 150 + 10 * number
    made[6] = np.random.default_rng(0).integers(0, 256, (1, 28, 28))
    return made


def test_a_wrong_rate_is_said_before_an_image_is_read(glow):
    def endless():
        pytest.fail("an image was asked for")
        yield

    for call in (glow.predict, glow.decision_function):
        with pytest.raises(InputError, match="the rate is 1e-09; "):
            call(endless(), rate=1e-9)
        with pytest.raises(InputError, match=r"the rate is 1e-310; \d+ calibration images cannot resolve rates below 0\.001$"):
            call(endless(), rate=1e-310)


@pytest.mark.slow
def test_the_calls_say_the_same_at_every_rate(glow, x):
    table, levels = glow.table(x), np.sort(glow.calibration.levels["glow.code_kde"].to_numpy(np.float64))
    assert glow.score == "glow.code_kde"
    np.testing.assert_array_equal(glow.score_samples(x), -table["glow.code_kde"])
    p = glow.p_values(x)
    np.testing.assert_array_equal(p, table["glow.code_kde.p"])
    for rate in (glow.least_rate(), 0.05, 0.3, *p[p < 1], np.nextafter(0.3, 0), 0.999):
        decision, verdict = glow.decision_function(x, rate), glow.predict(x, rate)
        np.testing.assert_array_equal(verdict, np.where(p <= rate, -1, 1))
        np.testing.assert_array_equal(decision < 0, p <= rate)
        assert np.abs(levels - (decision - glow.score_samples(x))[0]).min() < 1e-6, "the threshold is a level"
    assert glow.predict(x)[6] == -1, "noise"
    assert glow.predict(x).dtype == np.int64


@pytest.mark.slow
@pytest.mark.filterwarnings("error:The given NumPy array is not writable")
def test_every_kind_of_images_has_the_same_numbers(glow, x, tmp_path):
    expected = glow.score_samples(x)
    paths = [tmp_path / f"{number}.png" for number in range(len(x))]
    for path, image in zip(paths, x, strict=True):
        Image.fromarray(image[0]).save(path)
    labelled = torch.utils.data.TensorDataset(torch.from_numpy(x), torch.arange(7))
    fixed = x.copy()
    fixed.flags.writeable = False
    kinds = {
        "grey": x[:, 0],
        "read-only": fixed,
        "tensor": torch.from_numpy(x),
        "a loader": torch.utils.data.DataLoader(labelled, batch_size=3),
        "a generator": (x[k : k + 2] for k in range(0, 7, 2)),
        "a list of batches": [x[:4], torch.from_numpy(x[4:])],
        "paths": paths,
        "names, one at a time": (str(path) for path in paths),
        "some of each": [paths[0], x[1:3, 0], *paths[3:]],
    }
    for kind, images in kinds.items():
        np.testing.assert_allclose(glow.score_samples(images), expected, rtol=1e-5, err_msg=kind)
    assert glow.p_values(paths[2]).shape == (1,)


def test_an_image_whose_likelihood_is_not_finite_is_as_outlying_as_can_be_and_the_others_as_ever(exported, x, monkeypatch):
    two, clean = Detector.load(exported, models=["vae", "glow"], score="glow.code_kde"), x[:3]
    before = two.table(clean)
    usual = type(two.models["glow"]).statistics

    def overflowing(network, images, draws):
        found = {name: values.clone() for name, values in usual(network, images, draws).items()}
        found["log_prob"][1] = -torch.inf
        found["log_pz"][2] = torch.nan
        return found

    monkeypatch.setattr(type(two.models["glow"]), "statistics", overflowing)
    after = two.table(clean)
    pd.testing.assert_frame_equal(after.iloc[:1], before.iloc[:1])
    others = [name for name in after if not name.startswith("glow.")]
    pd.testing.assert_frame_equal(after[others], before[others])
    for name in two.names:
        if name.startswith("glow."):
            assert after[name].tolist()[1:] == [np.inf] * 2
            assert after[f"{name}.p"].tolist()[1:] == [two.least_rate()] * 2
    assert two.predict(clean).tolist()[1:] == [-1, -1]
    assert two.score_samples(clean).tolist()[1:] == [-np.inf] * 2
    whole = Detector.load(exported)
    assert whole.p_values(clean).tolist()[1:] == [whole.least_rate()] * 2, "by a score of all models as well"


def test_code_lengths_are_computed_only_for_scores_that_read_them(glow, x, monkeypatch):
    every, calls, lengths = glow.table(x), [], complexity.lengths
    monkeypatch.setattr(complexity, "lengths", lambda images: calls.append(len(images)) or lengths(images))
    for name in glow.names:
        calls.clear()
        some = glow.table(x, [name])
        pd.testing.assert_frame_equal(some, every[list(some)])
        assert bool(calls) == bool(glow.calibration.judges[name].coded), name
    assert {"glow.dose_kde", "none.mean"} <= {name for name in glow.names if not glow.calibration.judges[name].coded}


def test_what_is_no_image_is_one_sentence(glow, x, tmp_path):
    (tmp_path / "text.png").write_text("x")
    Image.fromarray(x[0, 0]).save(tmp_path / "two.tiff", save_all=True, append_images=[Image.fromarray(x[1, 0])])
    for images, message in (
        ([[x[0], x[1]], [x[2], x[3]]], r"only the first would be taken: give numpy\.stack\(batch\)"),
        (np.array(3, np.uint8), r"the images are uint8 of shape \(\)"),
        (
            x / 255,
            r"the images are float64 of shape \(7, 1, 28, 28\); they must be uint8, 0 to 255, of shape \(N, 1, 28, 28\)",
        ),
        (x.transpose(0, 2, 3, 1), r"they must be uint8, 0 to 255, of shape"),
        (x[0, 0], r"of shape \(28, 28\); they must be .* of shape \(N, 1, 28, 28\) or \(N, 28, 28\)$"),
        (x[:, 0, 1:], "the images are uint8 of shape"),
        (x[:0], "the images are uint8 of shape"),
        ([x, x[:0]], "the images are uint8 of shape"),
        ([], "there are no images: give at least one"),
        (iter(()), "there are no images"),
        (tmp_path / "text.png", r"text\.png cannot be read as a picture"),
        ([tmp_path / "two.tiff"], r"two\.tiff holds several pictures"),
        (str(tmp_path), "is a folder: name the pictures in it"),
        ("x" * 300, r"xx cannot be read \(there is no such file\): name pictures"),
        (tmp_path / "x.npz", r"x\.npz holds arrays, not a picture: read it with numpy\.load"),
        (tmp_path / "none.png", "cannot be read"),
        (f"{tmp_path}/a\0b.png", r"a\\x00b\.png is no name that a file can have"),
        (None, "the images are of type NoneType: give an array, a tensor, paths, or an iterable of them"),
        (5, "the images are of type int"),
        ([[]], r"the images are float64 of shape \(0,\)"),
        ([()], r"the images are float64 of shape \(0,\)"),
        ([[[[1, 2], [3]]]], r"the images are no array of numbers \("),
        (torch.zeros(1, 1, 28, 28, dtype=torch.bfloat16), r"the images are no array of numbers \("),
        (torch.zeros(1, 1, 28, 28, requires_grad=True), "the images are float32 of shape"),
    ):
        with pytest.raises(InputError, match=message):
            glow.score_samples(images)
    for rate in (0.0, 1.0, np.nan, None, "a"):
        with pytest.raises(InputError, match=f"the rate is {rate}: it must be a number above 0 and below 1"):
            glow.predict(x, rate)
    with pytest.raises(
        InputError, match=r"the rate is 1e-05; 1000 calibration images cannot resolve rates below 0\.001, and 1e-05"
    ):
        glow.decision_function(x, 1e-5)


def test_a_device_that_there_is_not_is_one_sentence(exported):
    for device in ("gpu", "meta:x", *([] if torch.cuda.is_available() else ["cuda"])):
        with pytest.raises(InputError, match=f"device is '{device}': name one that PyTorch has here, as cpu"):
            Detector.load(exported, models=["glow"], device=device)


def test_only_what_was_fitted_or_loaded_is_copied(glow):
    made = Detector(glow.models, glow.facts, glow.calibration, "made")
    with pytest.raises(InputError, match="only a detector that was fitted or loaded is copied or pickled"):
        copy.copy(made)


def test_another_score_flags_if_it_is_named_and_some_models_have_none(exported, x):
    named = Detector.load(exported, models=["glow"], score="glow.complexity")
    np.testing.assert_array_equal(named.score_samples(x), -named.table(x)["glow.complexity"])
    with pytest.raises(InputError, match=r"there is no score 'vae\.typicality'; there are glow\.code_kde"):
        Detector.load(exported, models=["glow"], score="vae.typicality")
    with pytest.raises(InputError, match=r"there is no score 'magic'; there are glow\.code_kde"):
        named.table(x, ["glow.complexity", "magic"])
    assert list(Detector.load(exported, models="glow").models) == ["glow"], "a name is not a list of letters"
    two = Detector.load(exported, models=["vae", "glow"])
    with pytest.raises(InputError, match="no score of all models is calibrated for vae and glow alone: name a score of one"):
        two.predict(x)


def test_of_an_iterator_only_the_numbers_that_are_returned_are_kept(glow, monkeypatch):
    rows = pd.DataFrame(np.zeros((100, 60)), columns=["glow.code_kde", *map(str, range(59))])
    monkeypatch.setattr(glow, "_table", lambda x, scores: rows + x[0, 0, 0, 0])
    alive = most = 0

    class Tracked(np.ndarray):
        pass

    def gone():
        nonlocal alive
        alive -= 1

    def endless():
        nonlocal alive, most
        for number in range(1000):
            batch = np.full((100, 1, 28, 28), number % 256, np.uint8).view(Tracked)
            weakref.finalize(batch, gone)
            alive += 1
            most = max(most, alive)
            yield batch

    tracemalloc.start()
    found = glow.score_samples(endless())
    used = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert found.shape == (100_000,)
    assert most <= 2, "the batch at hand and the one before it"
    assert used <= 4 * found.nbytes, "78 MB of images, 48 MB of other numbers went by"


def test_the_documented_calls_work(exported, x, tmp_path, monkeypatch):
    code, _ = re.findall(r"```python\n(.*?)```", (ROOT / "docs/detect.md").read_text(), re.S)  # the other is in test_fit.py
    monkeypatch.chdir(tmp_path)
    shutil.copy(exported, "fashion_mnist.detector")
    for name in ("shirt.png", "digit.png"):
        Image.fromarray(x[0, 0]).save(name)
    names = {"x": x}
    exec(code, names)
    assert len(names["table"]) == 7
    assert set(names["verdict"]) <= {1, -1}


def test_type_checkers_read_the_annotations():
    assert (ROOT / "src/likelihood/py.typed").exists()
    assert "py.typed" in tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]["setuptools"]["package-data"]["likelihood"]


def test_an_image_whose_score_is_a_level_is_flagged_where_its_p_is_at_most_the_rate(glow, x, monkeypatch):
    levels = np.sort(glow.levels)[::-1]
    scores = pd.DataFrame({glow.score: [np.nextafter(levels[2], np.inf), levels[2], levels[0], np.inf]})
    monkeypatch.setattr(glow, "_table", lambda *_: scores)
    for k in (1, 2, 3, 4):  # the p of these are 3, 4, 2 and 1 of 1001
        assert glow.predict(x[:4], k / 1001).tolist() == [1 if p > k else -1 for p in (3, 4, 2, 1)]


def test_likelihoods_and_maps_are_of_as_many_draws_as_the_facts_say(glow, x):
    network, draws = glow.models["glow"], glow.facts["models"]["glow"]["draws"]
    assert draws > 1, "the test is blind"
    nats = network.log_prob(torch.from_numpy(x[:2]), draws).numpy()
    np.testing.assert_allclose(glow.table(x[:2], [glow.score])["glow.bits_per_dim"], -nats / (784 * np.log(2)), rtol=1e-5)
    np.testing.assert_allclose(glow.maps(x[:2])["glow"].sum(axis=(1, 2)), nats, rtol=1e-4)


def test_a_score_of_all_models_is_infinite_where_a_likelihood_is_not_finite(exported, x, monkeypatch):
    whole, usual = Detector.load(exported), type(Detector.load(exported, models="vae").models["vae"]).statistics
    monkeypatch.setattr(
        type(whole.models["vae"]), "statistics", lambda *arguments: {k: v - torch.inf for k, v in usual(*arguments).items()}
    )
    assert whole.score_samples(x[:2]).tolist() == [-np.inf] * 2
    assert whole.p_values(x[:2]).tolist() == [whole.least_rate()] * 2
