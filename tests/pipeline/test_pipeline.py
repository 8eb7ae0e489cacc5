"""One end-to-end run of a small pipeline in an empty clone, on the digits that ship with a package; no network.

What follows it: what a change of each parameter reruns, experiments, refusals.
"""

import json

import numpy as np
import pandas as pd
import pytest
import yaml

from likelihood import scores
from likelihood.analyses.corruptions import CORRUPTIONS
from likelihood.commands import audit
from likelihood.common import params
from likelihood.scores import SCORES
from likelihood.settings import resolve
from tests.clone import ran, replaced
from tests.helpers import ROOT, git

STAGES = yaml.safe_load((ROOT / "dvc.yaml").read_text())["stages"]
MODELS = ("vae", "pixelcnn", "glow")
VARIANTS = ("glow_seeds", "pixelcnn_background", "pixelcnn_local", "glow_additive", "vae_bernoulli")
ANALYSES = ("gradients", "vae_regret", "residuals", "glow_lid", "corruptions", "samples", "claims")
EXTRAS = {  # what is off by default, some of it
    "run_variants: []": "\n- ".join(("run_variants:", *VARIANTS)),
    "run_analyses: []": "\n- ".join(("run_analyses:", *ANALYSES)),
}
SEVERITIES = 2  # of each kind of corruption
FEWER = [  # images of the analyses that would take minutes; no parameters, as nobody chooses them
    ("src/likelihood/analyses/lid.py", "IMAGES = 200", "IMAGES = 2"),
    ("src/likelihood/analyses/corruptions.py", "IMAGES = 200", "IMAGES = 4"),
    ("src/likelihood/analyses/corruptions.py", "in enumerate(amounts, 1)", f"in enumerate(amounts[:{SEVERITIES}], 1)"),
    ("src/analyse.py", "VALUES = 500 *", "VALUES = 20 *"),
    ("src/analyse.py", "KNOWN = 500", "KNOWN = 20"),
]


@pytest.fixture(scope="module")
def clone(small, tmp_path_factory):
    """The small pipeline, and what is off by default."""
    clone = small.copied(tmp_path_factory.mktemp("pipeline") / "clone")
    clone.write("params.yaml", replaced(clone.read("params.yaml"), EXTRAS))
    for change in FEWER:
        clone.change(*change)
    clone.dvc("repro")
    clone.commit()
    return clone


def test_every_stage_runs_and_a_second_repro_does_nothing(clone):
    assert {name.split("@")[0] for name in yaml.safe_load(clone.read("dvc.lock"))["stages"]} == set(STAGES)
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
    assert lines[0] == "benchmark,model,score,out,use,n,auroc,auroc_low,auroc_high,auprc,fpr95"
    assert {line.split(",")[1] for line in lines[1:]} == {*MODELS, "all", "none", *VARIANTS[1:]}
    folder = clone.folder / "metrics/scores"
    files = [folder / "mnist_5k.csv", *sorted(folder.glob("mnist_5k/*/scores.csv"))]
    gathered = [line for file in files for line in file.read_text().splitlines()[1:]]
    assert [line.replace(",development,", ",") for line in lines[1:]] == gathered
    assert {line.split(",")[2] for line in lines[1:]} == {name for name in SCORES if scores.get(name).batch <= 25}
    assert (
        (folder / "mnist_5k/glow_seeds/seeds.csv").read_text().startswith("benchmark,model,score,out,seeds,auroc_mean,auroc_std")
    )
    assert metrics["images"] == {"train": 60, "test": 60, "noise": 60, "constant": 60}


def test_weights_samples_curves_and_figures_are_there(clone):
    for model in ("vae", "pixelcnn", "glow"):
        epochs = {1, 2}  # five were asked for, there are two
        models = clone.folder / "data/models/mnist_5k" / model
        assert (models / "best.safetensors").is_file()
        assert {path.name for path in (models / "snapshots").iterdir()} == {f"epoch_{e:03d}.safetensors" for e in epochs}
        plots = clone.folder / "metrics/mnist_5k/train" / model / "plots"
        drawn = {"drawn.png"} if model == "vae" else set()  # its grids of the epochs show means
        assert {p.name for p in (plots / "images/samples").iterdir()} == {f"epoch_{e:03d}.png" for e in epochs} | drawn
        for split in ("train", "validation"):
            lines = (plots / "metrics" / split / "bits_per_dim.tsv").read_text().splitlines()
            assert [line.split("\t")[0] for line in lines] == ["step", "1", "2"]
    figures = clone.folder / "plots/mnist_5k/figures"
    assert {path.name for path in figures.iterdir()} == {"likelihoods.png", "curves.png", "samples.png", "maps.png"}
    assert {path.name for path in (figures.parent / "contact").iterdir()} == {f"{model}.png" for model in MODELS}


def test_a_variant_has_weights_curves_metrics_figures_and_a_detector_of_its_own(clone):
    folder = clone.folder
    for variant, row in (
        ("glow_additive", "glow_additive"),
        ("vae_bernoulli", "vae_bernoulli"),
        ("pixelcnn_local", "pixelcnn_local"),
    ):
        assert (folder / "data/models/mnist_5k" / variant / "best.safetensors").is_file()
        assert not (folder / "data/models/mnist_5k" / variant / "snapshots").exists()
        found = json.loads(clone.read(f"metrics/mnist_5k/variants/{variant}.json"))
        assert set(found[row]) - {"bits_per_dim", "binary_bits_per_dim"} == {"noise", "constant"}
        same_unit = variant != "vae_bernoulli"
        drawn = {"likelihoods.png", "curves.png", "samples.png", *(["ratio.png"] if same_unit else [])}
        assert {path.name for path in (folder / "plots/mnist_5k" / variant).iterdir()} == drawn
    assert (folder / "data/models/mnist_5k/glow_seeds/seed_7/best.safetensors").is_file()
    assert not (folder / "plots/mnist_5k/glow_seeds/ratio.png").exists()
    curved = json.loads(clone.read("metrics/scores/mnist_5k/glow_additive/curvature.json"))
    assert curved["std_of_ladj"] < 1e-3
    assert set(curved["gaps"]) == {"noise", "constant"}
    image = folder / "data/processed/mnist_5k/in/test.npy"
    np.savez(folder / "some.npz", images=np.load(image)[:4, 0])
    arguments = ("--benchmark", "mnist_5k", "--model", "glow_additive", "--rate", "0.2", "some.npz")
    done = clone.likelihood("detect", *arguments)
    (folder / "some.npz").unlink()
    assert done.returncode in (0, 1), done.stderr
    assert "of 4 images flagged by glow_additive.code_kde" in done.stderr
    done = clone.likelihood("detect", "--benchmark", "mnist_5k", "--model", "glow_seeds", "README.md")
    assert done.stderr == "error: glow_seeds is several models of different seeds, which are no detector: name another\n"


GRADIENTS = {"combined_test", "gradient_density", "gradient_norm"}
RESIDUALS = {"code_residual_kde", "residual_kde", "statistics_kde"}
OF_ONE = {*RESIDUALS, "mass", "residual_ks", "white_noise"}
NEED_AN_ANALYSIS = {  # scores, by analysis and model
    "gradients": dict.fromkeys(MODELS, GRADIENTS),
    "vae_regret": {"vae": {"likelihood_regret"}},
    "residuals": {
        "vae": {*OF_ONE, "surprise", "corrected_log_prob", "likelihood_path"},
        "pixelcnn": {*OF_ONE, "surprise"},
        "glow": {*OF_ONE, "last_level"},
        "all": RESIDUALS,
    },
    "glow_lid": {"glow": {"lid_log_prob"}},
}


def test_an_analysis_has_metrics_and_figures(clone):
    for analysis in ANALYSES[: ANALYSES.index("corruptions")]:
        table = pd.read_csv(clone.folder / f"metrics/scores/mnist_5k/{analysis}/scores.csv")
        assert list(table)[:6] == ["benchmark", "model", "score", "out", "n", "auroc"]
        found = {model: set(rows["score"]) for model, rows in table.groupby("model")}
        assert found == NEED_AN_ANALYSIS[analysis]
        assert len(table) == 2 * sum(map(len, found.values())), "two out-sets"
        assert (clone.folder / "plots/mnist_5k" / analysis / "scores.png").is_file()
    corrupted = pd.read_csv(clone.folder / "metrics/scores/mnist_5k/corruptions/corruptions.csv")
    assert set(corrupted["kind"]) == set(CORRUPTIONS)
    assert (
        corrupted.groupby(["model", "score"]).size() == sum(min(SEVERITIES, len(amounts)) for _, amounts in CORRUPTIONS.values())
    ).all()
    assert {("all", "statistics_kde"), ("glow", "last_level"), ("none", "png_size"), ("vae", "likelihood_path")} <= set(
        zip(corrupted["model"], corrupted["score"], strict=True)
    )
    drawn = {path.name for path in (clone.folder / "plots/mnist_5k/corruptions").iterdir()}
    assert drawn == {"likelihoods.png", "scores.png"}
    drawn = pd.read_csv(clone.folder / "metrics/scores/mnist_5k/samples/samples.csv")
    assert list(zip(drawn["model"], drawn["set"], strict=True)) == [
        (model, name) for model in MODELS for name in ("test", "samples")
    ]
    assert (clone.folder / "plots/mnist_5k/samples/likelihoods.png").is_file()
    files = {path.name for path in (clone.folder / "metrics/scores/mnist_5k/claims").iterdir()}
    assert files == {"explain.json", *(f"{model}.csv" for model in MODELS)}


TRAINED, SCORED = ({f"{kind}_variant-{name}" for name in VARIANTS} for kind in ("train", "score"))
OF = {
    family: {f"train_{family}", *(f"train_variant-{name}" for name in VARIANTS if name.startswith(family))} for family in MODELS
}
ANALYSED, EVALUATED = ({f"{kind}-{name}" for name in ANALYSES} for kind in ("analyse", "evaluate_analysis"))
COMPARED = {f"evaluate_variant-{name}" for name in VARIANTS}
EVERY_SCORE = {f"score_{side}-{model}" for side in ("in", "out") for model in MODELS} | SCORED
# What a change of params.yaml makes run by itself; what follows from that is not known before it has run.
RERUNS = [
    ("seed: 0", "seed: 1", {"preprocess", *(f"train_{model}" for model in MODELS), *TRAINED - {"train_variant-glow_seeds"}}
     | EVERY_SCORE | ANALYSED | {"evaluate", "map"} | COMPARED | EVALUATED),
    ("  lr: 0.005", "  lr: 0.001", {"train_vae", "train_pixelcnn", "train_glow", *TRAINED}),
    ("vae:\n  lr:\n", "vae:\n  lr: 0.001\n", OF["vae"]),
    ("\n  layers: 2\n", "\n  layers: 3\n", OF["pixelcnn"] - {"train_variant-pixelcnn_local"}),
    ("\n  hidden: 8\n", "\n  hidden: 9\n", OF["glow"]),
    ("coupling: additive", "coupling: affine", {"train_variant-glow_additive"}),
    ("mutation: 0.2", "mutation: 0.3", {"train_variant-pixelcnn_background"}),
    ("glow_seeds: {family: glow, seeds: [7]}", "glow_seeds: {family: glow, seeds: [8]}", {"train_variant-glow_seeds"}),
    ("own: {}", "own:\n  mine: {height: 8, width: 8, channels: 3, convert: true}", set()),
    ("validation_fraction: 0.1", "validation_fraction: 0.2", {"preprocess"}),
    ("  draws: 4\n  network", "  draws: 5\n  network",
     {"score_in-vae", "score_out-vae", "score_variant-vae_bernoulli", "map", *ANALYSED}),
    ("  images: 1000", "  images: 30", {"evaluate", *COMPARED, *EVALUATED, *ANALYSED}),
    ("  images: 20\n", "  images: 19\n", ANALYSED),
    ("bootstrap: 100", "bootstrap: 200", {"evaluate", *COMPARED, *EVALUATED}),
    ("bins: 80", "bins: 40", {"plot", *COMPARED}),
    ("    mnist_low:\n    - mnist_high\n", "", {"rank"}),
    ("    - constant\nvariants", "variants", {"download", "evaluate", "plot", "rank", *COMPARED, *EVALUATED}),
    ("    lr: 0.01\n", "    lr: 0.003\n", set()),  # of colour
]  # fmt: skip


@pytest.fixture(scope="module")
def settings_read(clone):
    """By stage, DVC's own view of what it reads that a parameter may change, got once; all else is as it was."""
    from dvc.repo import Repo

    assert not any(audit.status(clone.folder).values())
    with Repo(clone.folder) as repo:
        yield {
            stage.name: [dep for dep in stage.deps if dep.def_path.startswith(("params.yaml", "data/settings/"))]
            for stage in repo.index.stages
        }


@pytest.mark.parametrize(("old", "new", "stages"), RERUNS, ids=[" ".join(new.split()[:4]) for _, new, _ in RERUNS])
def test_a_parameter_reruns_what_it_affects_and_nothing_else(clone, settings_read, old, new, stages):
    text, settings = clone.read("params.yaml"), clone.folder / "data/settings"
    assert text.count(old) == 1, old
    clone.write("params.yaml", text.replace(old, new))
    try:
        resolve.write(params.load(clone.folder / "params.yaml"), settings)  # as `check` does
        found = {name for name, read in settings_read.items() if any(each.status() for each in read)}
    finally:
        clone.write("params.yaml", text)
        resolve.write(params.load(clone.folder / "params.yaml"), settings)
    assert {name.replace("@mnist_5k", "").replace("@", "") for name in found} - {"check"} == stages


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
    assert ran(clone.dvc("repro")) == set()


def test_an_experiment_with_a_tiny_lr_and_binarised_images_runs_and_goes_back(small, tmp_path):
    clone = small.copied(tmp_path / "clone")
    before = clone.read("params.yaml")
    clone.dvc("exp", "run", "-S", "vae.lr=1e-5", "-S", "vae.likelihood=bernoulli")
    changed = [(a, b) for a, b in zip(before.splitlines(), clone.read("params.yaml").splitlines(), strict=True) if a != b]
    assert changed == [("  lr:", "  lr: 1e-05"), ("  likelihood: logistic", "  likelihood: bernoulli")]
    metrics = json.loads(clone.read("metrics/mnist_5k/ood/metrics.json"))
    assert "vae" not in metrics
    assert set(metrics["vae_binarised"]["binary_bits_per_dim"]) == {"train", "test", "noise", "constant"}
    assert 0 < metrics["vae_binarised"]["binary_bits_per_dim"]["test"] < 2  # a uniform model has 1
    diff = clone.dvc("metrics", "diff")
    assert "vae_binarised.binary_bits_per_dim.test" in diff
    assert "validation.bits_per_dim" in diff
    git("checkout", "-q", ".", cwd=clone.folder)
    clone.dvc("checkout")
    assert ran(clone.dvc("repro")) == {"check", "plot"}  # settings and contact sheets are made again, not kept
