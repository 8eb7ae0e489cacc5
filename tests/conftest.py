"""Numerics are tested in float64, where a law holds or does not; the same seed starts every test."""

import pytest
import torch


@pytest.fixture(autouse=True)
def double_precision():
    """Make float64 the default and seed torch, for this test only."""
    before = torch.get_default_dtype()
    torch.set_default_dtype(torch.float64)
    torch.manual_seed(0)
    yield
    torch.set_default_dtype(before)
