"""Maps add up to log_prob for every model there is; a place's share goes to its own pixels, and to all of them alike."""

import pytest
import torch

from likelihood.common.errors import InputError
from likelihood.maps.places import has_places, log_prob_map, spread
from likelihood.models.shared.base import LikelihoodModel
from tests.builders import IDS, VARIANTS, build, images

SHAPES = [(1, 8, 8), (3, 4, 8)]
every_model = pytest.mark.parametrize(("name", "arguments"), VARIANTS, ids=IDS)
every_shape = pytest.mark.parametrize("shape", SHAPES, ids=["grey", "colour"])


@every_shape
@every_model
@pytest.mark.parametrize("draws", [1, 3])
def test_a_map_adds_up_to_log_prob(name, arguments, shape, draws):
    model, x = build(name, arguments, shape), images(3, shape)
    found = log_prob_map(model, x, draws)
    assert found.shape == (3, *shape[1:])
    torch.testing.assert_close(found.sum(dim=(1, 2)), model.log_prob(x, draws), rtol=1e-9, atol=0.0)


@every_model
def test_a_map_in_single_precision_adds_up_to_a_ten_thousandth(name, arguments):
    torch.set_default_dtype(torch.float32)
    model, x = build(name, arguments, (3, 8, 8)), images(5, (3, 8, 8))
    torch.testing.assert_close(log_prob_map(model, x, 4).sum(dim=(1, 2)), model.log_prob(x, 4), rtol=1e-4, atol=0.0)


@every_model
def test_an_image_s_map_does_not_depend_on_the_others(name, arguments):
    model, x = build(name, arguments, (1, 8, 8)), images(4, (1, 8, 8))
    together, alone = log_prob_map(model, x, 2), torch.cat([log_prob_map(model, each[None], 2) for each in x])
    torch.testing.assert_close(together, alone)


def test_an_autoregressive_map_has_the_factors_at_their_pixels():
    """What comes after a pixel cannot change its factor."""
    name, arguments = next((n, a) for n, a in VARIANTS if n == "pixelcnn")
    model, x = build(name, arguments, (1, 8, 8)), images(1, (1, 8, 8))
    changed = x.clone()
    changed[0, 0, 4, 3] = 255 - changed[0, 0, 4, 3]
    before, after = log_prob_map(model, x)[0].flatten(), log_prob_map(model, changed)[0].flatten()
    place = 4 * 8 + 3
    torch.testing.assert_close(before[:place], after[:place], rtol=0.0, atol=0.0)
    assert (before[place] - after[place]).abs() > 1e-3


def test_places_that_are_no_halves_lose_nothing():
    for size, count in ((8, 3), (28, 10), (32, 5), (7, 6)):
        term = torch.rand(2, count, count)
        found = spread(term, size, size)
        torch.testing.assert_close(found.sum(dim=(1, 2)), term.sum(dim=(1, 2)))


def test_a_draw_of_weight_zero_spoils_no_map():
    class Rare(LikelihoodModel):
        lower_bound = True

        def noise(self, n, rng):
            return torch.arange(n, dtype=torch.float64)[:, None]

        def terms(self, x, noise):
            return {"places": torch.where(noise[..., None] > 0, -torch.inf, -1.0).expand(len(x), *self.shape[1:])}

        def forward(self, x, noise):
            return {"log_weight": self.terms(x, noise)["places"].sum(dim=(1, 2))}

        def sample(self, n, generator):
            return torch.zeros(n, *self.shape, dtype=torch.uint8)

    model, x = Rare((1, 2, 2)), images(3, (1, 2, 2))
    model.scale = torch.nn.Parameter(torch.zeros(1))
    found = log_prob_map(model, x, 2)
    assert torch.isfinite(found).all()
    torch.testing.assert_close(found.sum(dim=(1, 2)), model.log_prob(x, 2))


@pytest.mark.parametrize(("height", "width", "h", "w"), [(8, 8, 2, 2), (5, 9, 2, 3), (7, 7, 7, 7), (6, 4, 1, 2), (28, 28, 7, 7)])
def test_a_block_shares_its_place_evenly(height, width, h, w):
    term = torch.arange(1.0, 1.0 + 2 * h * w).view(2, h, w)
    found = spread(term, height, width)
    assert found.shape == (2, height, width)
    torch.testing.assert_close(found.sum(dim=(1, 2)), term.sum(dim=(1, 2)))
    block = 1 if h == height else 2
    while block * h < height:
        block *= 2
    torch.testing.assert_close(found[:, :block].sum(dim=(1, 2)), term[:, 0].sum(dim=1))  # the first row of places
    assert (found[:, 0, 0] == found[:, min(block, height) - 1, 0]).all()


def test_a_term_without_a_place_is_spread_over_the_image():
    torch.testing.assert_close(spread(torch.tensor([12.0]), 3, 4), torch.ones(1, 3, 4))


def test_a_model_without_places_is_refused_in_one_sentence():
    class Whole(LikelihoodModel):
        lower_bound = False

        def noise(self, n, rng):
            return torch.zeros(n, 0)

        def forward(self, x, noise):
            return {"log_weight": x.flatten(1).sum(dim=1).double()}

        def sample(self, n, generator):
            return torch.zeros(n, *self.shape, dtype=torch.uint8)

    model = Whole((1, 4, 4))
    assert not has_places(model)
    with pytest.raises(InputError, match="Whole does not say where its likelihood arises, so it has no map"):
        log_prob_map(model, images(2, (1, 4, 4)))
