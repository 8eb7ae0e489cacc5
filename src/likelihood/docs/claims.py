"""docs/claims.md: what Nalisnick et al. (2019) claim, what our runs show, and a verdict by a fixed rule.

A claim is tested on every benchmark and model that has the numbers for it. It is reproduced when all of them show it, not
reproduced when none does, partly reproduced otherwise. A claim that no committed run can test is left out.
"""

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import NamedTuple

from likelihood.docs import findings as of
from likelihood.docs.findings import Finding, Results


class Claim(NamedTuple):
    """A claim, how its findings are made, and the files that contain its evidence."""

    text: str
    findings: Callable[[Results], Iterator[Finding]]
    files: str


FIGURES = ("split", "constants", "contrast", "training", "entropy")
METRICS, EXPLAINED = "metrics/<benchmark>/ood/metrics.json", "metrics/scores/<benchmark>/claims/explain.json"
DISSECTED = "metrics/scores/<benchmark>/claims/<model>.csv"
CLAIMS = (
    Claim(
        "Images of a foreign set are more likely than test images of the in-set.",
        of.likelier,
        METRICS,
    ),
    Claim(
        "The effect is asymmetric: with in-set and out-set swapped, the foreign images are less likely.",
        of.asymmetric,
        METRICS,
    ),
    Claim(
        "It persists in a flow of constant volume (additive couplings, no logit).",
        of.additive,
        "metrics/<benchmark>/variants/glow_additive.json",
    ),
    Claim(
        "In a flow of varying volume, the log-determinant favours the foreign set and log p(z) does not.",
        of.split,
        EXPLAINED,
    ),
    Claim(
        "For a flow of constant volume, the data's means and variances predict the sign of the gap (second-order analysis).",
        of.curvature,
        "metrics/scores/<benchmark>/glow_additive/curvature.json",
    ),
    Claim(
        "It is not overfitting: train and test images are equally likely (here: within a tenth of the gap).",
        of.overfitting,
        METRICS,
    ),
    Claim("It is present throughout training, so early stopping does not help.", of.training, DISSECTED),
    Claim(
        "An ensemble does not fix it.",
        of.ensemble,
        "metrics/scores/<benchmark>/<model>_seeds/",
    ),
    Claim("Samples look like the in-set, although the foreign set is more likely.", of.samples, EXPLAINED),
    Claim("Constant images are the most likely of all, uniform noise the least likely.", of.made, EXPLAINED),
    Claim("The likelihood rises as contrast falls (λ = 1, 0.8, … 0).", of.contrast, DISSECTED),
    Claim(
        "−E log q = KL + H: sets of low entropy, measured here by compressed size, are likely (Caterini & Loaiza-Ganem, 2022).",
        of.entropy,
        EXPLAINED,
    ),
)


def verdict(findings: list[Finding]) -> str:
    """The verdict from the number of findings that show the claim."""
    shown = sum(finding.holds for finding in findings)
    word = {0: "not reproduced", len(findings): "reproduced"}.get(shown, "partly")
    return f"{word} ({shown} of {len(findings)})"


def testable(results: Results) -> list[tuple[Claim, list[Finding]]]:
    """The claims that committed runs can test, with their findings."""
    found = [(claim, list(claim.findings(results))) for claim in CLAIMS]
    return [(claim, findings) for claim, findings in found if findings]


def overview(results: Results, page: str) -> str:
    """The Markdown table of claims and verdicts, with links to the evidence in `page`."""
    lines = ["| claim | verdict | |", "|---|---|---|"]
    for number, (claim, findings) in enumerate(testable(results), 1):
        lines.append(f"| {number}. {claim.text} | {verdict(findings)} | [evidence]({page}#claim-{number}) |")
    return "\n".join(lines)


def page(results: Results) -> str:
    """docs/claims.md."""
    parts = []
    for number, (claim, findings) in enumerate(testable(results), 1):
        rows = "\n".join(f"- {finding.text}{'' if finding.holds else ' — **not shown**'}" for finding in findings)
        parts.append(f"## Claim {number}\n\n{claim.text} **{verdict(findings)}**; from `{claim.files}`.\n\n{rows}")
    for benchmark in results.entries:
        names = [name for name in FIGURES if Path(f"plots/{benchmark}/claims/{name}.png").exists()]
        if names:
            pictures = "\n\n".join(f"![{name}](../plots/{benchmark}/claims/{name}.png)" for name in names)
            parts.append(f"## Figures of {benchmark}\n\n{pictures}")
    head = (
        "# The paper's claims\n\nThe claims of Nalisnick et al. (2019), tested on our runs. A claim is reproduced when every"
        " benchmark and model with the numbers for it shows it, partly reproduced when only some do. AUROC is that of −log p or"
        " of the score named; below 0.5, foreign images look more normal than test images. Written by `likelihood docs` from"
        " `metrics/`."
    )
    return "\n\n".join([head, overview(results, ""), *parts]) + "\n"
