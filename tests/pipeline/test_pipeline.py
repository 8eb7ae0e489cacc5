"""One end-to-end run of a small pipeline in an empty clone, on the digits that ship with a package; no network.

What follows it: what a change of each parameter reruns, experiments, refusals.
"""

import json

import pytest
import yaml

from tests.clone import COMPANIONS, PROBES, Clone, ran
from tests.helpers import ROOT, git

STAGES = yaml.safe_load((ROOT / "dvc.yaml").read_text())["stages"]
MODELS = ("vae", "pixelcnn", "glow")


@pytest.fixture(scope="module")
def clone(tmp_path_factory):
    clone = Clone(tmp_path_factory.mktemp("clone"), extras=True)
    clone.first = ran(clone.dvc("repro"))
    clone.commit()
    return clone


def test_every_stage_runs_and_a_second_repro_does_nothing(clone):
    others = {"train_other", "score_other", "evaluate_other"}  # of a model that is not here; test_extend.py runs them
    assert {name.split("-")[0] for name in clone.first} == set(STAGES) - others
    assert ran(clone.dvc("repro")) == set()


def test_metrics_have_the_promised_form(clone):
    metrics = json.loads(clone.read("metrics/mnist_5k/ood/metrics.json"))
    detection = {"auroc", "auroc_low", "auroc_high", "auprc", "fpr95"}
    assert set(metrics) == {"vae", "pixelcnn", "glow", "images"}
    for model in MODELS:
        assert set(metrics[model]) == {"bits_per_dim", "noise", "constant"}
        assert set(metrics[model]["bits_per_dim"]) == {"train", "test", "noise", "constant"}
        assert set(metrics[model]["noise"]) == detection
        train = json.loads(clone.read(f"metrics/mnist_5k/train/{model}/metrics.json"))
        assert {"train", "validation", "best"} <= set(train)
    assert set(json.loads(clone.read("metrics/mnist_5k/ood/codecs.json"))) == {"png", "webp", "jpeg2000", "jpegxl"}
    lines = clone.read("metrics/scores.csv").splitlines()
    assert lines[0] == "benchmark,model,score,out,n,auroc,auroc_low,auroc_high,auprc,fpr95,seconds"
    assert {line.split(",")[1] for line in lines[1:]} == {*MODELS, "all", "none"}
    folder = clone.folder / "metrics/scores"
    files = [folder / "mnist_5k.csv", *sorted(folder.glob("mnist_5k/*/scores.csv"))]
    assert lines[1:] == [f"{line}," for file in files for line in file.read_text().splitlines()[1:]]  # none was timed
    needs_more = {"waic", "ensemble", "background_ratio", "local_ratio", "gradient_norm", "gradient_density", "likelihood_regret"}
    assert needs_more <= {line.split(",")[2] for line in lines[1:]}
    assert (
        (folder / "mnist_5k/glow_seeds/seeds.csv").read_text().startswith("benchmark,model,score,out,seeds,auroc_mean,auroc_std")
    )
    assert metrics["images"] == {"train": 60, "test": 60, "noise": 60, "constant": 60}


def test_weights_samples_curves_and_figures_are_there(clone):
    for model, epochs in (("vae", {1}), ("pixelcnn", {1, 2}), ("glow", {1, 2})):  # those named that two epochs reach
        models = clone.folder / "data/models/mnist_5k" / model
        assert (models / "best.safetensors").is_file()
        assert {path.name for path in (models / "snapshots").iterdir()} == {f"epoch_{e:03d}.safetensors" for e in epochs}
        plots = clone.folder / "metrics/mnist_5k/train" / model / "plots"
        assert {p.name for p in (plots / "images/samples").iterdir()} == {f"epoch_{e:03d}.png" for e in epochs}
        for split in ("train", "validation"):
            lines = (plots / "metrics" / split / "bits_per_dim.tsv").read_text().splitlines()
            assert [line.split("\t")[0] for line in lines] == ["step", "1", "2"]
    figures = clone.folder / "plots/mnist_5k/figures"
    assert {path.name for path in figures.iterdir()} == {"likelihoods.png", "curves.png", "samples.png"}


LAST = "    vae: {}\n    pixelcnn: {}\n    glow: {}\nown: {}\npreprocess"  # the end of the last benchmark, after its out-sets
TRAINED = {f"train_companion-{name}" for name in COMPANIONS}
SCORED = {f"score_companion-{name}" for name in COMPANIONS}
DISSECTED = {f"dissect-{model}" for model in MODELS}
PROBED = {f"probe-{name}" for name in PROBES}
COMPARED = {f"compare_companion-{name}" for name in COMPANIONS} | {f"compare_probe-{name}" for name in PROBES}
RERUNS = [
    ("seed: 0", "seed: 1", {"preprocess", "train_vae", "train_pixelcnn", "train_glow", *TRAINED}),
    ("  lr: 0.005", "  lr: 0.001", {"train_vae", "train_pixelcnn", "train_glow", "plot", *TRAINED}),
    ("vae:\n  lr:", "vae:\n  lr: 0.001", {"train_vae", "plot", *TRAINED}),
    ("  layers: 2", "  layers: 3", {"train_pixelcnn", "plot", *TRAINED}),
    ("  coupling: affine", "  coupling: additive", {"train_glow", "plot", *TRAINED}),
    ("  mutation: 0.2", "  mutation: 0.3", TRAINED),
    ("own: {}", "own:\n  mine: {height: 8, width: 8, channels: 3, convert: true}", {"download"}),
    ("validation_fraction: 0.1", "validation_fraction: 0.2", {"preprocess"}),
    ("    glow: 4", "    glow: 5", {"score_in-glow", "score_out-glow", "dissect-glow", *SCORED}),
    ("  images: 1000", "  images: 30", {"evaluate", *PROBED}),
    ("  images: 20\n", "  images: 19\n", DISSECTED),
    ("bootstrap: 1000", "bootstrap: 500", {"evaluate"}),
    ("bins: 80", "bins: 40", {"plot"}),
    (f"    - constant\n{LAST}", LAST, {"download", "evaluate", "exhibit", "plot"}),
]


@pytest.mark.parametrize(("old", "new", "stages"), RERUNS, ids=[" ".join(new.split()[:4]) for _, new, _ in RERUNS])
def test_a_parameter_reruns_what_it_affects_and_nothing_else(clone, old, new, stages):
    rerun = clone.rerun(old, new)
    assert rerun - {"check"} >= stages - {"evaluate", "plot"}
    allowed = (
        stages
        | {"check", "evaluate", "plot", "rank", "curve", "explain", *COMPARED}
        | (
            {"calibrate"} | {f"score_{s}-{m}" for s in ("in", "out") for m in MODELS} | SCORED | PROBED | DISSECTED
            if "seed" in old
            else set()
        )
    )
    assert rerun <= allowed
    assert "check" in rerun


def test_a_wrong_parameter_stops_before_anything_is_trained(clone):
    text = clone.read("params.yaml")
    clone.write("params.yaml", text.replace("  lr: 0.005", "  lr: fast"))
    try:
        output = clone.dvc("repro", check=False)
    finally:
        clone.write("params.yaml", text)
    assert "error: params.yaml: model.lr is 'fast'; it must be a number above 0.0 and below 1.0" in output
    assert "Traceback" not in output
    assert not any(name.startswith("train") for name in ran(output))
    assert ran(clone.dvc("repro")) <= {"check"}


def test_an_experiment_with_a_tiny_lr_and_binarised_images_runs_and_goes_back(clone):
    before = clone.read("params.yaml")
    clone.dvc("exp", "run", "-S", "model.lr=1e-5", "-S", "vae.likelihood=bernoulli")
    try:
        changed = [(a, b) for a, b in zip(before.splitlines(), clone.read("params.yaml").splitlines(), strict=True) if a != b]
        assert changed == [("  lr: 0.005", "  lr: 1e-05"), ("  likelihood: logistic", "  likelihood: bernoulli")]
        metrics = json.loads(clone.read("metrics/mnist_5k/ood/metrics.json"))
        assert "vae" not in metrics
        assert set(metrics["vae_binarised"]["nats"]) == {"train", "test", "noise", "constant"}
        assert 0 < metrics["vae_binarised"]["nats"]["test"] < 784  # about log 2 a pixel
        diff = clone.dvc("metrics", "diff")
        assert "vae_binarised.nats.test" in diff
        assert "validation.bits_per_dim" in diff
    finally:
        git("checkout", "-q", ".", cwd=clone.folder)
    clone.dvc("checkout")
    assert ran(clone.dvc("repro")) == set()
