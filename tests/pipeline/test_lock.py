"""dvc.lock can be trusted: a run from nothing gives the same hashes; what is older than its code, parameters or data is named."""

import hashlib
import shutil
import sys

import pandas as pd
import pytest
import yaml

from likelihood import cli
from likelihood.commands import audit, verify
from tests import warm
from tests.clone import environment, ran
from tests.helpers import ROOT, git

STAGES = yaml.safe_load((ROOT / "dvc.yaml").read_text())["stages"]


@pytest.mark.slow
def test_no_committed_result_that_is_enabled_is_older_than_what_it_was_made_from():
    with audit.scratch() as folder:
        assert audit.stale(audit.enabled(ROOT, folder), audit.load_lock(ROOT)) == {}


def test_every_list_that_enables_stages_is_known_to_the_audit():
    lists = {axis.strip("${}") for entry in STAGES.values() for axis in map(str, entry.get("matrix", {}).values())}
    assert {name for name in lists if not name.startswith("[")} == {"run", *audit.NAMES}
    assert STAGES.keys() >= {"download", *audit.NAMES.values()}


OTHER = """  digits:
    in: mnist_5k
    out:
    - constant
    glow:
      lr: 0.001
variants:
"""


@pytest.fixture(scope="module")
def two(small, tmp_path_factory):
    """The small pipeline with a second benchmark of which a part ran and that is disabled again."""
    clone = small.copied(tmp_path_factory.mktemp("two") / "clone")
    text = clone.read("params.yaml").replace("variants:\n", OTHER)
    clone.write("params.yaml", text.replace("run:\n- mnist_5k\n", "run:\n- digits\n"))
    clone.dvc("repro", "score_in@digits-glow")
    clone.write("params.yaml", text)
    clone.dvc("repro")
    clone.commit()
    return clone


CHANGES = {
    "code of one model": (
        lambda clone: clone.change("src/likelihood/models/glow/model.py", "import math", "import math  #"),
        {"check", "train_glow@mnist_5k", "score_in@mnist_5k-glow", "score_out@mnist_5k-glow", "map@mnist_5k"},
        {"train_glow@digits", "score_in@digits-glow"},
        "src/likelihood/models/glow is modified",
    ),
    "a parameter of the disabled benchmark": (
        lambda clone: clone.change("params.yaml", "      lr: 0.001\nvariants", "      lr: 0.002\nvariants"),
        {"check", "rank"},  # which see all benchmarks
        {"train_glow@digits"},
        "data/settings/digits/glow/training.json is modified",
    ),
    "a shared parameter": (
        lambda clone: clone.change("params.yaml", "validation_fraction: 0.1", "validation_fraction: 0.2"),
        {"check", "preprocess@mnist_5k"},
        {"preprocess@digits"},
        "preprocess of params.yaml is modified",
    ),
    "an image of the user's own": (
        lambda clone: (clone.folder / "data/own/new.png").write_bytes(b"picture"),
        {"download@mnist_5k"},
        {"download@digits"},
        "data/own is modified",
    ),
    "a result edited by hand": (
        lambda clone: clone.change("metrics/mnist_5k/ood/metrics.json", '"noise"', '"noises"'),
        {"evaluate@mnist_5k"},
        set(),
        "metrics/mnist_5k/ood/metrics.json is not what the stage wrote",
    ),
    "data written again": (
        lambda clone: relocked(clone, "preprocess@digits", "data/processed/digits/in"),
        set(),
        {"train_glow@digits", "score_in@digits-glow"},
        "data/processed/digits/in has been rewritten since",
    ),
    "a benchmark taken away": (
        lambda clone: clone.change("params.yaml", OTHER, "variants:\n"),
        {"check", "rank"},
        {"download@digits", "preprocess@digits", "train_glow@digits", "score_in@digits-glow"},
        "it is not a stage of dvc.yaml and params.yaml",
    ),
    "a stage's command": (
        lambda clone: clone.change("dvc.yaml", "cmd: python src/plot.py", "cmd: python -B src/plot.py"),
        {"plot@mnist_5k"},
        set(),
        "its command changed",
    ),
}


def relocked(clone, stage, path):
    """As if a stage had run again and written something else, and those after it had not."""
    lock = yaml.safe_load(clone.read("dvc.lock"))
    (out,) = [out for out in lock["stages"][stage]["outs"] if out["path"] == path]
    out["md5"] = "0" * 32 + ".dir"
    clone.write("dvc.lock", yaml.safe_dump(lock))


@pytest.mark.parametrize("name", CHANGES)
def test_the_audit_names_what_is_old_and_why(two, name, tmp_path):
    change, enabled, disabled, reason = CHANGES[name]
    clone = two.copied(tmp_path / "clone")
    change(clone)
    found = audit.audit(clone.folder)
    assert set(found.enabled) == enabled
    assert set(found.disabled) == disabled
    assert {reason} <= {why for reasons in (found.enabled | found.disabled).values() for why in reasons}


def test_the_audit_finds_a_damaged_file_of_the_cache_that_dvc_trusts(small, tmp_path):
    clone = small.copied(tmp_path / "clone")
    path = "data/models/mnist_5k/vae/snapshots/epoch_001.safetensors"
    md5 = hashlib.md5((clone.folder / path).read_bytes()).hexdigest()
    stored = clone.folder / ".dvc/cache/files/md5" / md5[:2] / md5[2:]
    stored.chmod(0o644)
    stored.write_bytes(stored.read_bytes()[:-1] + b"?")
    stored.chmod(0o444)  # as DVC keeps it
    (clone.folder / path).unlink()
    clone.dvc("checkout")
    assert ran(clone.dvc("repro")) == set(), "DVC noticed it: the audit need not look"
    found = clone.likelihood("audit")
    assert found.returncode == 1
    assert f"damaged: {stored}, in the cache for {path}" in found.stdout
    stored.unlink()
    (clone.folder / path).unlink()
    clone.dvc("repro")
    assert hashlib.md5((clone.folder / path).read_bytes()).hexdigest() == md5
    assert git("diff", "--stat", cwd=clone.folder) == ""
    assert clone.likelihood("audit").returncode == 0


def test_the_audit_s_status_says_whether_an_enabled_stage_is_stale(two, tmp_path):
    clone = two.copied(tmp_path / "clone")
    found = clone.likelihood("audit")
    assert found.returncode == 0
    assert "0 enabled and 0 disabled ones are stale" in found.stdout
    relocked(clone, "preprocess@digits", "data/processed/digits/in")
    assert clone.likelihood("audit").returncode == 0, "a disabled stage may be stale"
    clone.change("params.yaml", "bins: 80", "bins: 40")
    found = clone.likelihood("audit")
    assert found.returncode == 1
    assert "enabled: plot of params.yaml is modified: check, plot@mnist_5k" in found.stdout
    assert "results of enabled stages are stale: run `dvc repro` and commit what it changes" in found.stderr


def test_the_audit_names_committed_results_that_no_stage_wrote(small, tmp_path):
    clone = small.copied(tmp_path / "clone")
    (clone.folder / "plots/mnist_5k/vae_regret").mkdir()
    clone.write("plots/mnist_5k/vae_regret/scores.png", "")
    assert audit.audit(clone.folder).unsupported == [], "git does not have it"
    git("add", "plots/mnist_5k/vae_regret", cwd=clone.folder)
    found = clone.likelihood("audit")
    assert found.returncode == 1
    assert "unsupported: no stage of dvc.lock wrote plots/mnist_5k/vae_regret/scores.png" in found.stdout
    assert "results in git have no run in dvc.lock" in found.stderr


def test_verify_repeats_all_from_nothing_and_finds_the_same_lock_and_numbers(small, tmp_path, monkeypatch, capfd):
    clone, again, rerun = small.copied(tmp_path / "clone"), tmp_path / "again", verify.rerun
    metrics = clone.read("metrics/mnist_5k/ood/metrics.json")
    left = set(clone.folder.rglob("*"))

    def kept(root, folder):
        rerun(root, folder)
        shutil.copy(folder / "dvc.lock", again)

    monkeypatch.setattr(verify, "rerun", kept)
    monkeypatch.chdir(clone.folder)
    for name, value in environment().items():
        monkeypatch.setenv(name, value)
    monkeypatch.setattr(sys, "argv", ["likelihood", "verify"])
    monkeypatch.setattr(sys, "executable", f"{warm.folder()}/python")
    assert cli.work() == 0
    assert yaml.safe_load(again.read_text()) == yaml.safe_load(small.read("dvc.lock"))
    output = capfd.readouterr().out
    count = len(verify.numbers(clone.folder, "mnist_5k"))
    assert f"mnist_5k: of {count} numbers {count} are equal, 0 too far off" in output
    assert "Running stage 'train_glow@mnist_5k'" in output
    assert "the same training was done before" not in output
    assert {path for path in clone.folder.rglob("*") if "__pycache__" not in path.parts} <= left
    assert clone.read("metrics/mnist_5k/ood/metrics.json") == metrics


def written(folder, likelihood, auroc, std=None):
    """A folder with metrics of one model and one out-set, perhaps with its spread over seeds."""
    (folder / "metrics/toy/ood").mkdir(parents=True)
    (folder / "metrics/toy/ood/metrics.json").write_text(
        f'{{"glow": {{"bits_per_dim": {{"test": {likelihood}}}}}, "images": {{"test": 5}}}}'
    )
    (folder / "metrics/scores").mkdir()
    (folder / "metrics/scores/toy.csv").write_text(f"benchmark,model,score,out,auroc\ntoy,none,mean,mnist,{auroc}\n")
    if std is not None:
        seeds = folder / "metrics/scores/toy/glow_seeds"
        seeds.mkdir(parents=True)
        pd.DataFrame(
            [["toy", "glow", "test", 3, 3.0, std]], columns=["benchmark", "model", "set", "seeds", "mean", "std"]
        ).to_csv(seeds / "likelihoods.csv", index=False)
        pd.DataFrame([["glow", "log_prob", "mnist", 0.1]], columns=["model", "score", "out", "auroc_std"]).to_csv(
            seeds / "seeds.csv", index=False
        )
    return folder


@pytest.mark.parametrize(
    ("std", "likelihood", "auroc", "far"),
    [
        (None, 3.0, 0.5, []),
        (None, 3.049, 0.549, []),
        (None, 3.051, 0.5, ["likelihood"]),
        (None, 3.0, 0.449, ["auroc"]),
        (None, "NaN", 0.5, ["likelihood"]),
        (0.001, 3.019, 0.5, []),
        (0.001, 3.021, 0.5, ["likelihood"]),
        (0.1, 3.399, 0.5, []),
        (0.1, 2.599, 0.5, ["likelihood"]),
    ],
)
def test_verify_allows_what_rounding_or_another_seed_explains(tmp_path, std, likelihood, auroc, far):
    committed, here = written(tmp_path / "a", 3.0, 0.5, std), written(tmp_path / "b", likelihood, auroc)
    table = verify.compare(committed, here, "toy")
    assert list(table.loc[table["far"], "quantity"]) == far
    assert table["equal"].all() == (likelihood == 3.0 and auroc == 0.5)


def test_verify_finds_a_number_that_one_side_lacks(tmp_path):
    committed, here = written(tmp_path / "a", 3.0, 0.5), written(tmp_path / "b", 3.0, 0.5)
    (here / "metrics/scores/toy.csv").write_text("benchmark,model,score,out,auroc\n")
    assert list(verify.compare(committed, here, "toy").query("far")["score"]) == ["mean"]
