"""The check of params.yaml against whatever YAML can hold: allowed, or one short sentence."""

import copy
import datetime
import io
from pathlib import Path

import pandas as pd
import pytest
import yaml

import check
from likelihood.common import params
from likelihood.common.errors import InputError
from likelihood.settings import checks, schema
from tests.helpers import ROOT

OWN = {"mine": {"height": 28, "width": 28, "channels": 1, "convert": True}}
ENTRY = {"in": "mine", "out": ["noise"], "glow": {"lr": 0.1}}
ODD = [
    None, True, [], {}, [None], [[1]], [{}], {"a": None}, 10**400, float("inf"), float("nan"), "", "ü", "a\nb", "\x1b[31m",
    "x" * 100_000, datetime.date(2020, 1, 1), b"x", {1, 2}, [True], {1: 2}, {True: 1}, {None: None}, ["a", "a"], {"mine": []}, -1,
]  # fmt: skip
itself = []
itself.append(itself)
ODD.append(itself)
# Where a value of these is not odd, by how Python writes it; all others, and all keys, must be refused.
ALLOWED = {
    "None": {f"{model}.{key}" for model in params.MODELS for key in schema.Loop.model_fields},  # inherits
    "True": {"own.mine.convert"},
    "[]": {"run_variants", "run_analyses"},
    "{}": {"variants", "colour", "benchmarks.small.glow", "claims.pairs", "rank.development", "rank.near"}
    | {f"colour.{model}" for model in params.MODELS},
}


LOADED = params.load(ROOT / "params.yaml")


def base():
    values = copy.deepcopy(LOADED)
    values |= {"run": ["small"], "benchmarks": {"small": copy.deepcopy(ENTRY)}, "own": copy.deepcopy(OWN)}
    return values


def places(values, path=()):
    """The keys that lead to every value."""
    for key, value in values.items():
        yield (*path, key)
        if isinstance(value, dict):
            yield from places(value, (*path, key))


def refusal(values):
    """What is said against values, or None."""
    try:
        checks.check(values)
    except InputError as error:
        return str(error)
    return None


@pytest.mark.parametrize("path", list(places(base())), ids=lambda path: ".".join(path))
def test_odd_values_and_odd_keys_are_refused_in_one_short_sentence(path):
    for odd in ODD:
        for as_key in (False, True):
            values = base()
            place = values
            for key in path[:-1]:
                place = place[key]
            if as_key and odd.__hash__ is None:
                continue
            place[odd if as_key else path[-1]] = 1 if as_key else copy.deepcopy(odd)
            said = refusal(values)
            if said is None:
                assert not as_key, odd
                assert ".".join(path) in ALLOWED.get(repr(odd), ()), odd
            else:
                assert said.isprintable()
                assert len(said) < 1500


def test_what_is_the_basis_of_these_is_allowed():
    assert refusal(base()) is None


NUMBERS = ["2024", "007", "1e5", "0x10", "_1"]
WORDS = ["null", "none", "na", "nan", "inf", "infinity", "true", "false", "yes", "no", "on", "off"]
ALLOWED_NAME = "a name of up to 100 characters from a-z, {}0-9 and _ that begins with a letter, and none of"
BENCHMARKS = ["a b", "../up", "$(ls)", "-x", "", "ü", "a.b", "a/b", "a-b", "scores", "claims", "x" * 101]


@pytest.mark.parametrize("name", [*BENCHMARKS, *NUMBERS, *WORDS, "NaN", "NULL", "True", "N/A"])
def test_a_benchmark_s_name_is_one_that_files_and_commands_can_have(name):
    values = base()
    values["benchmarks"] = {name: ENTRY}
    values["run"] = [name]
    assert f"benchmarks.{name} must be {ALLOWED_NAME.format('A-Z, ')} claims, " in refusal(values)


@pytest.mark.parametrize("name", [*NUMBERS, *WORDS, "x" * 101])
def test_a_name_is_none_that_tables_or_yaml_read_as_something_else(name):
    values = base()
    values["own"] = {name: OWN["mine"]}
    assert f"own.{name} must be {ALLOWED_NAME.format('')} train, " in refusal(values)
    values = base()
    values["variants"][name] = {"family": "glow"}
    assert f"variants.{name} must be {ALLOWED_NAME.format('')} all, none, " in refusal(values)


@pytest.mark.parametrize("word", checks.WORDS)
def test_no_word_is_refused_that_is_read_as_text_however_it_is_written(word):
    spelt = [word, word.upper(), word.title()]
    read = [pd.read_csv(io.StringIO(f"benchmark\n{each}\n"))["benchmark"][0] for each in spelt]
    assert word in WORDS
    assert read != spelt or [yaml.safe_load(each) for each in spelt] != spelt


@pytest.mark.parametrize("key", [7, None])
def test_a_name_that_yaml_reads_as_something_else_is_to_begin_with_a_letter(key):
    for section in ("own", "benchmarks", "variants"):
        values = base()
        values[section][key] = {}
        assert refusal(values).endswith(f"{section}.{key} must be a name that begins with a letter and that YAML reads as text")


@pytest.mark.parametrize("name", ["holidays", "CIFAR_10", "a_1", "x" * 100, "e5", "nan_1", "nothing"])
def test_other_names_are_allowed(name):
    values = base()
    values["benchmarks"], values["run"] = {name: ENTRY}, [name]
    values["own"][name.lower()] = OWN["mine"]
    assert refusal(values) is None


@pytest.mark.parametrize("name", ["vae_1", "vae_007"])
def test_a_variant_of_one_model_is_not_named_as_one_of_several_seeds(name):
    values = base()
    values["variants"][name] = {"family": "vae", "hidden": 200}
    assert refusal(values) == f"params.yaml: variants.{name} must end in a word, as a number there is a seed of vae"
    values["variants"][f"{name}_wide"] = values["variants"].pop(name)
    assert refusal(values) is None
    del values["variants"]["vae_seeds"]
    values["variants"][name] = {"family": "vae", "seeds": [1]}  # whose columns have the seeds that are listed
    assert refusal(values) is None


def test_a_family_has_one_variant_of_several_seeds():
    values = base()
    values["variants"]["glow_more"] = {"family": "glow", "seeds": [3, 4]}
    assert "variants.glow_seeds and variants.glow_more are both of several seeds" in refusal(values)
    del values["variants"]["glow_seeds"]
    assert refusal(values) is None


PAIRS = ("claims.pairs", "rank.development", "rank.near")


@pytest.mark.parametrize("key", PAIRS)
@pytest.mark.parametrize(("out", "why"), [("noise", "computed, and no pair of pictures"), ("mnist", "that very set")])
def test_a_pair_is_of_two_sets_of_pictures(key, out, why):
    values = base()
    section, name = key.split(".")
    values[section][name] = {"mnist": [out]}
    assert refusal(values) == f"params.yaml: {key}.mnist holds {out!r}, which is {why}; name other sets of pictures"


@pytest.mark.parametrize(
    ("one", "other", "both"),
    [
        ("cifar10_30k", "cifar10", True), ("cifar10", "cifar10_animals", True), ("cifar10_30k", "cifar10_animals", True),
        ("fashion_mnist", "fashion_tops", True), ("fashion_tops", "fashion_other", False), ("mnist_low", "mnist_high", False),
        ("cifar10_animals", "cifar10_vehicles", False), ("cifar10", "cifar100", False), ("svhn_10k", "svhn", True),
        ("mine", "mnist", False), ("mnist", "noise", False), ("mnist", "mnist_5k", True), ("mnist_low", "mnist_5k", True),
        ("kmnist", "mnist_5k", False),
    ],
)  # fmt: skip
def test_sets_that_share_images_are_no_pair(one, other, both):
    assert checks.shared(one, other) == checks.shared(other, one) == both


def test_an_out_set_with_images_of_the_in_set_is_refused():
    values = base()
    values["benchmarks"]["small"] = {"in": "cifar10_30k", "out": ["cifar10_animals"]}
    said = (
        "params.yaml: benchmarks.small.out holds 'cifar10_animals', which has images of its in-set 'cifar10_30k'; name other sets"
    )
    assert refusal(values) == said


def test_a_variant_is_named_by_its_family_and_an_own_set_by_no_model():
    values = base()
    values["variants"]["bigglow"] = {"family": "glow"}
    assert refusal(values) == "params.yaml: variants.bigglow must begin with glow_, as tables name it by its family"
    values = base()
    values["own"]["glow"] = values["own"]["mine"]
    assert refusal(values).startswith(f"params.yaml: own.glow must be {ALLOWED_NAME.format('')} train, ")


def test_so_few_images_that_no_detector_can_be_calibrated_are_not_scored():
    values = base()
    values["score"]["images"] = 3
    assert refusal(values) == "params.yaml: score.images is 3; it must be an integer from 4 to 10000000"


def test_settings_are_written_whole_and_those_of_before_go(monkeypatch, tmp_path):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(params, "load", lambda _: base())
    (tmp_path / "data/settings/old").mkdir(parents=True)
    check.main()
    assert [path.name for path in Path("data").iterdir()] == ["settings"]
    found = {str(path.relative_to("data/settings")) for path in Path("data/settings").rglob("*.json")}
    models = {f"small/{model}/{name}.json" for model in params.MODELS for name in ("training", "scoring")}
    assert found == {"small/sets.json", "small/analyses.json", *models}
    assert not Path("data/settings/old").exists()
