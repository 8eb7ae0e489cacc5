"""Drift: the alarm is ever false as rarely as was asked for, and it is raised soon after a drift; on synthetic scores."""

import numpy as np
import pytest
from scipy.integrate import quad
from scipy.stats import kstest

from likelihood.commands.watch import Drift


def alarms(runs, stream, levels, alpha, kind=Drift):
    """When each of some streams of scores has raised the alarm; None of those that have not."""
    found = []
    for seed in range(runs):
        rng = np.random.default_rng(seed)
        drift = kind(levels(rng), alpha, seed)
        any(drift.add(score) for score in stream(rng))
        found.append(drift.alarm)
    return found


def share(found):
    return np.mean([each is not None for each in found])


@pytest.mark.slow
@pytest.mark.parametrize("n", [5, 100])
@pytest.mark.parametrize("alpha", [0.05, 0.3])
def test_a_stream_without_drift_raises_the_alarm_no_more_often_than_was_asked_for(n, alpha):
    found = alarms(200, lambda rng: rng.normal(size=300), lambda rng: rng.normal(size=n), alpha)
    assert share(found) <= alpha + 3 * np.sqrt(alpha * (1 - alpha) / 200)


@pytest.mark.slow
def test_ties_and_levels_that_are_raised_for_them_cause_no_alarm():
    found = alarms(100, lambda rng: rng.integers(0, 3, 300).astype(float), lambda rng: rng.integers(0, 3, 50) + 0.0, 0.05)
    assert share(found) <= 0.05 + 3 * np.sqrt(0.05 * 0.95 / 100)
    found = alarms(100, lambda rng: rng.normal(size=300), lambda rng: rng.normal(size=50) + 0.3, 0.05)
    assert share(found) <= 0.05


class Fixed(Drift):
    """Compares all images with the calibration images alone."""

    def ranked(self, score):
        p = super().ranked(score)
        self.scores.remove(score)
        return p


@pytest.mark.slow
def test_comparing_with_the_calibration_images_alone_would_raise_false_alarms():
    """Which is why the images before are compared with as well."""
    found = alarms(60, lambda rng: rng.normal(size=1500), lambda rng: rng.normal(size=20), 0.05, Fixed)
    assert share(found) > 0.2


def test_p_are_uniform_and_independent():
    rng = np.random.default_rng(0)
    drift = Drift(rng.normal(size=50), 0.01)
    p = np.array([drift.ranked(score) for score in rng.normal(size=2000)])
    assert kstest(p, "uniform").pvalue > 0.01
    assert abs(np.corrcoef(p[1:], p[:-1])[0, 1]) < 4 / np.sqrt(2000)
    drift = Drift(np.ones(50), 0.01)
    p = np.array([drift.ranked(1.0) for _ in range(1000)])
    assert kstest(p, "uniform").pvalue > 0.01, "equal scores as well"
    assert drift.ranked(2.0) <= 1 / 1051
    assert drift.ranked(0.0) > 1051 / 1052


def test_the_evidence_is_a_martingale_that_starts_at_one():
    drift = Drift(np.zeros(1), 0.01)
    assert drift.evidence == 1.0
    for p in (0.4, 0.01, 0.9, 0.2):

        def after(next_p):
            other = Drift(np.zeros(1), 0.01)
            other.capital, other.images = drift.capital, drift.images
            other.bet(next_p)
            return other.evidence

        assert quad(after, 0, 1, limit=200)[0] == pytest.approx(drift.evidence, rel=1e-3)
        drift.bet(p)
        assert drift.evidence >= 1 / (drift.images + 1)


@pytest.mark.parametrize(("before", "shift", "within"), [(0, 3.0, 20), (1000, 3.0, 30), (0, 1.0, 150), (1000, 1.5, 100)])
def test_a_drift_is_found_soon_whenever_it_begins(before, shift, within):
    def stream(rng):
        return np.concatenate([rng.normal(size=before), rng.normal(size=within) + shift])

    found = [each for each in alarms(40, stream, lambda rng: rng.normal(size=1000), 0.01) if each is not None]
    assert np.mean([each > before for each in found]) >= 0.95
    assert len(found) >= 0.9 * 40


def test_images_that_become_more_normal_raise_no_alarm_and_an_alarm_is_raised_once():
    assert share(alarms(20, lambda rng: rng.normal(size=300) - 2, lambda rng: rng.normal(size=100), 0.2)) == 0
    drift = Drift(np.zeros(100), 0.01)
    raised = [drift.add(float(score)) for score in range(1, 40)]
    assert sum(raised) == 1
    assert drift.alarm == raised.index(True) + 1 == drift.images
    assert drift.evidence >= 100
