"""Calibrated scores: how often an image from where the held-out ones come from would look as outlying.

    p(x) = (1 + #{i : s(x_i) ≥ s(x)}) / (1 + n)

with s a score, fitted on one half of the validation images, and x_i the n images of the other half: the conformal p-value [1, 2].
An image that comes from where these come from has p ≤ α with a probability of at most α, whatever the score, so flagging all
that have p ≤ α gives a rate of false alarms of α. That is for one score, chosen beforehand, and on average over validation sets;
for a given one the rate varies by about sqrt(α (1 − α) / n). The best epoch was chosen on the same images, which is neglected.

References:
    [1] Algorithmic learning in a random world (Vovk, Gammerman & Shafer, 2005), chapter 2
    [2] Testing for outliers with conformal p-values (Bates et al., 2023), https://arxiv.org/abs/2104.08279
"""

import numpy as np
import pandas as pd

from likelihood import comparison
from likelihood.scores import base as scores


def samples(x: np.ndarray, codes: pd.DataFrame, statistics: dict[str, pd.DataFrame]) -> dict[str, scores.Sample]:
    """What is known of uint8 images (N, C, H, W) by model, of all models at once if there are several, and without one."""
    found = {model: scores.Sample(x, codes, table) for model, table in statistics.items()}
    if len(found) > 1:
        pooled = comparison.pooled({model: {"": sample} for model, sample in found.items()})
        found[comparison.ALL_MODELS] = pooled[""]
    return found | {comparison.NO_MODEL: scores.Sample(x, codes, pd.DataFrame(index=range(len(codes))))}


def fitted(reference: dict[str, scores.Sample]) -> dict[str, scores.Score]:
    """Every score of single images, by `<model>.<score>`, fitted on what is known of reference images."""
    found = {}
    for model, sample in reference.items():
        names = scores.pooling() if model == comparison.ALL_MODELS else scores.applicable(list(sample.statistics))
        for name in names:
            score = scores.get(name)
            if score.batch == 1:
                score.fit(sample)
                found[f"{model}.{name}"] = score
    return found


def scored(judges: dict[str, scores.Score], known: dict[str, scores.Sample]) -> pd.DataFrame:
    """Every score of every image: a row an image, a column a judge."""
    return pd.DataFrame({name: judge.score(known[name.split(".")[0]]) for name, judge in judges.items()})


def p_values(calibration: np.ndarray, values: np.ndarray) -> np.ndarray:
    """p of scores (N,), by the scores of n calibration images."""
    below = np.searchsorted(np.sort(calibration), values, side="left")
    return (1 + len(calibration) - below) / (1 + len(calibration))
