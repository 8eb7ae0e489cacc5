"""The scoring stage: images are dealt out to processes, and nothing but the time shows it."""

import numpy as np
import pandas as pd
import pytest
import torch

import score
from likelihood.common import selection
from likelihood.common.errors import InputError
from tests.builders import IDS, VARIANTS, build, images


class OneOf:
    """One of several processes, in this one: what it sums over all of them is kept aside instead."""

    device = torch.device("cpu")

    def __init__(self, rank, world):
        self.global_rank, self.world_size, self.is_global_zero = rank, world, rank == 0

    def all_reduce(self, table, reduce_op):
        assert reduce_op == "sum"
        return table


@pytest.mark.parametrize(("name", "arguments"), VARIANTS, ids=IDS)
@pytest.mark.parametrize("count", [23, 2])
def test_the_shares_of_any_number_of_processes_add_up_to_the_scores_in_order(name, arguments, count, monkeypatch):
    model, x = build(name, arguments, (1, 8, 8)), images(count, (1, 8, 8))
    monkeypatch.setattr(type(model), "core_batch", 2)
    expected = pd.DataFrame({key: part.numpy() for key, part in model.statistics(x, draws=2).items()})
    for world in (1, 2, 3):
        shares = [score.statistics(OneOf(rank, world), model, x.numpy(), 2, name) for rank in range(world)]
        assert all(len(share) == count for share in shares)
        scored = sum((share != 0).any(axis=1).astype(int) for share in shares)
        assert (scored == 1).all(), "an image was scored by no process, or counted twice"
        pd.testing.assert_frame_equal(sum(shares), expected, rtol=1e-9, atol=1e-9)


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
        score.sets_of(tmp_path, build(name, arguments, (1, 8, 8)), 5, 0)
