"""Laws that every out-of-distribution score keeps; scores are found by listing their folder."""

import numpy as np
import pandas as pd
import pytest

from likelihood.scores import base

every_score = pytest.mark.parametrize("name", base.names())


def sample(n=12, shape=(1, 8, 8), seed=0):
    rng = np.random.RandomState(seed)
    images = rng.randint(0, 256, (n, *shape)).astype(np.uint8)
    return base.Sample(images, pd.DataFrame({"index": np.arange(n), "log_prob": rng.normal(-300.0, 20.0, n)}))


def rows(whole, index):
    return base.Sample(whole.images[index], whole.statistics.iloc[index].reset_index(drop=True))


def fitted(name, reference):
    score = base.get(name)
    score.fit(reference)
    return score


def test_the_scores_of_the_folder_are_found():
    assert {"log_prob", "png_size", "pixel_variance", "mean"} <= set(base.names())
    assert base.get("log_prob").needs_model
    assert not base.get("png_size").needs_model


@pytest.mark.parametrize("shape", [(1, 8, 8), (3, 8, 8)], ids=["grey", "colour"])
@every_score
def test_a_score_is_one_finite_number_an_image(name, shape):
    values = fitted(name, sample(30, shape, seed=1)).score(sample(12, shape))
    assert values.shape == (12,)
    assert values.dtype == np.float64
    assert np.isfinite(values).all()


@every_score
def test_a_score_does_not_depend_on_the_other_images_or_their_order(name):
    score, whole = fitted(name, sample(30, seed=1)), sample(12)
    values = score.score(whole)
    order = np.random.RandomState(2).permutation(12)
    np.testing.assert_allclose(score.score(rows(whole, order)), values[order])
    np.testing.assert_allclose(np.concatenate([score.score(rows(whole, [i])) for i in range(12)]), values)


@every_score
def test_a_score_without_a_model_needs_no_statistics(name):
    score = fitted(name, sample(30, seed=1))
    if not score.needs_model:
        np.testing.assert_array_equal(score.score(sample()._replace(statistics=None)), score.score(sample()))


def test_higher_is_more_outlying():
    statistics = pd.DataFrame({"log_prob": [-100.0, -900.0]})
    flat, rough = np.full((1, 8, 8), 9, np.uint8), np.random.RandomState(0).randint(0, 256, (1, 8, 8)).astype(np.uint8)
    pair = base.Sample(np.stack([rough, flat]), statistics)  # the second is unlikely, small as a file, flat and dark
    for name in ("log_prob", "png_size", "pixel_variance", "mean"):
        first, second = fitted(name, pair).score(pair)
        assert second > first, name
