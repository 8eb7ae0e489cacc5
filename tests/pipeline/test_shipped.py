"""What the repository carries of the committed results: complete, small, without images, and named by dvc.lock."""

import hashlib
import json

from likelihood.commands.audit import load_lock
from tests.helpers import ROOT, git

OBJECTS = ROOT / "shipped" / "files" / "md5"
LOCK = load_lock(ROOT)
SHARED = ("data/models/{}/{}/best.safetensors", "metrics/{}/train/{}/plots", "data/scores/{}/in/{}", "data/scores/{}/out/{}")


def outs():
    """Path and hash of every output that DVC holds."""
    return {out["path"]: out["md5"] for stage in LOCK.values() for out in stage.get("outs", [])}


def stored(md5):
    return OBJECTS / md5[:2] / md5[2:]


def files_of(md5):
    """Hashes of an output and, if it is a folder, of the files in it."""
    return {md5} | ({entry["md5"] for entry in json.loads(stored(md5).read_text())} if md5.endswith(".dir") else set())


def benchmarks():
    return sorted({path.split("/")[2] for path in outs() if path.startswith("data/models/")})


def wanted(benchmark):
    """What is shipped of a benchmark: weights, curves and samples, per-image statistics, tables, what detectors need."""
    paths = [form.format(benchmark, model) for form in SHARED for model in ("vae", "pixelcnn", "glow")]
    return [*paths, f"plots/{benchmark}/tables", f"data/detectors/{benchmark}"]


def more(benchmark):
    """What else is shipped where dvc.lock has it by the present dvc.yaml: snapshots, variants with their detectors, analyses."""
    found = []
    for cell, stage in LOCK.items():
        name, _, item = cell.partition("@")
        if item.split("-")[0] == benchmark and any(dep["path"].startswith("data/settings/") for dep in stage["deps"]):
            found += [
                out["path"]
                for out in stage["outs"]
                if out["path"].startswith(("data/models", "data/analyses", "data/maps", "data/scores"))
            ]
        if item.split("-")[0] == benchmark and name in ("train_variant", "evaluate_variant"):
            heads = ("data/detectors", f"metrics/{benchmark}/train")
            found += [out["path"] for out in stage["outs"] if out["path"].startswith(heads)]
    return sorted(found)


def test_the_results_of_every_benchmark_in_the_lock_are_shipped():
    assert benchmarks()
    for path in [path for benchmark in benchmarks() for path in (*wanted(benchmark), *more(benchmark))]:
        for md5 in files_of(outs()[path]):
            assert stored(md5).is_file(), f"{path} is not in shipped/: run dvc push"


def test_nothing_else_is_shipped_and_nothing_is_damaged():
    paths = [path for benchmark in benchmarks() for path in (*wanted(benchmark), *more(benchmark))]
    named = {md5 for path in paths for md5 in files_of(outs()[path])}
    for path in OBJECTS.rglob("*"):
        if path.is_file():
            md5 = path.parent.name + path.name
            assert md5 in named, f"{path} belongs to no result that dvc.lock names"
            assert hashlib.md5(path.read_bytes()).hexdigest() == md5.removesuffix(".dir")


def test_results_that_are_not_shipped_are_in_git():
    """Without one of them a stage runs again, also after a pull."""
    tracked = set(git("ls-files", "-z", "metrics", "plots").split("\0"))
    for path, md5 in outs().items():
        if path.startswith("metrics/") and not stored(md5).exists() and not md5.endswith(".dir"):
            assert path in tracked, f"{path} is neither in shipped/ nor in git"
            assert hashlib.md5((ROOT / path).read_bytes()).hexdigest() == md5, path


def test_shipped_results_are_small():
    for benchmark in benchmarks():
        objects = {md5 for path in wanted(benchmark) for md5 in files_of(outs()[path])}
        assert sum(stored(md5).stat().st_size for md5 in objects) <= 12e6, benchmark
        objects = {md5 for path in more(benchmark) for md5 in files_of(outs()[path])}
        assert sum(stored(md5).stat().st_size for md5 in objects) <= 42e6, benchmark
    assert sum(path.stat().st_size for path in OBJECTS.rglob("*") if path.is_file()) <= 198e6
