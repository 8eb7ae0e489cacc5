"""A parameter changes the settings of what it affects, and no others; the JSON schema is that of the sections."""

import copy
import json
from typing import get_args

import numpy as np
import pytest
from pydantic import create_model

from likelihood.common import params
from likelihood.settings import resolve, schema
from tests.helpers import ROOT

VALUES = params.load(ROOT / "params.yaml")
GREY, COLOUR = ("fashion_mnist", "mnist"), ("cifar10_30k", "svhn_10k")
VALUES |= {"run": [*GREY, *COLOUR], "run_variants": ["glow_additive", "vae_seeds", "pixelcnn_local"]}
OF = {"vae": ("vae", "vae_seeds"), "pixelcnn": ("pixelcnn", "pixelcnn_local"), "glow": ("glow", "glow_additive")}
KINDS = ("training", "scoring")


def training(benchmarks, *models):
    return {f"{benchmark}/{model}/training.json" for benchmark in benchmarks for model in models}


def every(kind, benchmarks=(*GREY, *COLOUR)):
    return {f"{benchmark}/{model}/{kind}.json" for benchmark in benchmarks for models in OF.values() for model in models}


def analyses(*benchmarks):
    return {f"{benchmark}/analyses.json" for benchmark in benchmarks}


# What changes with the value of a parameter: [parameter, another value, files below data/settings].
TABLE = [
    ("seed", 5, every("scoring") | analyses(*GREY, *COLOUR) | (every("training") - training((*GREY, *COLOUR), "vae_seeds"))),
    ("benchmarks.mnist.in", "mnist_5k", {"mnist/sets.json"}),
    ("benchmarks.fashion_mnist.out", ["noise"], {"fashion_mnist/sets.json", "fashion_mnist/analyses.json"}),
    ("benchmarks.mnist.pixelcnn.epochs", 9, training(["mnist"], *OF["pixelcnn"])),
    ("benchmarks.mnist.glow.epochs", 9, training(["mnist"], *OF["glow"])),
    ("variants.glow_additive.coupling", "affine", training((*GREY, *COLOUR), "glow_additive")),
    ("variants.vae_seeds.seeds", [3], training((*GREY, *COLOUR), "vae_seeds")),
    ("variants.pixelcnn_local.layers", 2, training((*GREY, *COLOUR), "pixelcnn_local")),
    ("variants.glow_seeds.seeds", [3], set()),  # not enabled
    ("variants.pixelcnn_local.mutation", 0.5, training((*GREY, *COLOUR), "pixelcnn_local")),
    ("variants.vae_seeds.family", "glow", {f"{b}/vae_seeds/{kind}.json" for b in (*GREY, *COLOUR) for kind in KINDS}),
    ("preprocess.validation_fraction", 0.2, set()),
    ("model.lr", 0.001, every("training") - training(COLOUR, *OF["vae"])),  # colour.vae has its own
    ("model.clip_norm", 2.0, every("training")),
    ("model.sample_images", 16, every("training")),
    ("model.snapshots", 3, every("training")),
    ("model.draws", 3, {f"{b}/{m}/scoring.json" for b in (*GREY, *COLOUR) for m in OF["pixelcnn"]} | analyses(*GREY, *COLOUR)),
    ("vae.hidden", 401, training(GREY, *OF["vae"])),
    ("vae.likelihood", "bernoulli", training(GREY, *OF["vae"])),  # colour.vae has its own
    ("vae.draws", 8, {f"{b}/{m}/scoring.json" for b in GREY for m in OF["vae"]} | analyses(*GREY)),
    ("colour.vae.draws", 8, {f"{b}/{m}/scoring.json" for b in COLOUR for m in OF["vae"]} | analyses(*COLOUR)),
    ("pixelcnn.layers", 7, training(GREY, "pixelcnn")),  # the local one and colour.pixelcnn have their own
    ("glow.steps", 17, training(GREY, *OF["glow"])),
    ("colour.vae.lr", 0.001, training(COLOUR, *OF["vae"])),
    ("colour.glow.steps", 9, training(COLOUR, *OF["glow"])),
    ("score.images", 100, every("scoring") | analyses(*GREY, *COLOUR)),
    ("claims.images", 100, analyses(*GREY, *COLOUR)),
    ("claims.pairs", {}, set()),
    ("rank.near", {}, set()),
    ("rank.development", {}, set()),
    ("evaluate.images", 100, analyses(*GREY, *COLOUR)),
    ("evaluate.bootstrap", 100, set()),
    ("plot.bins", 41, set()),
    ("own", {"mine": {"height": 8, "width": 8, "channels": 1, "convert": True}}, set()),
]


def at(values, place):
    """What stands at a place, as `colour.vae`; nothing where there is none."""
    for key in place.split("."):
        values = values.get(key, {})
    return values


def leaves(values, place=""):
    """Every parameter, as `colour.vae.lr`."""
    for key, value in values.items():
        yield from leaves(value, f"{place}{key}.") if isinstance(value, dict) and value else [f"{place}{key}"]


def changed(parameter, value):
    """All values, with another of one parameter."""
    values = copy.deepcopy(VALUES)
    section, _, key = parameter.rpartition(".")
    place = at(values, section) if section else values
    assert place.get(key) != value
    place[key] = value
    return values


def differing(values):
    """The files that are others than those of VALUES."""
    before, after = resolve.files(VALUES), resolve.files(values)
    assert before.keys() == after.keys()
    return {path for path in before if before[path] != after[path]}


@pytest.mark.parametrize(("parameter", "value", "files"), TABLE, ids=[row[0] for row in TABLE])
def test_a_parameter_changes_what_it_affects_exactly(parameter, value, files):
    assert differing(changed(parameter, value)) == files


# A setting of models needs no row: where it stands says what changes with it.
SECTIONS = {"model", *schema.families(), *(f"colour.{family}" for family in schema.families())}
SECTIONS |= {f"benchmarks.{name}.{family}" for name in VALUES["benchmarks"] for family in schema.families()}
SECTIONS |= {f"variants.{name}" for name in VALUES["variants"]}
PARTS = [(leaf, *leaf.rpartition(".")) for leaf in leaves(VALUES)]
SETTINGS = [leaf for leaf, section, _, key in PARTS if section in SECTIONS and key not in ("family", "seeds", "mutation")]


def source(values, benchmark, model, key):
    """The section that a model or variant has a setting from: the narrowest that gives it one."""
    family = values["variants"].get(model, {"family": model})["family"]
    colour = [f"colour.{family}"] if benchmark in COLOUR else []
    sections = [f"variants.{model}", f"benchmarks.{benchmark}.{family}", *colour, family, "model"]
    return next((section for section in sections if at(values, section).get(key) is not None), None)


def affected(values, parameter):
    """The files of all that have a setting from there. Noise is drawn when images are scored, so `draws` retrains nothing."""
    section, key = parameter.rsplit(".", 1)
    models = {model for of_family in OF.values() for model in of_family}
    having = {(b, model) for b in (*GREY, *COLOUR) for model in models if source(values, b, model, key) == section}
    if key != "draws":
        return {f"{b}/{model}/training.json" for b, model in having}
    return {f"{b}/{model}/scoring.json" for b, model in having} | analyses(*(b for b, model in having if model in OF))


def another(parameter):
    """Another value that a setting may have; of an empty one, another than it inherits."""
    section, key = parameter.rsplit(".", 1)
    value = VALUES["model"][key] if at(VALUES, parameter) is None else at(VALUES, parameter)
    if isinstance(value, str):
        family = at(VALUES, section).get("family", section.split(".")[-1])
        return next(word for word in get_args(schema.settings(family)[key]) if word != value)
    if isinstance(value, int):  # less, as a model has no more snapshots than epochs
        return value // 2 or value + 1
    return 2.0 * value or 0.1


@pytest.mark.parametrize("parameter", SETTINGS)
def test_a_setting_changes_those_models_which_have_it_from_there_exactly(parameter):
    values = changed(parameter, another(parameter))
    schema.parameters().model_validate(values)
    assert differing(values) == affected(values, parameter)


def test_every_parameter_has_a_row_or_is_a_setting_of_models():
    def kind(parameter):  # of benchmarks, and of variants, one stands for all
        section, *keys = parameter.split(".")
        return (section, *(keys[1:] if section in ("benchmarks", "variants") else keys))

    tried = {kind(parameter) for parameter in (*(row[0] for row in TABLE), *SETTINGS)}
    left = {leaf for leaf in leaves(VALUES) if not any(kind(leaf)[: len(place)] == place for place in tried)}
    assert left == {"run", "run_variants", "run_analyses"}  # which say what is enabled


@pytest.mark.parametrize(("epochs", "count"), [(1, 5), (5, 5), (6, 5), (24, 5), (80, 5), (3200, 5), (100, 40), (9, 1)])
def test_snapshots_are_spread_from_the_first_epoch_to_the_last(epochs, count):
    found = resolve.spread(epochs, count)
    assert len(found) == min(count, epochs)
    assert found[-1] == epochs
    assert found[0] == 1 or count == 1
    steps = np.diff(found)
    assert (steps >= 1).all()
    assert (np.diff(steps) >= -1).all()  # ever wider, but for rounding


def test_the_snapshots_of_a_model_follow_its_epochs():
    assert resolve.training(VALUES, "fashion_mnist", "glow")["loop"]["snapshots"] == [1, 2, 3, 4, 6]
    assert resolve.training(VALUES, "mnist", "glow")["loop"]["snapshots"] == [1, 2, 4, 8, 16]


def test_a_variant_is_its_family_with_what_differs():
    found = resolve.training(VALUES, "cifar10_30k", "glow_additive")
    glow = resolve.training(VALUES, "cifar10_30k", "glow")
    differs = {"coupling": "additive", "preprocessing": "scale", "dequantization": 0}
    assert found["architecture"] == {**glow["architecture"], **differs}
    assert (found["loop"], found["seeds"], found["family"]) == (glow["loop"], [0], "glow")
    seeds = resolve.training(VALUES, "mnist", "vae_seeds")
    assert (seeds["seeds"], seeds["named"]) == ([1, 2], True)
    assert seeds["architecture"] == resolve.training(VALUES, "mnist", "vae")["architecture"]
    assert resolve.training(VALUES, "mnist", "pixelcnn_background")["mutation"] == 0.2


def test_a_new_setting_of_every_training_is_one_of_the_loop(monkeypatch):
    found = resolve.training(VALUES, "mnist", "glow")
    assert {*found["loop"], "draws"} == schema.Loop.model_fields.keys()
    monkeypatch.setattr(resolve, "Loop", create_model("Loop", __base__=schema.Loop, momentum=(float, ...)))
    new = resolve.training({**VALUES, "model": {**VALUES["model"], "momentum": 0.9}}, "mnist", "glow")
    assert new == {**found, "loop": {**found["loop"], "momentum": 0.9}}


def test_the_settings_of_the_user_s_own_sets_go_with_them():
    mine = {"height": 8, "width": 8, "channels": 3, "convert": True}
    values = {
        **VALUES,
        "own": {"mine": mine, "theirs": mine},
        "benchmarks": {"b": {"in": "mine", "out": ["noise"]}},
        "run": ["b"],
    }
    assert resolve.files(values)["b/sets.json"] == {"in": "mine", "out": ["noise"], "own": {"mine": mine}}
    assert resolve.training(values, "b", "vae")["architecture"]["network"] == "convolutional"  # as of any image of three channels


def test_the_json_schema_is_up_to_date_and_named_in_the_file():
    committed = json.loads(schema.SCHEMA.read_text())
    assert committed == json.loads(json.dumps(schema.parameters().model_json_schema(by_alias=False)))
    assert committed["additionalProperties"] is False
    for section, pattern in schema.NAMES.items():
        assert committed["properties"][section]["propertyNames"] == {"pattern": f"^{pattern}$"}
    assert set(committed["properties"]) == set(VALUES)
    first = (ROOT / "params.yaml").read_text().splitlines()[0]
    assert first == f"# yaml-language-server: $schema={schema.SCHEMA.relative_to(ROOT)}"


def test_dvc_changes_only_what_it_is_asked_to(tmp_path):
    from dvc.utils.hydra import apply_overrides

    path = tmp_path / "params.yaml"
    path.write_text((ROOT / "params.yaml").read_text())
    apply_overrides(str(path), ["plot.bins=41", "variants.pixelcnn_local.layers=2"])
    pairs = zip((ROOT / "params.yaml").read_text().splitlines(), path.read_text().splitlines(), strict=True)
    assert [after for before, after in pairs if before != after] == [
        "  pixelcnn_local: {family: pixelcnn, layers: 2}",
        "  bins: 41",
    ]


def test_analyses_are_told_their_images_draws_and_sets_of_pictures():
    images = {
        section: {**VALUES[section], "images": number} for section, number in (("score", 70), ("evaluate", 60), ("claims", 5))
    }
    draws = {model: resolve.scoring(VALUES, "fashion_mnist", model)["draws"] for model in OF}
    expected = {"seed": 0, "scored": 70, "compared": 60, "claims": 5, "draws": draws, "natural": ["mnist_5k"]}
    assert resolve.analyses({**VALUES, **images}, "fashion_mnist") == expected
    assert VALUES["benchmarks"]["fashion_mnist"]["out"] == ["mnist_5k", "noise", "constant"]
    assert resolve.training(VALUES, "fashion_mnist", "pixelcnn")["mutation"] == 0.0
