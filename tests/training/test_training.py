"""The training loop: what a step sees, what a seed fixes, and when it stops."""

import dataclasses
import functools
import itertools

import numpy as np
import pytest
import torch
from lightning_fabric import Fabric

from likelihood.common.errors import InputError
from likelihood.common.units import bits_per_dim
from likelihood.training.loop import Schedule, Training, batch_indices, validate
from tests.builders import IDS, VARIANTS, build, images

SHAPE = (1, 4, 4)
SCHEDULE = Schedule(
    lr=0.01, muon_lr=0.02, weight_decay=0.0, batch_size=8, epochs=3, epoch_images=40, warmup=0.2, clip_norm=1.0, seed=0
)
every_model = pytest.mark.parametrize(("name", "arguments"), VARIANTS, ids=IDS)


@pytest.fixture(autouse=True)
def single_precision(double_precision):
    """The loop runs in float32, as in a stage."""
    torch.set_default_dtype(torch.float32)


def data(n, seed):
    """Images with something to learn: dark left, bright right."""
    x = np.random.default_rng(seed).integers(0, 60, (n, *SHAPE), dtype=np.uint8)
    x[..., 2:] += 190
    return x


def prepare(model, schedule=SCHEDULE):
    return Training(Fabric(accelerator="cpu"), model, data(50, 0), data(20, 1), schedule)


def run(name, arguments, schedule=SCHEDULE):
    """A model that was trained, and the epochs of its training."""
    model = build(name, arguments, SHAPE)
    return model, list(prepare(model, schedule).epochs())


@functools.cache
def trained(number):
    """The same of one of VARIANTS, once for the tests that read it: they may not change the model."""
    return run(*VARIANTS[number])


@pytest.mark.slow
@every_model
def test_training_learns_and_the_same_seed_gives_the_same_weights(name, arguments):
    first, epochs = trained(VARIANTS.index((name, arguments)))
    again, same = run(name, arguments)
    assert [epoch.number for epoch in epochs] == [1, 2, 3]
    assert epochs[-1].validation < epochs[0].validation
    assert epochs == same
    for (key, one), other in zip(first.state_dict().items(), again.state_dict().values(), strict=True):
        assert torch.equal(one, other), key
    other, _ = run(name, arguments, dataclasses.replace(SCHEDULE, seed=1))
    assert any(not torch.equal(a, b) for a, b in zip(first.parameters(), other.parameters(), strict=True))


@pytest.mark.slow
@every_model
def test_a_training_restored_after_an_epoch_gives_the_same_weights(name, arguments):
    whole, epochs = trained(VARIANTS.index((name, arguments)))
    first = prepare(build(name, arguments, SHAPE))
    parts = [next(first.epochs())]
    state = {key: value.clone() for key, value in first.state().items()}
    model = build(name, arguments, SHAPE)
    for parameter in model.parameters():
        parameter.data += 1.0  # all must come from the state
    second = prepare(model)
    second.restore(state, 1)
    parts += second.epochs()
    assert parts == epochs
    for (key, one), other in zip(whole.state_dict().items(), model.state_dict().values(), strict=True):
        assert torch.equal(one, other), key


def test_validation_is_the_mean_log_prob_in_the_model_s_unit():
    model, x = build(*VARIANTS[0], SHAPE), data(230, 2)
    expected = bits_per_dim(model.log_prob(torch.from_numpy(x)).mean().item(), model.dims)
    assert validate(Fabric(accelerator="cpu"), model, x) == pytest.approx(expected, rel=1e-6)


def test_every_pass_uses_every_image_once_and_passes_differ():
    n, batch = 30, 8
    stream = np.concatenate([batch_indices(step, batch, n, seed=3) for step in range(15)])  # four passes
    for start in range(0, 120, n):
        assert sorted(stream[start : start + n]) == list(range(n))
    assert list(stream[:n]) != list(stream[n : 2 * n])
    assert list(stream[:n]) != list(np.concatenate([batch_indices(step, batch, n, seed=4) for step in range(4)])[:n])


def test_lr_warms_up_to_its_peak_and_falls_to_zero():
    schedule = dataclasses.replace(SCHEDULE, epochs=20)
    steps = schedule.epochs * schedule.steps_per_epoch
    lrs = [schedule.share_at(step) for step in range(steps)]
    peak = int(np.argmax(lrs))
    assert max(lrs) == pytest.approx(1.0, rel=0.01)
    assert peak == pytest.approx(0.2 * steps, abs=1)
    assert all(a < b for a, b in itertools.pairwise(lrs[:peak]))
    assert all(a > b for a, b in itertools.pairwise(lrs[peak + 1 :]))
    assert 0 < lrs[-1] < 0.05


def test_a_loss_that_is_not_finite_stops_with_one_sentence():
    model = build(*VARIANTS[0], SHAPE)
    next(model.parameters()).data.fill_(float("nan"))
    with pytest.raises(InputError, match="training stopped: the loss became nan in epoch 1, step 0; lower lr"):
        list(prepare(model).epochs())


def test_a_loss_far_beyond_the_uniform_model_s_stops_with_one_sentence():
    model = build("vae", {"network": "dense", "hidden": 8, "latent": 2, "likelihood": "logistic"}, SHAPE)
    wild = dataclasses.replace(SCHEDULE, lr=0.9, clip_norm=1e8, warmup=0.0, epochs=30)
    with pytest.raises(InputError, match=r"training diverged: [\d.]+ bits/dim in epoch 2, where a uniform model has 8; lower lr"):
        list(Training(Fabric(accelerator="cpu"), model, images(50, SHAPE).numpy(), data(20, 1), wild).epochs())


def test_far_beyond_is_twice_the_uniform_model_s_loss_after_the_first_epoch():
    model, bits = build(*VARIANTS[0], SHAPE), iter([20.0] * 5 + [15.9] * 5 + [16.1] * 5)  # of every step of three epochs
    objective = model.objective
    model.objective = lambda found: 0.0 * objective(found) - next(bits) * model.dims * np.log(2.0)
    epochs = prepare(model).epochs()
    assert [next(epochs).train for _ in range(2)] == pytest.approx([20.0, 15.9])
    with pytest.raises(InputError, match=r"training diverged: 16\.1 bits/dim in epoch 3, where a uniform model has 8; lower lr"):
        next(epochs)


def test_a_batch_that_processes_cannot_share_is_refused():
    class TwoProcesses:
        world_size, global_rank = 2, 0

    with pytest.raises(InputError, match="batch_size: 7 images cannot be shared evenly by 2 processes"):
        Training(TwoProcesses(), None, data(50, 0), data(20, 1), dataclasses.replace(SCHEDULE, batch_size=7))
