"""Profiles name parameters that exist and values that are allowed."""

import copy

import pytest
import yaml

from likelihood.common import params
from likelihood.settings import checks
from tests.helpers import ROOT

PROFILES = sorted((ROOT / "profiles").glob("*.args"))


def overrides(path):
    words = path.read_text().split()
    assert words[::2] == ["-S"] * (len(words) // 2)
    return [word.split("=", 1) for word in words[1::2]]


def test_there_is_a_quick_profile():
    assert "quick" in {path.stem for path in PROFILES}


@pytest.mark.parametrize("path", PROFILES, ids=[path.stem for path in PROFILES])
def test_a_profile_changes_existing_parameters_to_allowed_values(path):
    values = copy.deepcopy(params.load(ROOT / "params.yaml"))
    for key, text in overrides(path):
        *sections, last = key.split(".")
        place = values
        for section in sections:
            place = place[section]
        assert last in place, key
        new = yaml.safe_load(text)
        assert place[last] != new, f"{key} is {new!r} already"
        place[last] = new
    checks.check(values)
