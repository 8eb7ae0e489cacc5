"""The one reader of params.yaml and the check that stands before everything."""

import copy
import re

import pytest

from likelihood.common import params
from likelihood.common.errors import InputError
from likelihood.settings import checks, resolve

VALUES = params.load()


def test_the_committed_parameters_are_allowed():
    checks.check(VALUES)


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


def test_an_empty_value_inherits_then_colours_the_benchmark_and_the_variant_come():
    values = copy.deepcopy(VALUES)

    def lr(benchmark, model="glow"):
        return resolve.training(values, benchmark, model)["loop"]["lr"]

    assert lr("mnist_5k") == values["model"]["lr"]
    values["glow"]["lr"] = 0.5
    assert (lr("mnist_5k"), lr("cifar10_30k")) == (0.5, 0.5)
    values["colour"]["glow"]["lr"] = 0.4
    assert (lr("mnist_5k"), lr("cifar10_30k")) == (0.5, 0.4)
    values["benchmarks"]["cifar10_30k"]["glow"] = {"lr": 0.25}
    assert (lr("cifar10_30k"), lr("svhn_10k"), lr("mnist_5k")) == (0.25, 0.4, 0.5)
    values["variants"]["glow_additive"]["lr"] = 0.125
    assert (lr("cifar10_30k", "glow_additive"), lr("cifar10_30k")) == (0.125, 0.25)


def test_all_families_inherit_the_shared_lr_and_it_is_not_one_thousandth():
    assert VALUES["model"]["lr"] != 1e-3
    assert all(VALUES[family]["lr"] is None for family in params.MODELS)


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
    ("model.snapshots", [1, 2], "model.snapshots is [1, 2]; it must be an integer from 1 to 1000"),
    ("run", ["mnist", "mnist"], "run is ['mnist', 'mnist']; it must be a list of different names"),
    ("model.momentum", 0.9, "model.momentum is not a known key; known here: lr, muon_lr, "),
    ("glow.levels", 2, "glow.levels is not a known key"),
    ("glow.coupling", "linear", "glow.coupling is 'linear'; it must be one of affine, additive"),
    ("vae.likelihood", ["logistic"], "vae.likelihood is ['logistic']; it must be one of logistic, mixture, bernoulli"),
    ("seed", -1, "seed is -1; it must be an integer"),
    ("seed", "0", "seed is '0'"),
    ("run", [], "run is []; it must be a list of different names, at least one"),
    ("run", "fashion_mnist", "run is 'fashion_mnist'"),
    ("run", ["cifar"], "run names 'cifar', which benchmarks does not define; defined: fashion_mnist, "),
    ("pixelcnn.pixels", "logistic", "pixelcnn.pixels is 'logistic'; it must be one of softmax, mixture"),
    ("vae.network", "conv", "vae.network is 'conv'; it must be one of dense, convolutional"),
    ("own", None, "own is None; it must hold keys and values"),
    ("own", {"mine": {"height": 8}}, "own.mine.width is missing"),
    ("own", {"mine": {**MINE, "channels": 4}}, "own.mine.channels is 4; it must be 1 or 3"),
    ("own", {"mine": {**MINE, "channels": True}}, "own.mine.channels is True; it must be 1 or 3"),
    ("own", {"mine": {**MINE, "convert": "yes"}}, "own.mine.convert is 'yes'; it must be true or false"),
    ("own", {"mnist": MINE}, "own.mnist must be a name of up to 100 characters from a-z, 0-9 and _ that begins with"),
    ("own", {"test": MINE}, "own.test must be a name"),
    ("own", {"../mine": MINE}, "own.../mine must be a name"),
    ("glow.scales", 3, "glow.scales is 3 for benchmark fashion_mnist, but images of 28×28 cannot be halved as often"),
    ("benchmarks.mnist_5k.in", "mnist_6k", "benchmarks.mnist_5k.in is 'mnist_6k'; it must be one of"),
    ("benchmarks.mnist_5k.out", ["nois"], "benchmarks.mnist_5k.out is 'nois'; it must be one of"),
    ("benchmarks.mnist_5k.out", ["mnist_5k"], "benchmarks.mnist_5k.out holds 'mnist_5k', which is its in-set"),
    ("benchmarks.mnist_5k.out", [], "benchmarks.mnist_5k.out is []; it must be a list of different names"),
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
    (
        "benchmarks.mnist_5k.in",
        "noise",
        "benchmarks.mnist_5k.in is 'noise', which is computed; an in-set must consist of pictures",
    ),
    (
        "benchmarks.mnist_5k.in",
        "notmnist",
        "benchmarks.mnist_5k.in is 'notmnist', which has no training images; it can",
    ),
    ("benchmarks.mnist_5k.in", "mnist_high", "benchmarks.mnist_5k.in is 'mnist_high', which has no training images; it can"),
    ("benchmarks.mnist_5k.glow", {"lr": 2}, "benchmarks.mnist_5k.glow.lr is 2; it must be"),
    ("benchmarks.mnist_5k.glow", None, "benchmarks.mnist_5k.glow is None; it must hold keys and values"),
    ("preprocess.validation_fraction", 1, "preprocess.validation_fraction is 1; it must be a number above 0.0 and below 1.0"),
    ("vae.draws", 0, "vae.draws is 0; it must be an integer from 1 to 100000"),
    ("score.images", 1, "score.images is 1"),
    ("plot.bins", 2.5, "plot.bins is 2.5"),
    ("extra", 1, "extra is not a known key"),
    ("run_variants", ["glow_local"], "run_variants names 'glow_local', which variants does not define; defined: vae_seeds, "),
    ("run_variants", [["glow_seeds"]], "run_variants is [['glow_seeds']]; it must be a list of different variants"),
    ("run_variants", "glow_seeds", "run_variants is 'glow_seeds'; it must be a list"),
    ("run_analyses", ["glow_regret"], "run_analyses is ['glow_regret']; it must be a list of some of gradients, "),
    ("run_analyses", ["claims", "claims"], "run_analyses is ['claims', 'claims']; it must be a list of some of"),
    ("variants.glow_seeds.seeds", [1, 1], "variants.glow_seeds.seeds is [1, 1]; it must be a list of different integers"),
    ("variants.glow_seeds.seeds", [], "variants.glow_seeds.seeds is []; it must be a list"),
    ("variants.glow_seeds.family", "made", "variants.glow_seeds.family is 'made'; it must be one of vae, pixelcnn, glow"),
    ("variants.glow_seeds.family", None, "variants.glow_seeds.family is None; it must be one of vae, pixelcnn, glow"),
    ("variants.glow_seeds.layers", 2, "variants.glow_seeds.layers is not a known key; known here: family, lr, "),
    ("variants.mine", {"lr": 0.1}, "variants.mine.family is missing"),
    ("variants.mine", None, "variants.mine is None; it must hold keys and values"),
    (
        "variants.glow",
        {"family": "glow"},
        "variants.glow must be a name of up to 100 characters from a-z, 0-9 and _ that begins with a letter, and none of all, ",
    ),
    ("variants.claims", {"family": "glow"}, "variants.claims must be a name"),
    ("variants.pixelcnn_background.mutation", 1, "variants.pixelcnn_background.mutation is 1; it must be a number above 0.0 and"),
    ("claims.images", 1, "claims.images is 1; it must be an integer from 2"),
    ("claims.pairs", ["mnist"], "claims.pairs is ['mnist']; it must hold keys and values"),
    ("claims.pairs", {"mnist": "svhn"}, "claims.pairs.mnist is 'svhn'; it must be a list of different names, at least one"),
    ("claims.pairs", {"clothes": ["mnist"]}, "claims.pairs is 'clothes'; it must be one of "),
    ("claims.pairs", {"mnist": ["clothes"]}, "claims.pairs.mnist is 'clothes'; it must be one of "),
    ("rank.near", {"mnist": "svhn"}, "rank.near.mnist is 'svhn'; it must be a list of different names, at least one"),
    ("rank.development", {"clothes": ["mnist"]}, "rank.development is 'clothes'; it must be one of "),
    (
        "rank.near",
        {"mnist": ["fashion_mnist"]},
        "rank.near.mnist has fashion_mnist, and so has rank.development: a pair has one use",
    ),
    ("rank.far", {}, "rank.far is not a known key; known here: development, near"),
    ("colour.vae.network", "deep", "colour.vae.network is 'deep'; it must be one of dense, convolutional"),
    ("colour.made", {}, "colour.made is not a known key; known here: vae, pixelcnn, glow"),
    ("vae.batch_size", 20_000, "vae.batch_size is 20000 for benchmark fashion_mnist; it must not exceed epoch_images, 5000"),
]


@pytest.mark.parametrize("section", ["model", "vae", "plot", "claims"])
def test_a_misspelt_key_is_named_not_the_one_that_is_missing_instead(section):
    values = copy.deepcopy(VALUES)
    key = list(values[section])[-1]
    values[section][f"{key}s"] = values[section].pop(key)
    with pytest.raises(InputError, match=rf"params.yaml: {section}.{key}s is not a known key; known here: .*\b{key}\b"):
        checks.check(values)


@pytest.mark.parametrize(("key", "value", "message"), WRONG, ids=[f"{key}={value}" for key, value, _ in WRONG])
def test_a_wrong_value_is_refused_with_its_key_itself_and_what_is_allowed(key, value, message):
    values = copy.deepcopy(VALUES)
    *path, last = key.split(".")
    place = values
    for part in path:
        place = place[part]
    place[last] = value
    with pytest.raises(InputError, match=re.escape(f"params.yaml: {message}")):
        checks.check(values)


def test_a_benchmark_may_name_the_user_s_own_sets():
    values = copy.deepcopy(VALUES)
    values["own"] = {"mine": MINE, "theirs": MINE}
    values["benchmarks"]["mine"] = {"in": "mine", "out": ["theirs", "noise"]}
    checks.check(values)
    values["own"] = {name: {**MINE, "height": 6} for name in ("mine", "theirs")}
    with pytest.raises(InputError, match=r"glow\.scales is 3 for benchmark mine, but images of 6×8 cannot be halved as often"):
        checks.check(values)


def test_an_enabled_variant_needs_seeds_of_its_own():
    values = copy.deepcopy(VALUES)
    values["seed"] = 1
    checks.check(values)
    values["run_variants"] = ["glow_seeds"]
    with pytest.raises(InputError, match=r"variants\.glow_seeds\.seeds holds 1, which is `seed` itself"):
        checks.check(values)


def test_a_missing_key_is_named():
    values = copy.deepcopy(VALUES)
    del values["glow"]["steps"]
    with pytest.raises(InputError, match=r"glow\.steps is missing"):
        checks.check(values)


TWICE = "the key 'seed' stands twice, in lines 1 and 3: keep one of them"


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"a: [", "is not valid YAML"),
        (b"- 1\n", "must hold a mapping"),
        (b"seed: 0\nrun: []\nseed: 1\n", TWICE),
        (b"a:\n  lr: 1\n  lr: 2\n", "the key 'lr' stands twice, in lines 2 and 3"),
        (b"a: {lr: 1, lr: 2}\n", "the key 'lr' stands twice, in lines 1 and 1"),
        (b"a: \xff\n", "is not UTF-8 text"),
        (b"a: " + b"9" * 5000, "is not valid YAML"),
        (b"[" * 100_000, "is not valid YAML"),
    ],
    ids=["open", "list", "twice", "nested", "flow", "latin-1", "digits", "deep"],
)
def test_a_file_that_cannot_be_read_is_refused_in_one_sentence(tmp_path, content, message):
    path = tmp_path / "params.yaml"
    path.write_bytes(content)
    with pytest.raises(InputError, match=message) as refused:
        params.load(path)
    assert "\n" not in str(refused.value)
    assert len(str(refused.value)) < 1000


def test_a_file_that_is_not_there_is_named(tmp_path):
    with pytest.raises(InputError, match="is not here"):
        params.load(tmp_path / "absent.yaml")
    with pytest.raises(InputError, match="is a folder"):
        params.load(tmp_path)


def test_a_batch_may_be_a_whole_epoch():
    values = copy.deepcopy(VALUES)
    values["vae"]["batch_size"] = values["model"]["epoch_images"]
    checks.check(values)
