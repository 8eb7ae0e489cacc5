"""Whether a stream of images drifts away: a conformal test martingale, whose alarm is ever false with a probability of at most α.

    p_t = (#{i : s_i > s_t} + U_t #{i : s_i = s_t}) / (n + t),    U_t uniform on (0, 1]
    M_t = 1 / (t + 1) + Σ_{τ ≤ t} 1 / (τ (τ + 1)) · mean_ε Π_{i = τ … t} f_ε(p_i),    f_ε(p) = ε p^(ε - 1)

where i runs over the n calibration images, the images of the stream before, and image t itself. If all of them are exchangeable,
as they are if they come from the same place independently of each other, the p_t are independent and uniform [1]. Then every f_ε
has the mean 1, and M is a martingale that starts at 1; so, by Ville's inequality [2],

    P(M_t ≥ 1 / α for any t) ≤ α

for a stream of any length. The alarm is raised when M reaches 1 / α. The p of evaluation/calibration.py would not do: they lie on
a grid, and all compare with the same n images, whose chance deviations a long stream would find and take for drift.

M is what has become of a capital of 1 that is put on bets [1, 3]. The share 1 / (τ (τ + 1)) bets from image τ on that p are small
more often than they should be; what still waits is 1 / (t + 1), so a drift that begins late is found as well. As f_ε falls, M is
smaller where p are too large, as levels that were raised for ties make them, and the inequality holds all the same; but images
that become more normal raise no alarm. Images that have drifted are compared with as well, so the evidence for a drift grows less
and less: a small one is found soon or never.

Our deviation: bets that begin at every image, instead of capital that jumps between values of ε [3].

References:
    [1] Testing exchangeability on-line (Vovk, Nouretdinov & Gammerman, 2003), ICML: the p_t and the power martingales f_ε
    [2] Étude critique de la notion de collectif (Ville, 1939)
    [3] Retrain or not retrain: conformal test martingales for change-point detection (Vovk et al., 2021),
        https://arxiv.org/abs/2102.10439
"""

from array import array
from bisect import bisect_left, bisect_right, insort

import numpy as np

EPSILONS = np.array([0.1, 0.3, 0.5, 0.7, 0.9])


class Drift:
    """A stream of scores, and the evidence that it has drifted. Until the alarm it keeps every score, in 8 bytes.

    Arguments:
        levels: of the calibration images, (n,).
        alpha: the largest probability of an alarm, ever, if there is no drift.
        seed: of the U_t.

    Attributes:
        evidence: M_t.
        images: t.
        alarm: the t at which the alarm was raised; None before.
    """

    def __init__(self, levels: np.ndarray, alpha: float, seed: int = 0) -> None:
        self.scores = array("d", np.sort(levels))
        self.alpha, self.rng = alpha, np.random.default_rng(seed)
        self.capital = np.zeros(len(EPSILONS))
        self.evidence, self.images = 1.0, 0
        self.alarm: int | None = None

    def add(self, score: float) -> bool:
        """Take the score of the next image, higher is more outlying; whether the alarm is raised now. It is raised once."""
        if self.alarm is not None:
            return False
        self.bet(self.ranked(score))
        if self.evidence * self.alpha < 1.0:
            return False
        self.alarm = self.images
        return True

    def ranked(self, score: float) -> float:
        """p_t of a score, which is then one of those that the next are compared with."""
        first, last = bisect_left(self.scores, score), bisect_right(self.scores, score)
        insort(self.scores, score)
        larger, equal = len(self.scores) - 1 - last, last - first + 1
        return (larger + (1.0 - self.rng.random()) * equal) / len(self.scores)

    def bet(self, p: float) -> None:
        """Move the capital by the next p."""
        self.images += 1
        woken = 1.0 / (self.images * (self.images + 1))
        self.capital = (self.capital + woken / len(EPSILONS)) * EPSILONS * p ** (EPSILONS - 1.0)
        self.evidence = 1.0 / (self.images + 1) + float(self.capital.sum())
