"""The documents: the overview has every natural pair, and of its further benchmarks what they change; links lead somewhere."""

import re
from types import SimpleNamespace

import pandas as pd
import pytest

from likelihood.commands import docs
from likelihood.common.errors import InputError
from likelihood.docs import claims, scores
from tests.helpers import ROOT, table_rows

PAGES = [*(ROOT / name for name in ("README.md", "CHANGELOG.md", "data/own/README.md")), *sorted((ROOT / "docs").glob("*.md"))]
LINK = re.compile(r"\]\(([^)#\s]*)(?:#([^)\s]*))?\)")

ROW = {"bits_per_dim": {"train": 3.0, "test": 3.1, "mnist": 2.0, "noise": 9.0}}
FOUND = {"auroc": 0.1, "auroc_low": 0.05, "auroc_high": 0.15}


def test_a_pair_that_comes_again_shows_only_what_its_benchmark_changes():
    summary = {model: {**ROW, "mnist": FOUND} for model in ("vae", "glow")} | {"images": {"mnist": 5000}}
    entry = {"in": "fashion_mnist", "out": ["mnist", "noise"], "vae": {"lr": 0.1}, "glow": {}}
    again = {**entry, "glow": {"coupling": "additive"}}
    rows = table_rows(docs.overview({"one": (entry, summary), "two": (again, summary)}))
    assert [row[2] for row in rows] == ["VAE", "Glow", "Glow, coupling additive"]
    assert rows[0] == ["Fashion-MNIST", "MNIST", "VAE", "5,000", "≤ 3.000", "≤ 3.100", "≤ 2.000", "0.100 [0.050, 0.150]", ""]
    assert rows[1][-1] == "2.958 / 1.833"  # the paper's Glow is set beside ours of the same kind only
    assert rows[2][-1] == ""


def test_a_variant_has_no_row_for_an_out_set_that_it_has_not_met():
    row = {**ROW, "noise": {**FOUND, "auprc": 0.2, "fpr95": 0.9}}
    summary = {"glow": {**row, "mnist": row["noise"]}, "images": {"train": 9, "test": 9, "noise": 9, "mnist": 9}}
    page = docs.page({"tops": ({"in": "fashion_mnist", "out": ["noise", "mnist"]}, summary)}, {"tops": {"glow_additive": row}})
    rows = [cells[:2] for cells in table_rows(page.split("## tops")[1])]
    glow = "−log p, Glow"
    assert rows == [[glow, "uniform noise"], [glow, "MNIST"], [f"{glow}, additive", "uniform noise"]]


def test_a_claim_is_tested_on_the_out_sets_that_the_variant_has_met(tmp_path):
    entries = {"tops": {"in": "fashion_mnist", "out": ["mnist_5k", "mnist"]}}
    simpler = {"fashion_mnist": ["mnist_5k", "mnist"]}
    variant = {"bits_per_dim": {"test": 3.0, "mnist": 2.0}, "mnist": FOUND}
    nothing = pd.DataFrame()
    results = claims.Results(entries, simpler, {"tops": {}}, {"tops": {claims.ADDITIVE: variant}}, tmp_path, nothing, nothing)
    found = [finding.text for finding in claims.additive(results)]
    assert found == ["Fashion-MNIST → MNIST, Glow, additive: 3.000 and 2.000 bits/dim, AUROC 0.100"]


def test_results_older_than_the_parameters_are_one_sentence(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    entry = {"in": "mnist", "out": ["noise", "kmnist"]}
    values = {"benchmarks": {"mnist": entry}, "run": ["mnist"]}
    with pytest.raises(InputError, match=r"^metrics/mnist/ood/metrics\.json is not here: run `dvc repro`$"):
        docs.committed(values)
    (tmp_path / "metrics/mnist/ood").mkdir(parents=True)
    (tmp_path / "metrics/mnist/ood/metrics.json").write_text('{"images": {"test": 5, "noise": 5}}')
    with pytest.raises(InputError, match=r"metrics\.json has no results of kmnist, which params\.yaml names: run `dvc repro`$"):
        docs.committed(values)
    with pytest.raises(InputError, match=r"^metrics/scores\.csv is not here: run `dvc repro`$"):
        docs.ranked(values)
    (tmp_path / "metrics/scores.csv").write_text("benchmark\nmnist\nholidays\n")
    with pytest.raises(InputError, match=r"has results of holidays, which params\.yaml no longer defines: run `dvc repro`$"):
        docs.ranked(values)


def test_results_that_do_not_belong_together_are_one_sentence(tmp_path):
    """As after a merge that takes one file from each side, or a write that was interrupted."""
    table = pd.DataFrame(
        [["mnist", "glow", "log_prob", "noise", 0.5, "far"]], columns=["benchmark", "model", "score", "out", "auroc", "use"]
    )
    with pytest.raises(InputError, match=r"ranking\.json and metrics/scores\.csv are of different runs: run `dvc repro rank`$"):
        scores.ranked(table, {"far": {"glow": {"log_prob": 0.25}}}, {}, None)
    (tmp_path / "half.json").write_text('{"rows": [')
    with pytest.raises(InputError, match=r"half\.json is no JSON \(.*\): run `make bench`, or `git checkout` to get it back$"):
        docs.contents(tmp_path / "half.json", "`make bench`")


def anchors(page):
    """The anchors of a page's headings, as GitHub makes them."""
    headings = re.findall(r"^#+ (.*)$", page.read_text(), re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", heading.lower()).strip().replace(" ", "-") for heading in headings}


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_every_link_within_the_repository_leads_somewhere(page):
    for place, anchor in LINK.findall(page.read_text()):
        if place.startswith(("http:", "https:")):
            continue
        target = page.parent / place if place else page
        assert target.exists(), place
        assert not anchor or anchor in anchors(target), f"{place}#{anchor}"


def test_every_page_is_reached_from_readme():
    seen, todo = set(), [ROOT / "README.md"]
    while todo:
        page = todo.pop()
        if page not in seen:
            seen.add(page)
            todo += [(page.parent / place).resolve() for place, _ in LINK.findall(page.read_text()) if place.endswith(".md")]
    assert seen == set(PAGES)


def test_a_page_that_is_old_or_not_there_sets_the_status_and_is_not_written_by_a_check(tmp_path, monkeypatch, capsys):
    page, (check, write) = tmp_path / "page.md", (SimpleNamespace(check=check) for check in (True, False))
    monkeypatch.setattr(docs, "pages", lambda: {page: "new\n"})
    assert docs.run(check) == 1
    assert not page.exists()
    assert (docs.run(write), docs.run(check)) == (0, 0)
    page.write_text("old\n")
    capsys.readouterr()
    assert docs.run(check) == 1
    assert page.read_text() == "old\n"
    assert capsys.readouterr().err == f"{page} does not match metrics/ and bench/: run `likelihood docs`\n"
