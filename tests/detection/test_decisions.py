"""Decisions keep what they promise, on synthetic scores: rates of false alarms of images and of groups, false discovery rates."""

import itertools
import weakref

import numpy as np
import pandas as pd
import pytest
from scipy.stats import combine_pvalues

from likelihood.detection import decisions
from likelihood.detection.verdicts import Batch
from likelihood.evaluation.calibration import p_values


def mixture(rng, n, m, share, shift):
    """p of m images against n calibration images, and which of them are outliers: a share, moved by `shift` deviations."""
    odd = rng.uniform(size=m) < share
    return p_values(rng.normal(size=n), rng.normal(size=m) + shift * odd), odd


@pytest.mark.parametrize("n", [30, 1000])
@pytest.mark.parametrize("share", [0.0, 0.1, 0.5])
def test_of_the_images_flagged_no_larger_share_is_false_than_was_asked_for(n, share):
    rng, fdr, runs = np.random.default_rng(n), 0.2, 400
    false, power = [], []
    for _ in range(runs):
        p, odd = mixture(rng, n, 100, share, shift=3.5)
        flagged = decisions.discoveries(p, fdr)
        false.append((flagged & ~odd).sum() / max(1, flagged.sum()))
        power.append(flagged[odd].mean() if odd.any() else np.nan)
    allowed = fdr * (1 - share)  # [2]: only those that are no outliers can be false
    assert np.mean(false) <= allowed + 3 * np.std(false) / np.sqrt(runs)
    if share and n == 1000:
        assert np.mean(false) >= 0.5 * allowed, "it is not kept by flagging nothing"
        assert np.nanmean(power) >= 0.7


def test_the_procedure_is_benjamini_and_hochbergs():
    p = np.array([0.01, 0.5, 0.039, 0.03, 0.021])
    assert decisions.discoveries(p, 0.05).tolist() == [True, False, True, True, True], (
        "0.03 and 0.021 pass with 0.039 <= 4/5 of 0.05"
    )
    assert not decisions.discoveries(np.array([0.06, 0.2]), 0.1).any()


@pytest.mark.parametrize(("n", "m", "k", "fdr"), [(499, 50, 17, 0.1), (999, 50, 17, 0.1), (99, 10, 9, 0.3)])
def test_a_p_that_is_exactly_at_the_limit_is_found(n, m, k, fdr):
    p = np.ones(m)
    p[:k] = round(k * fdr / m * (n + 1)) / (n + 1)
    assert p[0] == pytest.approx(k * fdr / m)
    assert decisions.discoveries(p, fdr).sum() == k
    assert decisions.fewest(m, p[0], fdr) == k
    p[:k] += 1 / (n + 1)
    assert not decisions.discoveries(p, fdr).any()


@pytest.mark.slow
@pytest.mark.parametrize(("n", "size"), [(40, 5), (200, 10), (25, 25)])
def test_groups_of_images_like_those_trained_on_are_flagged_at_the_rate(n, size):
    rng, runs = np.random.default_rng(n), 2000
    p = np.array([decisions.group_p(rng.normal(size=size), rng.normal(size=n)) for _ in range(runs)])
    for rate in (0.01, 0.05, 0.2, 0.5):
        assert (p <= rate).mean() == pytest.approx(rate, abs=4 * np.sqrt(rate * (1 - rate) / runs))


@pytest.mark.slow
def test_fishers_own_distribution_would_raise_more_false_alarms():
    rng, naive = np.random.default_rng(0), []
    for _ in range(1000):
        naive.append(combine_pvalues(p_values(rng.normal(size=1000), rng.normal(size=1000)))[1])
    assert (np.array(naive) <= 0.05).mean() > 0.07


@pytest.mark.slow
def test_equal_scores_raise_no_false_alarms():
    rng = np.random.default_rng(0)
    p = np.array(
        [decisions.group_p(rng.integers(0, 3, 6).astype(float), rng.integers(0, 3, 50).astype(float)) for _ in range(1000)]
    )
    assert (p <= 0.05).mean() <= 0.05 + 4 * np.sqrt(0.05 * 0.95 / 1000)
    assert decisions.group_p(np.ones(6), np.ones(50)) == 1.0


def test_a_group_is_flagged_of_which_no_image_is():
    rng = np.random.default_rng(1)
    levels, scores = rng.normal(size=1000), rng.normal(size=(200, 10)) + 1.0
    p = np.array([decisions.group_p(each, levels) for each in scores])
    assert (p <= 0.05).mean() > 0.8
    assert (p_values(levels, scores.ravel()) <= 0.05).mean() < 0.3
    assert p[0] == decisions.group_p(scores[0], levels), "the same in every run"


def test_the_least_rate_of_groups_is_that_of_the_draws_or_of_so_many_groups_as_there_are():
    assert decisions.least_group_rate(10, 1000) == 1 / 10_000
    assert decisions.least_group_rate(2, 2) == 1 / 6
    assert decisions.least_group_rate(4, 2) == 1 / 15
    assert decisions.least_group_rate(3, 3) == 0.05
    assert decisions.least_group_rate(1000, 1000) == 1 / 10_000, "of more groups than a float can count"


@pytest.mark.parametrize(("n", "size"), [(2, 4), (3, 3), (5, 5), (1, 30), (9, 1), (139, 2), (140, 2), (30, 3)])
def test_a_group_above_all_calibration_images_is_flagged_at_the_least_rate(n, size):
    scores, levels = n + np.arange(size) + 1.0, np.arange(n) + 1.0
    assert decisions.group_p(scores, levels) == decisions.least_group_rate(size, n)
    (batch,) = decisions.Group(size, decisions.least_group_rate(size, n), levels)(batches(np.exp(-scores)))
    assert batch.table["flagged"].all()


def test_the_p_of_a_small_group_is_the_one_by_hand():
    # Ranks among the four: {1, 2}, {1, 3}, {1, 4}, {2, 3}, {2, 4}, {3, 4}, whose products are 2, 3, 4, 6, 8, 12.
    for place, scores in enumerate([(4.0, 5.0), (2.0, 4.0), (0.0, 4.0), (2.0, 2.5), (0.0, 2.0), (0.0, 0.5)]):
        assert decisions.group_p(np.array(scores), np.array([1.0, 3.0])) == (place + 1) / 6, scores


@pytest.mark.parametrize(("n", "size"), [(2, 2), (3, 3), (2, 4), (6, 2), (1, 5)])
def test_over_all_orders_of_calibration_images_and_a_small_group_p_is_exactly_as_rare_as_it_says(n, size):
    """If all are exchangeable, each set of places in the order is as likely to be the group's."""
    pool = np.arange(n + size, dtype=float)
    groups = [list(places) for places in itertools.combinations(range(n + size), size)]
    p = np.array([decisions.group_p(pool[places], np.delete(pool, places)) for places in groups])
    assert p.min() == 1 / len(p)
    for each in p:
        assert (p <= each).mean() == pytest.approx(each)


def test_of_what_is_held_until_the_last_is_judged_each_batch_is_let_go_when_it_is_given_on():
    given = []

    def watched():
        for batch in batches([0.5], [0.4], [0.3]):
            batch = batch._replace(pixels=np.zeros((1, 1, 2, 2), np.uint8))
            given.append(weakref.ref(batch.pixels))
            yield batch
            del batch

    left = []
    for batch in decisions.Fdr(0.1)(watched()):
        del batch
        left.append(sum(each() is not None for each in given))
    assert left == [3, 2, 1], "the one at hand among them"


@pytest.mark.slow
def test_the_p_of_a_group_is_the_same_however_many_are_summed_at_a_time(monkeypatch):
    rng = np.random.default_rng(2)
    levels, scores = rng.normal(size=200), rng.normal(size=30) + 0.3
    whole = decisions.group_p(scores, levels)
    monkeypatch.setattr(decisions, "KEPT", 0)  # they are drawn again for every group
    for at_once in (1, 7 * 30 + 1):
        monkeypatch.setattr(decisions, "AT_ONCE", at_once)
        assert decisions.group_p(scores, levels) == whole


SCORE = "glow.code_kde"


def batches(*p):
    for each in p:
        table = pd.DataFrame({"image": [str(k) for k in range(len(each))], SCORE: -np.log(each), f"{SCORE}.p": each})
        yield Batch(table, SCORE, np.zeros((len(each), 1, 2, 2), np.uint8), dict)


def test_images_are_flagged_batch_by_batch_at_a_rate_and_after_the_last_by_discoveries():
    p = [[0.05, 0.051], [0.001, 0.9]]
    rate, fdr = decisions.Rate(0.05), decisions.Fdr(0.1)
    assert [batch.table["flagged"].tolist() for batch in rate(batches(*p))] == [[True, False], [True, False]]
    assert [batch.table["flagged"].tolist() for batch in fdr(batches(*p))] == [[True, True], [True, False]]
    assert (rate.limit, fdr.limit) == (0.05, 0.051)
    assert list(decisions.Fdr(0.1)(batches())) == []
    (none,) = fdr(batches([0.5]))
    assert (none.table["flagged"].tolist(), fdr.limit) == ([False], 0.0)
    assert list(none.table)[:2] == ["image", "flagged"]


def test_groups_are_consecutive_images_and_numbered_over_all_batches():
    group = decisions.Group(2, 0.05, np.linspace(0, 3, 100))
    first, second = group(batches([0.001, 0.001, 0.9, 0.8], [0.5, 0.4, 0.0001]))
    assert list(first.table)[:4] == ["image", "flagged", "group", "group_p"]
    assert first.table["group"].tolist() == [0, 0, 1, 1]
    assert second.table["group"].tolist() == [2, 2, 3], "the last is smaller"
    assert first.table["flagged"].tolist() == [True, True, False, False]
    assert second.table["flagged"].tolist() == [False, False, True]
    assert first.table["group_p"].nunique() == 2


def test_equal_scores_have_the_rank_of_the_last_of_them():
    # Ranks 4, 4 of five, whose product 16 is no larger than those of {3, 1} thrice, 4, {3, 0}, 5, and {1, 1} thrice, 16.
    assert decisions.group_p(np.array([1.0, 1.0]), np.array([3.0, 1.0, 0.0])) == 7 / 10


def test_sets_that_are_drawn_again_are_the_same():
    levels, scores = np.linspace(0, 3, 200), np.linspace(0, 3.5, 10)
    first = decisions.group_p(scores, levels)
    decisions._kept.cache_clear()  # as in another run
    assert decisions.group_p(scores, levels) == first
