"""What takes gradients: norms by layer against plain automatic differentiation, regret against its definition; every model."""

import numpy as np
import pytest
import torch

import analyse
from likelihood.analyses import probes
from likelihood.analyses.probes import elbo, regret
from likelihood.models.shared.base import image_generator
from tests.builders import IDS, VARIANTS, build, images

every_model = pytest.mark.parametrize(("name", "arguments"), VARIANTS, ids=IDS)
VAES = [arguments for name, arguments in VARIANTS if name == "vae"]
every_vae = pytest.mark.parametrize("arguments", VAES, ids=[f"{a['network']}-{a['likelihood']}" for a in VAES])
SHAPE = (1, 8, 8)


@pytest.mark.slow
@every_model
@pytest.mark.parametrize("draws", [1, 3])
def test_norms_are_those_of_one_image_s_gradient_by_layer(name, arguments, draws):
    model, x = build(name, arguments, SHAPE), images(3, SHAPE)
    information = probes.fisher(model, images(4, SHAPE, seed=2), draws)
    found = probes.probe(model, x, draws, information)
    for k in range(len(x)):
        noise = model.noise(draws, image_generator(x[k].numpy()))
        model.zero_grad()
        model.objective(model(x[k].expand(draws, *SHAPE), noise)).mean().backward()
        squares, statistic = {}, 0.0
        for key, weight in model.named_parameters():
            statistic += 0.0 if weight.grad is None else float((weight.grad.square() / information[key]).sum())
            layer = key.rpartition(".")[0] or key
            squares[layer] = squares.get(layer, 0.0) + (0.0 if weight.grad is None else float(weight.grad.square().sum()))
        assert found["score_statistic"][k].item() == pytest.approx(np.log(statistic), abs=1e-6)
        assert set(found) == {"gradient_norm", "score_statistic", *(f"gradient_norm.{layer}" for layer in squares)}
        for layer, square in squares.items():
            assert found[f"gradient_norm.{layer}"][k].item() == pytest.approx(np.log(max(square, 1e-30)), abs=1e-6), layer
        assert found["gradient_norm"][k].item() == pytest.approx(np.log(sum(squares.values())), abs=1e-6)


@pytest.mark.slow
@every_model
def test_norms_do_not_depend_on_the_other_images_or_on_how_many_go_together(name, arguments, monkeypatch):
    model, x = build(name, arguments, SHAPE), images(5, SHAPE)
    information = probes.fisher(model, x, 2)
    whole = probes.probe(model, x, 2, information)
    alone = probes.probe(model, x[3:4], 2, information)
    monkeypatch.setattr(probes, "MEMORY", 0)  # one at a time
    single = probes.probe(model, x, 2, information)
    for key, values in whole.items():
        torch.testing.assert_close(values[3:4], alone[key])
        torch.testing.assert_close(values, single[key])
        assert torch.isfinite(values).all()


@pytest.mark.slow
@every_model
def test_the_information_is_the_mean_square_of_training_images_gradients_and_damped(name, arguments):
    model, x = build(name, arguments, SHAPE), images(3, SHAPE)
    found = probes.fisher(model, x, 1)
    each = [{key: square[0] for key, square in next(probes.squares(model, x[k : k + 1], 1)).items()} for k in range(3)]
    mean = {key: sum(one[key] for one in each) / 3 for key in found}
    damping = probes.DAMPING * torch.cat([value.flatten() for value in mean.values()]).mean()
    for key, value in found.items():
        torch.testing.assert_close(value, mean[key] + damping)


@every_model
def test_an_analysis_leaves_the_model_as_it_was(name, arguments, monkeypatch):
    monkeypatch.setattr(probes, "STEPS", 3)
    model, x = build(name, arguments, SHAPE), images(2, SHAPE)
    before = {key: value.clone() for key, value in model.state_dict().items()}
    for kind, (prepare, _) in analyse.MEASURES.items():
        if kind != "regret" or name == "vae":
            prepare(model, x)(x)
    assert all(torch.equal(value, before[key]) for key, value in model.state_dict().items())
    assert all(weight.grad is None for weight in model.parameters())


@pytest.mark.slow
@every_vae
def test_regret_is_what_a_posterior_of_the_image_s_own_gains(arguments, monkeypatch):
    model, x = build("vae", arguments, SHAPE), images(4, SHAPE)
    with torch.no_grad():
        model.encoder[-1].bias += 1.5  # an encoder that serves nobody
    found = regret(model, x)
    assert found.shape == (4,)
    assert (found > 0).all()
    monkeypatch.setattr(probes, "STEPS", 0)
    torch.testing.assert_close(regret(model, x), torch.zeros(4), atol=1e-12, rtol=0.0)


@pytest.mark.slow
@every_vae
def test_regret_depends_on_no_other_image(arguments, monkeypatch):
    monkeypatch.setattr(probes, "STEPS", 20)
    model, x = build("vae", arguments, SHAPE), images(6, SHAPE)
    found = regret(model, x)
    torch.testing.assert_close(found[2:3], regret(model, x[2:3]), rtol=1e-6, atol=1e-8)
    torch.testing.assert_close(found.flip(0), regret(model, x.flip(0)), rtol=1e-6, atol=1e-8)


@every_vae
def test_the_bound_that_regret_rests_on_is_the_model_s_own(arguments):
    model, x = build("vae", arguments, SHAPE), images(4, SHAPE)
    noise = torch.randn(3, 4, *model.place)
    mean, logvar = model.encode(x)
    parts = [model(x, draw) for draw in noise]
    expected = torch.stack([part["reconstruction"] - part["kl"] for part in parts]).mean(dim=0)
    torch.testing.assert_close(elbo(model, x, mean, logvar, noise), expected)


def test_a_model_without_noise_is_analysed_once():
    draws = {}
    for wanted in ("pixelcnn", "glow"):
        model = build(*next(found for found in VARIANTS if found[0] == wanted), SHAPE)
        draws[wanted] = analyse.gradients(model, images(2, SHAPE)).keywords["draws"]
    assert draws == {"pixelcnn": 1, "glow": analyse.DRAWS}
