"""The check of params.yaml against whatever YAML can hold: allowed, or one short sentence."""

import copy
import datetime
from pathlib import Path

import pytest

import check
from likelihood.common import params
from likelihood.common.errors import InputError
from likelihood.settings import checks
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
            assert said is not None or not as_key
            assert said is None or (said.isprintable() and len(said) < 1500)


def test_what_is_the_basis_of_these_is_allowed():
    assert refusal(base()) is None


@pytest.mark.parametrize("name", ["a b", "../up", "$(ls)", "-x", "", "ü", "a.b", "a/b", "a-b", "scores", "claims", "x" * 101, 7])
def test_a_benchmark_s_name_is_one_that_files_and_commands_can_have(name):
    values = base()
    values["benchmarks"] = {name: ENTRY}
    values["run"] = [str(name)]
    wanted = "letters" if isinstance(name, int) else "up to 100 of a-z"
    assert f"benchmarks.{name} must be a name of {wanted}" in refusal(values)


@pytest.mark.parametrize("name", ["holidays", "CIFAR_10", "a_1", "x" * 100])
def test_other_names_are_allowed(name):
    values = base()
    values["benchmarks"], values["run"] = {name: ENTRY}, [name]
    assert refusal(values) is None


def test_a_family_has_one_variant_of_several_seeds():
    values = base()
    values["variants"]["glow_more"] = {"family": "glow", "seeds": [3, 4]}
    assert "variants.glow_seeds and variants.glow_more are both of several seeds" in refusal(values)
    del values["variants"]["glow_seeds"]
    assert refusal(values) is None


def test_so_few_images_that_no_detector_can_be_calibrated_are_not_scored():
    values = base()
    values["score"]["images"] = 3
    assert refusal(values) == "params.yaml: score.images is 3; it must be an integer from 4 to 10000000"


def test_settings_are_written_whole_and_those_of_before_go(monkeypatch, tmp_path):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(params, "load", base)
    (tmp_path / "data/settings/old").mkdir(parents=True)
    check.main()
    assert [path.name for path in Path("data").iterdir()] == ["settings"]
    found = {str(path.relative_to("data/settings")) for path in Path("data/settings").rglob("*.json")}
    models = {f"small/{model}/{name}.json" for model in params.MODELS for name in ("training", "scoring")}
    assert found == {"small/sets.json", "small/analyses.json", *models}
    assert not Path("data/settings/old").exists()
