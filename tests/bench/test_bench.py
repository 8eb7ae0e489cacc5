"""The benchmark compares like with like: the plain implementations compute what ours compute."""

import os
import sys

import numpy as np
import pytest
import torch

from bench import cost, detecting, lossy, memory
from bench.plain import PlainPixelCNN, PlainVAE, loaded_batches
from bench.sides import Side
from likelihood.common.units import bits_per_dim
from likelihood.models.shared.pixels import logistic_log_prob
from tests.bench.works import WHERE, two_works
from tests.builders import build, images

SHAPE = (1, 9, 8)
VAE = {"network": "dense", "hidden": 40, "latent": 5, "likelihood": "logistic"}


def plain_twin(model, layers, channels):
    """A plain PixelCNN with our weights in the places they have in full kernels."""
    twin = PlainPixelCNN(layers, channels, dilation=2, size=SHAPE[1:])
    for theirs, ours in zip(twin.layers, model.layers, strict=True):
        rows, taps = ours.vertical.kernel_size[0], ours.horizontal.kernel
        theirs.vertical.weight.data[:, :, :rows] = ours.vertical.weight.data
        weight = ours.horizontal.weight.data.view(2 * channels, taps, -1).transpose(1, 2)
        theirs.horizontal.weight.data[:, :, 0, :taps] = weight
        for name in ("vertical", "horizontal"):
            getattr(theirs, name).bias.data.copy_(getattr(ours, name).bias.data)
        for name in ("link", "skip", *(["residual"] if ours.residual is not None else [])):
            copy(getattr(theirs, name), getattr(ours, name))
    twin.layers[0].position.data.copy_(model.layers[0].position.data.permute(0, 3, 1, 2))
    copy(twin.hidden, model.hidden)
    copy(twin.head, model.pixels.head)
    return twin


def copy(theirs, ours):
    theirs.weight.data.copy_(ours.weight.data.view_as(theirs.weight))
    theirs.bias.data.copy_(ours.bias.data)


def test_the_plain_pixelcnn_computes_the_same_function():
    model = build("pixelcnn", {"layers": 5, "channels": 6, "dilation": 2, "pixels": "softmax"}, SHAPE)
    x = images(4, SHAPE)
    torch.testing.assert_close(plain_twin(model, 5, 6)(x).detach(), model.log_prob(x))


def test_the_plain_vae_computes_the_same_function():
    torch.set_default_dtype(torch.float64)
    x = torch.arange(256, dtype=torch.uint8)
    mean, log_scale = torch.linspace(-1, 1, 9)[:, None], torch.tensor(-2.0)  # where the plain one does not underflow
    theirs = PlainVAE.log_prob(x / 127.5 - 1.0, mean, log_scale)
    torch.testing.assert_close(theirs, logistic_log_prob(x, mean, log_scale, 256), rtol=1e-6, atol=1e-6)
    torch.set_default_dtype(torch.float32)
    count = [sum(p.numel() for p in model.parameters()) for model in (PlainVAE(40, 5), build("vae", VAE, (1, 28, 28)))]
    assert count[0] == count[1]
    assert PlainVAE(40, 5)(images(3, (1, 28, 28))).shape == (3,)


@pytest.mark.slow
def test_either_side_of_a_comparison_works_in_a_process_of_its_own_and_only_ours_keeps_memory(tmp_path, monkeypatch):
    monkeypatch.setenv(WHERE, str(tmp_path))
    with Side(two_works, ours=True) as ours, Side(two_works, ours=False) as theirs:
        for side in (ours, theirs):
            assert side.rate(0) > 0
            assert side.rate(1) > 0
        pids = {name: str(side.process.pid) for name, side in (("ours", ours), ("theirs", theirs))}
    assert (ours.process.exitcode, theirs.process.exitcode) == (0, 0)
    assert len({*pids.values(), str(os.getpid())}) == 3
    written = {path.name: path.read_text() for path in tmp_path.iterdir()}
    assert written == {
        "one ours": pids["ours"],
        "two ours": pids["ours"],
        "one theirs": pids["theirs"],
        "two theirs": pids["theirs"],
        "keeps": pids["ours"],
    }


def test_the_data_loader_gives_the_same_pictures():
    x = images(20, SHAPE).numpy()
    seen = torch.cat(list(loaded_batches(x, 5)))
    assert seen.shape == (20, *SHAPE)
    assert sorted(map(bytes, seen.numpy())) == sorted(map(bytes, x))


def test_the_published_glow_keeps_the_contract_of_ours():
    peers = pytest.importorskip("bench.peers", reason="normflows is not installed: make bench installs it", exc_type=ImportError)
    torch.set_default_dtype(torch.float32)
    model, x = peers.NormflowsGlow(2, 8), images(5, (1, 28, 28))
    model.initialize(x, model.noise(5, np.random.default_rng(0)))
    assert model.log_prob(x).shape == (5,)
    assert 0 < bits_per_dim(model.log_prob(x), model.dims).mean() < 20
    assert model.sample(3, torch.Generator().manual_seed(0)).shape == (3, 1, 28, 28)


def test_the_published_glow_has_as_many_parameters_as_ours():
    peers = pytest.importorskip("bench.peers", reason="normflows is not installed: make bench installs it", exc_type=ImportError)
    arguments = {"scales": 2, "steps": 8, "hidden": 64, "coupling": "affine", "preprocessing": "logit", "dequantization": 0}
    ours = sum(p.numel() for p in build("glow", arguments, (1, 28, 28)).parameters())
    theirs = sum(p.numel() for p in peers.NormflowsGlow(8, 64).parameters() if p.requires_grad)
    assert theirs == pytest.approx(ours, rel=0.02)


def test_the_cost_of_a_training_is_that_of_its_products():
    torch.set_default_dtype(torch.float32)
    loop = {
        "lr": 0.001,
        "muon_lr": 0.002,
        "weight_decay": 0.0,
        "batch_size": 8,
        "epochs": 3,
        "epoch_images": 800,
        "warmup": 0.1,
        "clip_norm": 1.0,
    }
    settings = {"loop": loop, "architecture": {"network": "dense", "hidden": 40, "latent": 5, "likelihood": "logistic"}}
    found = cost.cost("vae", settings, (1, 28, 28))
    assert found["images"] == 2400
    # A product of every weight forward, and two backward but for those of the first layer, whose input needs no gradient.
    layers = [784 * 40, 40 * 2 * 5, 5 * 40, 40 * 2 * 784]  # a mean and a scale of every pixel
    assert found["parameters"] == sum(layers) + (40 + 10 + 40 + 2 * 784)
    assert found["gflop_per_image"] * 1e9 == pytest.approx(2 * (3 * sum(layers) - layers[0]))
    assert found["petaflop"] == pytest.approx(found["gflop_per_image"] * 2400 / 1e6)
    larger = cost.cost("vae", {**settings, "loop": {**loop, "batch_size": 16}}, (1, 28, 28))
    muon = 40 * 2 * 5  # has one moment a weight; the stem, the head and what is smaller are with Adam
    fixed = 4 * (4 * found["parameters"] - muon) / 1e9
    assert larger["gigabytes"] - fixed == pytest.approx(2 * (found["gigabytes"] - fixed))


@pytest.mark.parametrize("shape", [(3, 9, 8), (3, 9, 8, 3)], ids=["grey", "colour"])
@pytest.mark.parametrize("way", lossy.WAYS)
def test_images_written_in_any_way_keep_their_shape_and_lossless_ones_their_pixels(shape, way, tmp_path):
    x = np.random.default_rng(0).integers(0, 256, shape, dtype=np.uint8)
    made = lossy.made(x, way, tmp_path)
    assert made.shape == x.shape
    assert np.array_equal(made, x) == (way in ("PNG, as they are", "WebP, lossless"))


@pytest.mark.slow
def test_a_call_of_detect_is_timed_to_its_first_line_and_to_its_end(exported, tmp_path):
    x = images(2, (1, 28, 28)).numpy()
    pictures, report = detecting.written(x, tmp_path / "three", 3), tmp_path / "r.html"
    assert len(list(pictures.iterdir())) == 3
    first, end, megabytes = detecting.called(exported, pictures, "--report", str(report), python=sys.executable)
    assert 0 < first < end
    assert megabytes > 100
    assert report.exists()


@pytest.mark.slow
def test_a_build_of_pytorch_is_named_as_it_names_itself():
    assert memory.build(sys.executable) == torch.__version__
    assert detecting.importing_torch(sys.executable) > 50
