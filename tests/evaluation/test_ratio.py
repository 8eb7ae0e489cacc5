"""Maps of a likelihood ratio: they add up to it."""

import math

import numpy as np
import pytest
import torch

import evaluate_variant
from likelihood.common import images as arrays
from likelihood.maps.places import maps_of
from likelihood.models.shared import checkpoint
from tests.builders import ARGUMENTS, build, images

SHAPE = (1, 8, 8)
SETS = {"test": "in", "digits": "out"}


@pytest.fixture
def project(tmp_path, monkeypatch):
    """A folder with a PixelCNN's maps and a variant's weights."""
    monkeypatch.chdir(tmp_path)
    models = {name: build("pixelcnn", ARGUMENTS["pixelcnn"][0], SHAPE) for name in ("pixelcnn", "pixelcnn_local")}
    for name, model in models.items():
        weights = tmp_path / f"data/models/toy/{name}/best.safetensors"
        checkpoint.save(weights, model.state_dict(), "pixelcnn", {"shape": SHAPE, **ARGUMENTS["pixelcnn"][0]})
    (tmp_path / "data/maps/toy").mkdir(parents=True)
    for seed, (name, side) in enumerate(SETS.items()):
        x = images(9, SHAPE, seed=seed).numpy()
        arrays.save(tmp_path / f"data/processed/toy/{side}/{name}.npy", x)
        index = np.array([7, 0, 4])
        bits = maps_of(models["pixelcnn"], x[index], 1, name) / -math.log(2.0)
        np.savez(tmp_path / f"data/maps/toy/{name}.npz", index=index, pixelcnn=bits)
    return tmp_path


def test_the_maps_add_up_to_the_score_of_a_likelihood_ratio(project, monkeypatch):
    found, draw = [], evaluate_variant.maps
    monkeypatch.setattr(evaluate_variant, "maps", lambda *arguments: found.append(arguments) or draw(*arguments))
    entry, facts = {"in": "clothes", "out": ["digits"]}, {"draws": 1, "unit": "bits_per_dim"}
    assert list(evaluate_variant.ratio("toy", "pixelcnn_local", "pixelcnn", entry, facts)) == ["ratio"]
    ((sets, rows, in_name, _),) = found
    assert (list(sets), list(rows), in_name) == (["test", "digits"], ["pixelcnn", "pixelcnn_local", "difference"], "clothes")
    model, variant = (checkpoint.load(project / f"data/models/toy/{name}/best.safetensors")[1] for name in list(rows)[:2])
    for name, side in SETS.items():
        x = np.array(arrays.load(project / f"data/processed/toy/{side}/{name}.npy")[[7, 0, 4]])
        assert np.array_equal(sets[name].images, x)
        ratio = (variant.log_prob(torch.from_numpy(x)) - model.log_prob(torch.from_numpy(x))).numpy() / math.log(2.0)
        np.testing.assert_allclose(sets[name].maps["difference"].sum(axis=(1, 2)), ratio, rtol=1e-4)
