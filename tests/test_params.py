"""The one reader of params.yaml and the check that stands before everything."""

import copy
import re

import pytest

import check
from likelihood.common import params
from likelihood.common.errors import InputError

VALUES = params.load()


def test_the_committed_parameters_are_allowed():
    check.check(VALUES)


@pytest.mark.parametrize(
    ("text", "value"),
    [("1e-05", 1e-5), ("1e-3", 1e-3), ("2.5E+3", 2500.0), (".5", 0.5), ("1.", 1.0), ("-0.1", -0.1), ("3", 3), ("007a", "007a")],
)
def test_numbers_are_read_as_yaml_1_2_has_them(tmp_path, text, value):
    path = tmp_path / "params.yaml"
    path.write_text(f"lr: {text}\n")
    read = params.load(path)["lr"]
    assert read == value
    assert type(read) is type(value)


def test_an_empty_value_inherits_and_the_benchmark_comes_last():
    values = copy.deepcopy(VALUES)
    values["glow"]["lr"] = None
    assert params.of_model(values, "glow", "mnist_5k")["lr"] == values["model"]["lr"]
    values["glow"]["lr"] = 0.5
    assert params.of_model(values, "glow", "mnist_5k")["lr"] == 0.5
    values["benchmarks"]["mnist_5k"]["glow"] = {"lr": 0.25}
    assert params.of_model(values, "glow", "mnist_5k")["lr"] == 0.25
    assert params.of_model(values, "glow", "fashion_mnist")["lr"] == 0.5


def test_all_models_inherit_the_shared_lr_and_it_is_not_one_thousandth():
    assert VALUES["model"]["lr"] != 1e-3
    assert all(VALUES[model]["lr"] is None for model in check.MODELS)


MINE = {"height": 8, "width": 8, "channels": 3, "convert": True}
WRONG = [
    ("model.lr", "abc", "model.lr is 'abc'; it must be a number above 0.0 and below 1.0"),
    ("model.lr", float("nan"), "model.lr is nan; it must be a number"),
    ("model.lr", -0.1, "model.lr is -0.1"),
    ("model.lr", 0, "model.lr is 0;"),
    ("model.lr", True, "model.lr is True"),
    ("model.lr", None, "model.lr is None"),
    ("model.batch_size", 16.0, "model.batch_size is 16.0; it must be an integer from 1 to 65536"),
    ("model.batch_size", 0, "model.batch_size is 0"),
    ("model.snapshots", [1, 1], "model.snapshots is [1, 1]; it must be a list of different epochs"),
    ("model.snapshots", 3, "model.snapshots is 3"),
    ("model.momentum", 0.9, "model.momentum is not a known key; known here: lr, batch_size"),
    ("glow.levels", 2, "glow.levels is not a known key"),
    ("glow.coupling", "linear", "glow.coupling is 'linear'; it must be one of affine, additive"),
    ("vae.likelihood", ["logistic"], "vae.likelihood is ['logistic']; it must be one of logistic, bernoulli"),
    ("seed", -1, "seed is -1; it must be an integer"),
    ("seed", "0", "seed is '0'"),
    ("run", [], "run is []; it must be a list of different names, at least one"),
    ("run", "fashion_mnist", "run is 'fashion_mnist'"),
    ("run", ["cifar"], "run names 'cifar', which benchmarks does not define; defined: fashion_mnist, "),
    ("pixelcnn.pixels", "logistic", "pixelcnn.pixels is 'logistic'; it must be one of softmax, mixture"),
    ("vae.network", "conv", "vae.network is 'conv'; it must be one of dense, convolutional"),
    ("own", None, "own is None; it must map names to data sets, or be {}"),
    ("own", {"mine": {"height": 8}}, "own.mine.width is missing"),
    ("own", {"mine": {**MINE, "channels": 4}}, "own.mine.channels is 4; it must be 1 or 3"),
    ("own", {"mine": {**MINE, "convert": "yes"}}, "own.mine.convert is 'yes'; it must be true or false"),
    ("own", {"mnist": MINE}, "own.mnist must be a name of a-z, 0-9 and _, and none of train"),
    ("own", {"test": MINE}, "own.test must be a name"),
    ("own", {"../mine": MINE}, "own.../mine must be a name"),
    ("glow.scales", 3, "glow.scales is 3 for benchmark fashion_mnist, but images of 28×28 cannot be halved as often"),
    ("benchmarks.mnist_5k.in", "mnist_6k", "benchmarks.mnist_5k.in is 'mnist_6k'; it must be one of"),
    ("benchmarks.mnist_5k.out", ["nois"], "benchmarks.mnist_5k.out is 'nois'; it must be one of"),
    ("benchmarks.mnist_5k.out", ["mnist_5k"], "benchmarks.mnist_5k.out holds 'mnist_5k', which is its in-set"),
    ("benchmarks.mnist_5k.out", [], "benchmarks.mnist_5k.out is []; it must be a list of different data sets"),
    (
        "benchmarks.mnist_5k.out",
        ["noise", "noise"],
        "benchmarks.mnist_5k.out is ['noise', 'noise']; it must be a list of different",
    ),
    (
        "benchmarks.mnist_5k.out",
        ["svhn"],
        "benchmarks.mnist_5k mixes image shapes: mnist_5k has (28, 28), svhn has (32, 32, 3); all",
    ),
    ("benchmarks.mnist_5k.in", "noise", "benchmarks.mnist_5k.in is 'noise', which is made up; an in-set is of pictures"),
    (
        "benchmarks.mnist_5k.in",
        "notmnist",
        "benchmarks.mnist_5k.in is 'notmnist', which has no training images; it can",
    ),
    ("benchmarks.mnist_5k.glow", {"lr": 2}, "benchmarks.mnist_5k.glow.lr is 2; it must be"),
    ("benchmarks.mnist_5k.glow", None, "benchmarks.mnist_5k.glow is None; it must hold keys and values"),
    ("preprocess.validation_fraction", 1, "preprocess.validation_fraction is 1; it must be a number above 0.0 and below 1.0"),
    ("score.draws.vae", 0, "score.draws.vae is 0"),
    ("score.images", 1, "score.images is 1"),
    ("plot.bins", 2.5, "plot.bins is 2.5"),
    ("extra", 1, "extra is not a known key"),
    ("companions.benchmarks", ["mnist"], "companions.benchmarks is ['mnist']; it must be a list of some of fashion_mnist"),
    ("companions.names", ["glow_local"], "companions.names is ['glow_local']; it must be a list of some of vae_seeds, "),
    ("companions.names", [["glow_seeds"]], "companions.names is [['glow_seeds']]; it must be a list of some of vae_seeds, "),
    ("companions.names", ["glow_seeds"], "companions needs both benchmarks and names, or neither"),
    ("companions.seeds", [1, 1], "companions.seeds is [1, 1]; it must be a list of different integers"),
    ("companions.seeds", [], "companions.seeds is []; it must be a list"),
    ("companions.mutation", 1, "companions.mutation is 1; it must be a number above 0.0 and below 1.0"),
    ("probes.benchmarks", "fashion_mnist", "probes.benchmarks is 'fashion_mnist'; it must be a list of some of"),
    ("claims.benchmarks", ["mnist"], "claims.benchmarks is ['mnist']; it must be a list of some of fashion_mnist"),
    ("claims.curvature", ["fashion_mnist_additive"], "claims.curvature is ['fashion_mnist_additive']; it must be a list of some"),
    ("claims.images", 1, "claims.images is 1; it must be an integer from 2"),
    ("probes.names", ["glow_regret"], "probes.names is ['glow_regret']; it must be a list of some of vae_gradients"),
    ("vae.batch_size", 20_000, "vae.batch_size is 20000 for benchmark fashion_mnist; it must not exceed epoch_images, 10000"),
]


@pytest.mark.parametrize(("key", "value", "message"), WRONG, ids=[f"{key}={value}" for key, value, _ in WRONG])
def test_a_wrong_value_is_refused_with_its_key_itself_and_what_is_allowed(key, value, message):
    values = copy.deepcopy(VALUES)
    *path, last = key.split(".")
    place = values
    for part in path:
        place = place[part]
    place[last] = value
    with pytest.raises(InputError, match=re.escape(f"params.yaml: {message}")):
        check.check(values)


def test_a_benchmark_may_name_the_user_s_own_sets():
    values = copy.deepcopy(VALUES)
    values["own"] = {"mine": MINE, "theirs": MINE}
    values["benchmarks"]["mine"] = {"in": "mine", "out": ["theirs", "noise"], "vae": {}, "pixelcnn": {}, "glow": {}}
    check.check(values)
    values["own"] = {name: {**MINE, "height": 6} for name in ("mine", "theirs")}
    with pytest.raises(InputError, match=r"glow\.scales is 2 for benchmark mine, but images of 6×8 cannot be halved as often"):
        check.check(values)


def test_a_companion_in_force_needs_a_seed_of_its_own():
    values = copy.deepcopy(VALUES)
    values["seed"] = 1
    check.check(values)
    values["companions"] |= {"benchmarks": ["fashion_mnist"], "names": ["glow_seeds"]}
    with pytest.raises(InputError, match=r"companions\.seeds holds 1, which is `seed` itself"):
        check.check(values)


def test_a_missing_key_is_named():
    values = copy.deepcopy(VALUES)
    del values["glow"]["steps"]
    with pytest.raises(InputError, match=r"glow\.steps is missing"):
        check.check(values)


@pytest.mark.parametrize(("text", "message"), [("a: [", "is not valid YAML"), ("- 1\n", "must hold a mapping")])
def test_a_file_that_is_no_mapping_is_refused(tmp_path, text, message):
    path = tmp_path / "params.yaml"
    path.write_text(text)
    with pytest.raises(InputError, match=message):
        params.load(path)
    with pytest.raises(InputError, match="is not here"):
        params.load(tmp_path / "absent.yaml")
