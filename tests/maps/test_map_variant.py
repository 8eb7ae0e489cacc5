"""Maps of a likelihood ratio: they add up to it, and a variant that no ratio can be taken to has none."""

import json
import math
import sys

import numpy as np
import pytest
import torch
import yaml

import map_variant
from likelihood.common import images as arrays
from likelihood.maps.places import maps_of
from likelihood.models.shared import checkpoint
from tests.builders import ARGUMENTS, build, images

SHAPE = (1, 8, 8)
SETS = {"test": "in", "digits": "out"}
FAMILIES = {"pixelcnn_local": "pixelcnn", "pixelcnn_seeds": "pixelcnn", "vae_bernoulli": "vae", "made": "made"}


@pytest.fixture
def project(tmp_path, monkeypatch):
    """A folder with a PixelCNN's maps and a variant's weights; the others lack what a ratio needs."""
    monkeypatch.chdir(tmp_path)
    variants = {name: {"family": family} for name, family in FAMILIES.items()}
    values = {"benchmarks": {"toy": {"in": "clothes", "out": ["digits"]}}, "variants": variants}
    (tmp_path / "params.yaml").write_text(yaml.safe_dump(values))
    models = {name: build("pixelcnn", ARGUMENTS["pixelcnn"][0], SHAPE) for name in ("pixelcnn", *FAMILIES)}
    for name, model in models.items():
        seeds = "seed_1/" if name == "pixelcnn_seeds" else ""
        arguments = {"shape": SHAPE, **ARGUMENTS["pixelcnn"][0]}
        weights = tmp_path / f"data/models/toy/{name}/{seeds}best.safetensors"
        checkpoint.save(weights, model.state_dict(), "pixelcnn", arguments)
    for name in (*models, "vae"):
        place = tmp_path / "data/scores/toy/in" / name
        place.mkdir(parents=True)
        unit = "binary_bits_per_dim" if name == "vae_bernoulli" else "bits_per_dim"
        (place / "model.json").write_text(json.dumps({"draws": 1, "unit": unit}))
        (tmp_path / "plots/toy" / name).mkdir(parents=True)
    (tmp_path / "data/maps/toy").mkdir(parents=True)
    for seed, (name, side) in enumerate(SETS.items()):
        x = images(9, SHAPE, seed=seed).numpy()
        arrays.save(tmp_path / f"data/processed/toy/{side}/{name}.npy", x)
        index = np.array([7, 0, 4])
        bits = maps_of(models["pixelcnn"], x[index], 1, name) / -math.log(2.0)
        np.savez(tmp_path / f"data/maps/toy/{name}.npz", index=index, pixelcnn=bits, vae=bits)
    return tmp_path


def drawn(variant, monkeypatch):
    """What the figure is drawn from."""
    found = []
    draw = map_variant.maps
    monkeypatch.setattr(map_variant, "maps", lambda *arguments: found.append(arguments) or draw(*arguments))
    monkeypatch.setattr(sys, "argv", ["map_variant.py", variant, "--benchmark", "toy"])
    map_variant.main()
    return found


def test_the_maps_add_up_to_the_score_of_a_likelihood_ratio(project, monkeypatch):
    ((sets, rows, in_name, _),) = drawn("pixelcnn_local", monkeypatch)
    assert (list(sets), list(rows), in_name) == (["test", "digits"], ["pixelcnn", "pixelcnn_local", "difference"], "clothes")
    model, variant = (checkpoint.load(project / f"data/models/toy/{name}/best.safetensors")[1] for name in list(rows)[:2])
    for name, side in SETS.items():
        x = np.array(arrays.load(project / f"data/processed/toy/{side}/{name}.npy")[[7, 0, 4]])
        assert np.array_equal(sets[name].images, x)
        ratio = (variant.log_prob(torch.from_numpy(x)) - model.log_prob(torch.from_numpy(x))).numpy() / math.log(2.0)
        np.testing.assert_allclose(sets[name].maps["difference"].sum(axis=(1, 2)), ratio, rtol=1e-4)
    assert (project / "plots/toy/pixelcnn_local/ratio.png").is_file()


@pytest.mark.parametrize("variant", ["pixelcnn_seeds", "vae_bernoulli", "made"])
def test_several_seeds_another_unit_and_another_family_have_no_ratio(project, variant, monkeypatch):
    assert drawn(variant, monkeypatch) == []
    assert not list((project / "plots/toy" / variant).iterdir())
