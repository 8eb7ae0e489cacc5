"""The scoring stage: every core takes batches of its own, and nothing but the time shows it."""

import pandas as pd
import pytest
import torch

import score
from tests.models import IDS, VARIANTS, build, images


@pytest.fixture
def threads():
    """Set the number of cores in use, for this test only."""
    before = torch.get_num_threads()
    yield torch.set_num_threads
    torch.set_num_threads(before)


@pytest.mark.parametrize(("name", "arguments"), VARIANTS, ids=IDS)
def test_scores_stand_in_the_order_of_the_images_on_any_number_of_cores(name, arguments, threads, monkeypatch):
    model, x = build(name, arguments, (1, 8, 8)), images(23, (1, 8, 8))
    monkeypatch.setattr(score, "BATCH", 2)
    expected = pd.DataFrame({key: part.numpy() for key, part in model.statistics(x, draws=2).items()})
    for number in (1, 2, 3):
        threads(number)
        table = score.statistics(model, x.numpy(), 2, name)
        pd.testing.assert_frame_equal(table, expected, rtol=1e-9, atol=1e-9)
        assert torch.get_num_threads() == number, "scoring changed how many cores the rest of the process uses"
