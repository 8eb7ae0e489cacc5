"""docs/claims.md, which readme.py writes: what Nalisnick et al. (2019) claim, what our runs show, and a verdict by a fixed rule.

A claim is held against every benchmark and model that can tell, each of which shows it or does not: all do, it is reproduced;
none, it is not; some, partly. A claim that no committed run can tell of is left out.
"""

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import NamedTuple

import findings as of
from findings import Finding, Results


class Claim(NamedTuple):
    """A claim, what it is held against, and the files its evidence stands in."""

    text: str
    findings: Callable[[Results], Iterator[Finding]]
    files: str


FIGURES = ("split", "constants", "contrast", "training", "entropy")
METRICS, EXPLAINED = "metrics/<benchmark>/ood/metrics.json", "metrics/claims/<benchmark>/explain.json"
DISSECTED = "metrics/claims/<benchmark>/<model>.csv"
CLAIMS = (
    Claim(
        "Images of a foreign set are likelier than test images of the set trained on.",
        lambda results: of.likelier(results, of.FOREIGN, of.MODELS, inverted=True),
        METRICS,
    ),
    Claim(
        "It is asymmetric: with in- and out-set exchanged the likelihood behaves as hoped.",
        lambda results: of.likelier(results, of.SWAPPED, of.MODELS, inverted=False),
        METRICS,
    ),
    Claim(
        "It persists in a flow of constant volume (additive couplings, no logit).",
        lambda results: of.likelier(results, of.ADDITIVE, ("glow",), inverted=True),
        METRICS,
    ),
    Claim(
        "In a flow whose volume varies it is the log-determinant that favours the foreign set, not log p(z).",
        of.split,
        EXPLAINED,
    ),
    Claim(
        "Of a flow of constant volume, means and variances of the data tell the sign of the gap (second-order analysis).",
        of.curvature,
        "metrics/claims/<benchmark>/curvature.json",
    ),
    Claim("It is no overfitting: train and test images are alike (here: within a tenth of the gap).", of.overfitting, METRICS),
    Claim("It is there all through training, so early stopping does not help.", of.training, DISSECTED),
    Claim(
        "An ensemble does not mend it.",
        of.ensemble,
        "metrics/scores/<benchmark>/<model>_seeds/",
    ),
    Claim("Samples look like the set trained on, though the foreign set is likelier.", of.samples, EXPLAINED),
    Claim("Constant images are the likeliest of all, uniform noise the least likely.", of.made, EXPLAINED),
    Claim("The likelihood rises as contrast falls (λ = 1, 0.8, … 0).", of.contrast, DISSECTED),
    Claim(
        "−E log q = KL + H: sets of low entropy, for which compressed size stands, are likely (Caterini & Loaiza-Ganem, 2022).",
        of.entropy,
        EXPLAINED,
    ),
)


def verdict(findings: list[Finding]) -> str:
    """By the share of the findings that show the claim."""
    shown = sum(finding.holds for finding in findings)
    word = {0: "not reproduced", len(findings): "reproduced"}.get(shown, "partly")
    return f"{word} ({shown} of {len(findings)})"


def told(results: Results) -> list[tuple[Claim, list[Finding]]]:
    """The claims that committed runs can tell of, with their findings."""
    found = [(claim, list(claim.findings(results))) for claim in CLAIMS]
    return [(claim, findings) for claim, findings in found if findings]


def overview(results: Results, page: str) -> str:
    """The Markdown table of claims and verdicts; `page` has the evidence."""
    lines = ["| claim | verdict | |", "|---|---|---|"]
    for number, (claim, findings) in enumerate(told(results), 1):
        lines.append(f"| {number}. {claim.text} | {verdict(findings)} | [evidence]({page}#claim-{number}) |")
    return "\n".join(lines)


def page(results: Results) -> str:
    """docs/claims.md."""
    parts = []
    for number, (claim, findings) in enumerate(told(results), 1):
        rows = "\n".join(f"- {finding.text}{'' if finding.holds else ' — **not so**'}" for finding in findings)
        parts.append(f"## Claim {number}\n\n{claim.text} **{verdict(findings)}**; from `{claim.files}`.\n\n{rows}")
    for benchmark in results.entries:
        names = [name for name in FIGURES if Path(f"plots/claims/{benchmark}/{name}.png").exists()]
        if names:
            pictures = "\n\n".join(f"![{name}](../plots/claims/{benchmark}/{name}.png)" for name in names)
            parts.append(f"## Figures of {benchmark}\n\n{pictures}")
    head = (
        "# The paper's claims\n\nWhat Nalisnick et al. (2019) claim, held against our runs. A claim is reproduced when every"
        " benchmark and model that can tell shows it, partly when some do. AUROC is that of −log p, or of the score named; below"
        " 0.5 foreign images pass for more normal. Written by `python src/readme.py` from `metrics/`."
    )
    return "\n\n".join([head, overview(results, ""), *parts]) + "\n"
