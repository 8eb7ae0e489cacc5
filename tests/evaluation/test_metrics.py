"""The detection metrics against scikit-learn, by hand, and under ties."""

import numpy as np
import pytest
from sklearn.metrics import roc_auc_score

from likelihood.evaluation import metrics

rng = np.random.RandomState(0)
IN, OUT = rng.normal(0.0, 1.0, 300), rng.normal(1.0, 1.0, 200)
TIED_IN, TIED_OUT = rng.randint(0, 6, 150).astype(float), rng.randint(2, 9, 120).astype(float)


def test_auroc_by_hand_with_a_tie():
    # pairs (in, out): 1<2 win, 1<1 tie, 3>2 loss, 3>1 loss
    assert metrics.auroc(np.array([1.0, 3.0]), np.array([2.0, 1.0])) == pytest.approx(1.5 / 4)


def test_out_of_distribution_is_the_positive_class():
    low, high = np.arange(10.0), np.arange(100.0, 110.0)
    assert metrics.auroc(low, high) == 1.0
    assert metrics.auroc(high, low) == 0.0
    assert metrics.fpr_at_95_tpr(low, high) == 0.0
    assert metrics.fpr_at_95_tpr(high, low) == 1.0
    assert metrics.auprc(low, high) == pytest.approx(1.0)


@pytest.mark.parametrize(("inside", "outside"), [(IN, OUT), (TIED_IN, TIED_OUT)], ids=["continuous", "tied"])
def test_swapping_the_classes_mirrors_auroc(inside, outside):
    assert metrics.auroc(inside, outside) + metrics.auroc(outside, inside) == pytest.approx(1.0)
    assert metrics.auroc(inside, outside) == pytest.approx(metrics.auroc(-outside, -inside))


def test_a_constant_score_says_nothing():
    same = np.zeros(50)
    assert metrics.auroc(same, same) == 0.5
    assert metrics.bootstrap_auroc(same, same, 200, seed=0) == (0.5, 0.5)
    assert metrics.fpr_at_95_tpr(same, same) == 1.0


def test_fpr95_flags_95_percent_of_the_out_images():
    fpr = metrics.fpr_at_95_tpr(IN, OUT)
    threshold = np.sort(OUT)[int(np.floor(0.05 * len(OUT)))]
    assert (threshold <= OUT).mean() >= 0.95
    assert fpr == pytest.approx((threshold <= IN).mean())


@pytest.mark.parametrize(("inside", "outside"), [(IN, OUT), (TIED_IN, TIED_OUT)], ids=["continuous", "tied"])
def test_a_weighted_auroc_equals_the_library_s(inside, outside):
    counts = [rng.multinomial(len(x), np.full(len(x), 1.0 / len(x)), size=20) for x in (inside, outside)]
    ours = metrics.weighted_auroc(inside, outside, *counts)
    labels, scores = np.repeat([0, 1], [len(inside), len(outside)]), np.concatenate([inside, outside])
    theirs = [roc_auc_score(labels, scores, sample_weight=np.concatenate(pair)) for pair in zip(*counts, strict=True)]
    np.testing.assert_allclose(ours, theirs, rtol=1e-12)


def test_the_interval_has_the_width_theory_gives_and_holds_the_estimate():
    low, high = metrics.bootstrap_auroc(IN, OUT, 1000, seed=1)
    estimate = metrics.auroc(IN, OUT)
    assert low < estimate < high
    # Hanley & McNeil's standard error
    q1, q2 = estimate / (2 - estimate), 2 * estimate**2 / (1 + estimate)
    m, n = len(OUT), len(IN)
    error = np.sqrt((estimate * (1 - estimate) + (m - 1) * (q1 - estimate**2) + (n - 1) * (q2 - estimate**2)) / (m * n))
    assert (high - low) == pytest.approx(2 * 1.96 * error, rel=0.15)
    assert metrics.bootstrap_auroc(IN, OUT, 1000, seed=1) == (low, high)


@pytest.mark.slow
def test_the_interval_of_pairs_has_the_width_that_fresh_pairs_show():
    def pairs(number):
        inside = np.random.RandomState(number).normal(size=200)
        return inside, inside + 0.3 + 0.3 * np.random.RandomState(1000 + number).normal(size=200)

    error = np.std([metrics.auroc(*pairs(number)) for number in range(300)])
    low, high = metrics.bootstrap_auroc(*pairs(0), 1000, seed=1, paired=True)
    assert (high - low) == pytest.approx(2 * 1.96 * error, rel=0.3)
    low, high = metrics.bootstrap_auroc(*pairs(0), 1000, seed=1)
    assert (high - low) > 2 * 2 * 1.96 * error, "as if the images had nothing to do with each other"


def test_scores_that_are_not_finite_are_refused():
    for bad in (np.nan, np.inf):
        with pytest.raises(ValueError, match="1 of 3 scores are not finite"):
            metrics.ood_metrics(np.array([0.0, bad]), np.array([1.0]), 100, seed=0)


def test_all_metrics_come_under_their_names():
    found = metrics.ood_metrics(IN, OUT, 100, seed=0)
    assert list(found) == ["auroc", "auroc_low", "auroc_high", "auprc", "fpr95"]
    assert all(isinstance(value, float) for value in found.values())


def test_the_seed_decides_which_images_are_drawn():
    intervals = {metrics.bootstrap_auroc(IN, OUT, 100, seed) for seed in (0, 1, 2)}
    assert len(intervals) == 3


def test_fpr95_of_a_set_against_itself_is_95_percent():
    same = np.arange(100.0)
    assert metrics.fpr_at_95_tpr(same, same) == pytest.approx(0.95)


def test_pairs_are_drawn_together():
    inside = rng.normal(size=50)
    low, high = metrics.bootstrap_auroc(inside, inside, 200, seed=0, paired=True)
    assert (low, high) == (0.5, 0.5), "of the same image twice neither is more outlying, whichever are drawn"


def test_there_are_as_many_resamples_as_were_asked_for(monkeypatch):
    drawn, usual = [], metrics.weighted_auroc
    monkeypatch.setattr(metrics, "weighted_auroc", lambda *arguments: drawn.append(usual(*arguments)) or drawn[-1])
    metrics.bootstrap_auroc(IN, OUT, 250, seed=0)
    assert [len(part) for part in drawn] == [100, 100, 50]
