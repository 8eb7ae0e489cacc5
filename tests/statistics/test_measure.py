"""Scoring: images are dealt out to processes, and nothing but the time shows it."""

import os
import signal

import numpy as np
import pandas as pd
import pytest
import torch

from likelihood.common import selection
from likelihood.common.errors import InputError
from likelihood.statistics import measure
from tests.builders import IDS, VARIANTS, build, images


@pytest.mark.slow
@pytest.mark.parametrize(("name", "arguments"), VARIANTS, ids=IDS)
@pytest.mark.parametrize("count", [11, 1])
def test_scores_are_those_of_the_model_in_order_however_many_cores_share_them(name, arguments, count, monkeypatch):
    model, x = build(name, arguments, (1, 8, 8)), images(count, (1, 8, 8))
    monkeypatch.setattr(type(model), "core_batch", 2)
    expected = pd.DataFrame({key: part.numpy() for key, part in model.statistics(x, draws=2).items()})
    for cores in (1, 2):
        monkeypatch.setattr(torch, "get_num_threads", lambda cores=cores: cores)
        found = measure.statistics(model, x.numpy(), 2, name)
        assert len(found) == count
        pd.testing.assert_frame_equal(found, expected, rtol=1e-9, atol=1e-9)


def refuse(x):
    raise InputError(f"{len(x)} images are too dark")


def end(x):
    os.kill(os.getpid(), signal.SIGKILL)


@pytest.mark.parametrize(("measured", "message"), [(refuse, "2 images are too dark"), (end, "a process was ended by the system")])
def test_what_goes_wrong_in_a_process_is_said_in_one_sentence(measured, message, monkeypatch):
    monkeypatch.setattr(torch, "get_num_threads", lambda: 2)
    with pytest.raises(InputError, match=message):
        measure.measured(measured, 2, images(7, (1, 8, 8)).numpy(), "test")


def test_the_images_scored_of_a_set_depend_on_its_name_and_the_seed_alone():
    first = selection.scored("test", 1000, 50, seed=0)
    assert np.array_equal(first, selection.scored("test", 1000, 50, seed=0))
    assert np.array_equal(first, np.unique(first))
    assert not np.array_equal(first, selection.scored("train", 1000, 50, seed=0))
    assert not np.array_equal(first, selection.scored("test", 1000, 50, seed=1))
    assert np.array_equal(selection.scored("test", 30, 50, seed=0), np.arange(30))


def test_the_images_compared_of_a_set_are_a_fixed_choice_in_no_order_that_batches_could_share():
    first = selection.compared("svhn", 200, 50, seed=0)
    assert len(set(first)) == 50
    np.testing.assert_array_equal(first, selection.compared("svhn", 200, 50, seed=0))
    assert set(first) != set(selection.compared("mnist", 200, 50, seed=0))
    assert not (np.diff(first) > 0).all()
    assert sorted(selection.compared("svhn", 30, 50, seed=0)) == list(range(30))
    assert sorted(selection.compared("val", 200, 50, seed=0)) == list(range(200))  # to fit on: all


def test_images_of_another_shape_than_the_model_s_are_refused(tmp_path):
    name, arguments = VARIANTS[0]
    np.save(tmp_path / "svhn.npy", images(5, (1, 9, 8)).numpy())
    with pytest.raises(InputError, match=r"svhn.npy holds images of \(1, 9, 8\), but the model was trained on \(1, 8, 8\)"):
        measure.sets_of(tmp_path, build(name, arguments, (1, 8, 8)), 5, 0)
