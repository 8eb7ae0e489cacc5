"""Out-of-distribution scores by name: SCORES is the one list of them.

Tables, figures and detectors call a score by its name here. Names are given in alphabetical order, which is that of the tables.
"""

from collections.abc import Callable, Collection
from functools import partial

from likelihood.scores import complexity, density, likelihood, pixels, residuals, variants
from likelihood.scores.base import Sample, Score, Statistic

__all__ = ["SCORES", "Sample", "Score", "applicable", "get", "needing", "pooling"]

SCORES: dict[str, Callable[[], Score]] = {  # by name, what makes a new score
    # The model's own likelihood and its parts
    "log_prob": partial(Statistic, "log_prob", "−log p", -1.0),
    "log_pz": partial(Statistic, "log_pz", "−log p(z)", -1.0),
    "latent_norm": likelihood.LatentNorm,
    "typicality": likelihood.Typicality,
    "typicality_2": partial(likelihood.Typicality, batch=2),
    "typicality_10": partial(likelihood.Typicality, batch=10),
    "typicality_25": partial(likelihood.Typicality, batch=25),
    "ks_10": partial(likelihood.KolmogorovSmirnov, batch=10),
    "ks_25": partial(likelihood.KolmogorovSmirnov, batch=25),
    # Code lengths
    "complexity": complexity.Complexity,
    "png_size": complexity.PngSize,
    "png_distance": complexity.PngDistance,
    # Densities
    "dose_kde": density.DoseKde,
    "dose_svm": density.DoseSvm,
    "code_kde": density.CodeKde,
    "bare_code_kde": density.BareCodeKde,
    "gradient_density": density.GradientDensity,
    # Residuals and other statistics
    "residual_ks": partial(Statistic, "residual_ks", "goodness of fit of residuals"),
    "white_noise": partial(Statistic, "residual_white", "correlation of residuals"),
    "surprise": residuals.Surprise,
    "last_level": partial(Statistic, "last_level", "−log p of the last level", -1.0),
    "mass": partial(Statistic, "input_gradient", "approximate mass"),
    "corrected_log_prob": residuals.CorrectedLogProb,
    "likelihood_path": residuals.LikelihoodPath,
    "residual_kde": density.ResidualKde,
    "code_residual_kde": density.CodeResidualKde,
    "statistics_kde": density.StatisticsKde,
    # Variants and gradients
    "background_ratio": variants.BackgroundRatio,
    "local_ratio": variants.LocalRatio,
    "ensemble": variants.Ensemble,
    "waic": variants.Waic,
    "disagreement": variants.Disagreement,
    "gradient_norm": partial(Statistic, "gradient_norm", "gradient norm"),
    "combined_test": variants.CombinedTest,
    "lid_log_prob": variants.LidLogProb,
    "likelihood_regret": partial(Statistic, "regret", "likelihood regret"),
    # Pixels
    "mean": pixels.Mean,
    "pixel_variance": pixels.PixelVariance,
    "total_variation": pixels.TotalVariation,
}


def get(name: str) -> Score:
    """A new score of this name, not yet fitted."""
    return SCORES[name]()


def applicable(columns: Collection[str]) -> list[str]:
    """The scores of one model whose statistics have these columns; of no columns, the scores without a model."""
    needs = {name: get(name).needs for name in sorted(SCORES)}
    return [name for name, needed in needs.items() if bool(needed) == bool(columns) and set(needed) <= set(columns)]


def needing(added: Collection[str], *columns: Collection[str]) -> list[str]:
    """The scores of one model, or of several at once, for which these columns are enough, and that need one of the added."""
    names = applicable(*columns) if len(columns) == 1 else pooling(*columns)
    return [name for name in names if set(get(name).needs) & set(added)]


def pooling(*columns: Collection[str]) -> list[str]:
    """The scores that read several models at once, of models whose statistics have these columns."""
    shared = set.intersection(*map(set, columns))
    return [name for name in applicable(shared) if get(name).pools]
