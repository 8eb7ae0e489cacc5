"""Every way to get it wrong of docs/errors.md: the message is the one that stands there, and nothing is lost or half-written.

A row's case is the function of its name in tests/wrong/; `…` in a message stands for anything.
"""

import ast
import inspect
import re

import pytest

from tests.helpers import ROOT
from tests.wrong import add, data, detect, parameters, surroundings
from tests.wrong.project import Project

ROW = re.compile(r"^\| `(\w+)` \| [^|]+ \| ``(.+)`` \|$", re.M)
MESSAGES = dict(ROW.findall((ROOT / "docs/errors.md").read_text()))
CASES = {
    name: value
    for module in (parameters, data, add, detect, surroundings)
    for name, value in vars(module).items()
    if inspect.isfunction(value) and value.__module__ == module.__name__
}


def test_every_row_has_a_case_and_every_case_a_row():
    assert MESSAGES.keys() == CASES.keys()
    assert len(MESSAGES) >= 25


@pytest.mark.parametrize("name", CASES)
def test_the_message_is_one_sentence_and_nothing_is_lost(name, small, tmp_path):
    project = Project(small.copied(tmp_path / "project").folder)
    try:
        CASES[name](project)
    finally:
        project.close()
    sentence = re.escape(MESSAGES[name].rstrip()).replace("…", ".*")
    assert re.search(rf"^{sentence}$", project.output, re.M), project.output
    assert "Traceback" not in project.output
    assert project.status != 0
    assert project.changed == set()


# What runs a program that a file holds.
DANGEROUS = {"pickle", "cPickle", "dill", "cloudpickle", "joblib", "shelve", "marshal"}
CALLS = {("torch", "load"), ("pd", "read_pickle"), ("builtins", "eval"), ("builtins", "exec"), ("yaml", "unsafe_load")}


@pytest.mark.parametrize("file", sorted((ROOT / "src").rglob("*.py")), ids=lambda file: str(file.relative_to(ROOT / "src")))
def test_no_format_that_can_run_code_is_loaded(file):
    for node in ast.walk(ast.parse(file.read_text())):
        if isinstance(node, ast.Import):
            assert not DANGEROUS & {alias.name.split(".")[0] for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            assert (node.module or "").split(".")[0] not in DANGEROUS
        elif isinstance(node, ast.Call):
            called = node.func
            place = called.value.id if isinstance(called, ast.Attribute) and isinstance(called.value, ast.Name) else "builtins"
            name = called.attr if isinstance(called, ast.Attribute) else getattr(called, "id", "")
            keywords = {keyword.arg: ast.unparse(keyword.value) for keyword in node.keywords}
            assert (place, name) not in CALLS, ast.unparse(node)
            if (place, name) == ("np", "load"):
                assert keywords.get("allow_pickle") == "False", ast.unparse(node)
            if (place, name) == ("yaml", "load"):
                assert ast.unparse(node.args[1]) == "_Loader", "a SafeLoader"
            if (place, name) == ("Image", "open"):
                assert keywords.get("formats") in ("formats()", "['PNG']", "['JPEG']"), "EPS is a program"
