"""Maps add up to log_prob for every model there is; a place's share goes to its own pixels, and to all of them alike."""

import math

import numpy as np
import pytest
import torch

from likelihood.common.errors import InputError
from likelihood.maps.places import has_places, log_prob_map, spread
from likelihood.models.shared.base import LikelihoodModel
from tests.builders import ARGUMENTS, IDS, VARIANTS, build, images

SHAPES = [(1, 8, 8), (3, 4, 8)]
every_model = pytest.mark.parametrize(("name", "arguments"), VARIANTS, ids=IDS)
every_shape = pytest.mark.parametrize("shape", SHAPES, ids=["grey", "colour"])


@pytest.mark.slow
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


class Known(LikelihoodModel):
    """A model whose draws have these maps (K, H, W), whatever the image."""

    lower_bound = True

    def __init__(self, maps):
        super().__init__((1, *maps.shape[1:]))
        self.maps = torch.nn.Parameter(maps)

    def noise(self, n, rng):
        return torch.arange(n)[:, None]

    def terms(self, x, noise):
        return {"places": self.maps[noise[:, 0]]}

    def forward(self, x, noise):
        return {"log_weight": self.terms(x, noise)["places"].sum(dim=(1, 2))}

    def sample(self, n, generator):
        return torch.zeros(n, *self.shape, dtype=torch.uint8)


def test_a_draw_of_weight_zero_spoils_no_map():
    model, x = Known(torch.tensor([-1.0, -torch.inf]).view(2, 1, 1).expand(2, 2, 2)), images(3, (1, 2, 2))
    found = log_prob_map(model, x, 2)
    assert torch.isfinite(found).all()
    torch.testing.assert_close(found.sum(dim=(1, 2)), model.log_prob(x, 2))


def test_draws_count_by_their_share_and_what_is_left_is_spread_evenly():
    """The formula of places.py, with weights of e^-6 and e^-7, written out."""
    maps = torch.tensor([[[-1.0, -2.0, -0.5], [0.0, -2.5, 0.0]], [[-2.0, 1.0, 0.0], [-3.0, -1.0, -2.0]]])
    found = log_prob_map(Known(maps), images(2, (1, 2, 3)), 2)
    first = 1.0 / (1.0 + math.exp(-1.0))
    rest = math.log(0.5 * (math.exp(-6.0) + math.exp(-7.0))) + 6.0 * first + 7.0 * (1.0 - first)
    expected = first * maps[0] + (1.0 - first) * maps[1] + rest / 6
    torch.testing.assert_close(found, expected.expand(2, 2, 3), rtol=0.0, atol=1e-12)
    assert abs(rest) > 1e-2  # or its place would not show
    assert (found[0] - maps.mean(dim=0)).abs().max() > 0.1  # nor would that of the shares


def changes(model, x, row, column, monkeypatch):
    """By how much the map of one image moves when one pixel goes to the far end of the scale, the noise being the same."""
    noise = model.noise(1, np.random.default_rng(0))
    monkeypatch.setattr(model, "noise", lambda n, rng: noise)  # which is otherwise another one for every image
    changed = x.clone()
    changed[0, :, row, column] = 255 * (x[0, :, row, column] < 128)
    return changed, (log_prob_map(model, changed) - log_prob_map(model, x))[0]


@every_shape
@pytest.mark.parametrize("arguments", ARGUMENTS["glow"], ids=[i for i in IDS if i.startswith("glow")])
def test_a_flow_that_mixes_no_places_changes_in_the_block_of_a_pixel_only(arguments, shape, monkeypatch):
    """Of each convolution only the middle is left, so that a place of a level sees its own pixels and no others."""
    model, x = build("glow", arguments, shape), images(1, shape)
    for layer in (layer for layer in model.modules() if isinstance(layer, torch.nn.Conv2d)):
        middle = torch.zeros_like(layer.weight)
        middle[..., 1, 1] = layer.weight.detach()[..., 1, 1]
        layer.weight.data = middle
    _, found = changes(model, x, 3, 6, monkeypatch)
    block = torch.zeros_like(found, dtype=torch.bool)
    block[:4, 4:] = True
    torch.testing.assert_close(found[~block], torch.zeros_like(found[~block]), rtol=0.0, atol=1e-12)
    assert (found[block].abs() > 1e-6).all()
    # The second level has its terms in blocks of 4×4, the first in those of 2×2, the preprocessing in its pixel.
    pixel, fine = torch.zeros_like(block), torch.zeros_like(block)
    pixel[3, 6] = fine[2:4, 6:] = True
    equal = [block & ~fine]
    if not arguments["dequantization"]:  # whose noise is drawn for a block of 2×2, and moves all of its pixels
        equal.append(fine & ~pixel)
    for part in equal:
        torch.testing.assert_close(found[part], found[part][:1].expand(part.sum()), rtol=0.0, atol=1e-12)
    assert (found[2, 6] - found[0, 4]).abs() > 1e-6
    assert ((found[3, 6] - found[2, 6]).abs() > 1e-6) == (arguments["preprocessing"] == "logit")


@every_shape
@pytest.mark.parametrize("arguments", ARGUMENTS["vae"], ids=[i for i in IDS if i.startswith("vae")])
def test_a_reconstruction_is_at_its_pixel_and_what_the_latents_cost_is_where_they_are(arguments, shape, monkeypatch):
    """With a decoder that does not see them, the latents move nothing but their own terms."""
    shape = (shape[0], 16, 16)  # of which the places of a corner do not see the other end
    model, x = build("vae", arguments, shape), images(1, shape)
    model.decoder.hidden.weight.data.zero_()
    with torch.inference_mode():
        noise = model.noise(1, np.random.default_rng(0))
        changed, found = changes(model, x, 0, 1, monkeypatch)

        def costs(x):
            """log p(z) - log q(z | x) where the latents are, without what no image changes."""
            mean, logvar = model.encode(x)
            return 0.5 * (logvar - model.reparameterize(mean, logvar, noise).square()).sum(dim=1)[0]

        spent = costs(changed) - costs(x)
        z = torch.zeros_like(noise)
        rebuilt = (model.reconstruction(changed, z) - model.reconstruction(x, z)).sum(dim=1)[0]
    assert rebuilt.nonzero().tolist() == [[0, 1]]
    if arguments["network"] == "dense":
        expected = (spent / 256).expand(16, 16).clone()
    else:
        expected = (spent / 16).repeat_interleave(4, dim=0).repeat_interleave(4, dim=1)
        assert torch.cat([spent[3], spent[:, 3]]).abs().max() < 1e-12
    expected[0, 1] += rebuilt[0, 1]
    torch.testing.assert_close(found, expected, rtol=0.0, atol=1e-9)
    assert spent.abs().max() > 1e-3
    assert rebuilt.abs().max() > 1e-3


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
