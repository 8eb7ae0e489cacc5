"""How well a score tells out-of-distribution (OOD) images from in-distribution ones.

Throughout, a higher score is more outlying and OOD is the positive class.

    AUROC   probability that an OOD image scores higher than an in-distribution one, ties counting half
    AUPRC   area under precision against recall (average precision); depends on the share of OOD images
    FPR95   part of the in-distribution images flagged at the threshold that flags 95 % of the OOD images

Intervals are 95 % percentile intervals of the bootstrap over images [1], each set resampled by itself, or pairs where every OOD
image was made from an in-distribution one. An AUROC of 0 or 1 has an interval without width, however few images there are.

References:
    [1] An introduction to the bootstrap (Efron & Tibshirani, 1993), chapter 13
"""

import numpy as np
from sklearn.metrics import average_precision_score, roc_auc_score, roc_curve

CHUNK = 100  # resamples at a time: bounds the memory


def _labelled(in_scores: np.ndarray, out_scores: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Labels (1 = OOD) and scores, (N + M,); ValueError where a score is not finite, which libraries would drop or rank."""
    scores = np.concatenate([in_scores, out_scores]).astype(np.float64)
    if not np.isfinite(scores).all():
        raise ValueError(f"{int((~np.isfinite(scores)).sum())} of {len(scores)} scores are not finite")
    return np.repeat([0, 1], [len(in_scores), len(out_scores)]), scores


def auroc(in_scores: np.ndarray, out_scores: np.ndarray) -> float:
    """AUROC of in-distribution scores (N,) against OOD scores (M,)."""
    return float(roc_auc_score(*_labelled(in_scores, out_scores)))


def auprc(in_scores: np.ndarray, out_scores: np.ndarray) -> float:
    """AUPRC of in-distribution scores (N,) against OOD scores (M,)."""
    return float(average_precision_score(*_labelled(in_scores, out_scores)))


def fpr_at_95_tpr(in_scores: np.ndarray, out_scores: np.ndarray) -> float:
    """FPR95: false-positive rate on in-distribution scores (N,) at the first threshold that detects 95 % of OOD scores (M,)."""
    fpr, tpr = roc(in_scores, out_scores)
    return float(fpr[np.argmax(tpr >= 0.95)])


def roc(in_scores: np.ndarray, out_scores: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """ROC curve: false- and true-positive rates, from (0, 0) to (1, 1)."""
    fpr, tpr, _ = roc_curve(*_labelled(in_scores, out_scores), drop_intermediate=False)
    return fpr, tpr


def weighted_auroc(in_scores: np.ndarray, out_scores: np.ndarray, in_counts: np.ndarray, out_counts: np.ndarray) -> np.ndarray:
    """AUROC with each image counted as often as a resample drew it.

    Arguments:
        in_scores, out_scores: (N,) and (M,).
        in_counts, out_counts: how often each image counts, (R, N) and (R, M).

    Returns (R,). The rank statistic Σ out_m (Σ_{n below m} in_n + ½ Σ_{n tied with m} in_n) / (Σ in · Σ out).
    """
    order = np.argsort(in_scores, kind="stable")
    cumulative = np.pad(np.cumsum(in_counts[:, order], axis=1), ((0, 0), (1, 0)))  # (R, N + 1)
    sorted_scores = in_scores[order]
    below = cumulative[:, np.searchsorted(sorted_scores, out_scores, side="left")]  # (R, M)
    up_to = cumulative[:, np.searchsorted(sorted_scores, out_scores, side="right")]
    wins = (out_counts * (below + up_to)).sum(axis=1) / 2.0
    return wins / (in_counts.sum(axis=1) * out_counts.sum(axis=1))


def bootstrap_auroc(
    in_scores: np.ndarray, out_scores: np.ndarray, resamples: int, seed: int, paired: bool = False
) -> tuple[float, float]:
    """95 % bootstrap interval of the AUROC, from `resamples` stratified resamples of the images, or of pairs of them."""
    rng = np.random.RandomState(seed)
    _, scores = _labelled(in_scores, out_scores)
    in_scores, out_scores = scores[: len(in_scores)], scores[len(in_scores) :]
    values = []
    for start in range(0, resamples, CHUNK):
        in_counts, *others = [
            rng.multinomial(len(x), np.full(len(x), 1.0 / len(x)), size=min(CHUNK, resamples - start))
            for x in ((in_scores,) if paired else (in_scores, out_scores))
        ]
        values.append(weighted_auroc(in_scores, out_scores, in_counts, others[0] if others else in_counts))
    low, high = np.percentile(np.concatenate(values), [2.5, 97.5])
    return float(low), float(high)


def ood_metrics(
    in_scores: np.ndarray, out_scores: np.ndarray, resamples: int, seed: int, paired: bool = False
) -> dict[str, float]:
    """All of the above by name: auroc, auroc_low, auroc_high, auprc, fpr95.

    Arguments:
        in_scores, out_scores: (N,) and (M,).
        resamples, seed: of the bootstrap.
        paired: whether the k-th OOD image was made from the k-th in-distribution one, so that they are drawn together.
    """
    low, high = bootstrap_auroc(in_scores, out_scores, resamples, seed, paired)
    return {
        "auroc": auroc(in_scores, out_scores),
        "auroc_low": low,
        "auroc_high": high,
        "auprc": auprc(in_scores, out_scores),
        "fpr95": fpr_at_95_tpr(in_scores, out_scores),
    }
