"""docs/claims.md: what Nalisnick et al. (2019) [1] claim, what our runs show, and a verdict by a fixed rule.

A claim is tested on every benchmark and model that has the numbers for it, each a finding; the same one of two benchmarks counts
once. It is reproduced when all findings show it, not reproduced when none does, partly reproduced otherwise. A claim that no
committed run can test is left out.

References:
    [1] Do deep generative models know what they don't know? (Nalisnick et al., 2019), https://arxiv.org/abs/1810.09136
"""

import json
from collections.abc import Callable, Iterator
from itertools import pairwise
from pathlib import Path
from typing import Any, NamedTuple

import pandas as pd

from likelihood.common.params import MODELS
from likelihood.docs import tables
from likelihood.figures.titles import model_title, set_title

ADDITIVE = "glow_additive"  # the variant of constant volume


class Finding(NamedTuple):
    """What one model of one benchmark shows."""

    text: str
    holds: bool


class Results(NamedTuple):
    """The results that claims are held against, by benchmark."""

    entries: dict[str, Any]  # `benchmarks` of params.yaml
    simpler: dict[str, list[str]]  # `claims.pairs` of params.yaml: simpler sets than an in-set
    summary: dict[str, dict[str, Any]]  # metrics/<benchmark>/ood/metrics.json
    variants: dict[str, dict[str, Any]]  # metrics/<benchmark>/variants
    tables: Path  # metrics/scores
    seeds: pd.DataFrame
    scores: pd.DataFrame

    def pairs(self, swapped: bool = False) -> Iterator[tuple[str, str]]:
        """(benchmark, out-set) with results where the out-set is simpler than the in-set; `swapped`, where the in-set is."""
        for name in self.benchmarks():
            for out in self.entries[name]["out"]:
                first, second = (out, self.entries[name]["in"]) if swapped else (self.entries[name]["in"], out)
                if second in self.simpler.get(first, ()):
                    yield name, out

    def benchmarks(self) -> list[str]:
        """Those that have results, in the order of params.yaml."""
        return [name for name in self.entries if name in self.summary]

    def models(self, benchmark: str) -> list[str]:
        """The models of a benchmark whose images are not binarised: those of others have rows of other names."""
        return [model for model in MODELS if model in self.summary[benchmark]]

    def pair(self, benchmark: str, out: str) -> str:
        """The title of a pair."""
        return f"{set_title(self.entries[benchmark]['in'])} → {set_title(out)}"

    def read(self, benchmark: str, name: str) -> Any:  # noqa: ANN401
        """A file of metrics/scores/<benchmark>, as claims/explain.json: a dictionary or a table, or None where it is absent."""
        path = self.tables / benchmark / name
        if not path.exists():
            return None
        return pd.read_csv(path) if path.suffix == ".csv" else json.loads(path.read_text(encoding="utf-8"))


def likelier(results: Results) -> Iterator[Finding]:
    """Whether the out-sets are more likely than test images."""
    return _compared(results, swapped=False)


def asymmetric(results: Results) -> Iterator[Finding]:
    """Whether they are less likely once a pair is swapped."""
    return _compared(results, swapped=True)


def _compared(results: Results, swapped: bool) -> Iterator[Finding]:
    for benchmark, out in results.pairs(swapped):
        for model in results.models(benchmark):
            found = results.summary[benchmark][model]
            bits, auroc = found["bits_per_dim"], found[out]["auroc"]
            text = f"{bits['test']:.3f} and {bits[out]:.3f} bits/dim, AUROC {auroc:.3f}"
            yield Finding(f"{results.pair(benchmark, out)}, {model_title(model)}: {text}", (auroc < 0.5) != swapped)


def additive(results: Results) -> Iterator[Finding]:
    """Whether out-sets are more likely than test images under a flow of constant volume."""
    for benchmark, out in results.pairs():
        found = results.variants.get(benchmark, {}).get(ADDITIVE)
        if found and out in found:
            bits, auroc = found["bits_per_dim"], found[out]["auroc"]
            text = f"{bits['test']:.3f} and {bits[out]:.3f} bits/dim, AUROC {auroc:.3f}"
            yield Finding(f"{results.pair(benchmark, out)}, {model_title(ADDITIVE)}: {text}", auroc < 0.5)


def split(results: Results) -> Iterator[Finding]:
    """Whether the log-determinant favours the out-set and log p(z) does not."""
    for benchmark, out in results.pairs():
        found = results.read(benchmark, "claims/explain.json")
        if found and out in found["split"]["ladj"]["auroc"]:
            z, volume = (found["split"][part]["auroc"][out] for part in ("log_pz", "ladj"))
            text = f"{results.pair(benchmark, out)}: AUROC of −log p(z) {z:.3f}, of the flow's −log |det| {volume:.3f}"
            yield Finding(text, volume < 0.5 <= z)


def curvature(results: Results) -> Iterator[Finding]:
    """Whether variances alone predict the sign of the gap under a flow of constant volume."""
    for benchmark, out in results.pairs():
        found = results.read(benchmark, f"{ADDITIVE}/curvature.json")
        if found and out in found["gaps"]:
            gap, variance = found["gaps"][out], found["total_variance"]
            text = (
                f"{results.pair(benchmark, out)}: measured {gap['measured']:+,.0f} nats, predicted by variances alone"
                f" {gap['variances']:+,.0f}, by all second moments {gap['second']:+,.0f}, by the first order"
                f" {gap['first']:+,.0f};"
                f" total variance of the pixels {variance['test']:.1f} and {variance[out]:.1f};"
                f" standard deviation of log |det| {found['std_of_ladj']:.2g} nats"
            )
            yield Finding(text, gap["variances"] * gap["measured"] > 0)


def training(results: Results) -> Iterator[Finding]:
    """Whether foreign images are more likely at every snapshot."""
    for benchmark, out in results.pairs():
        for model in results.models(benchmark):
            table = results.read(benchmark, f"claims/{model}.csv")
            if table is not None:
                rows = table[(table["experiment"] == "epoch") & (table["set"] == out)].sort_values("at")
                if not len(rows):
                    continue
                values = ", ".join(f"{auroc:.3f}" for auroc in rows["auroc"])
                epochs = ", ".join(f"{at:g}" for at in rows["at"])
                text = f"{results.pair(benchmark, out)}, {model_title(model)}: AUROC {values} after {epochs} epochs"
                yield Finding(text, bool((rows["auroc"] < 0.5).all()))


def rounding(results: Results) -> pd.DataFrame:
    """What eight bits a weight change, where a snapshot is of the best epoch, whose weights are known in sixteen: one row per
    model and set of pictures, with the differences of `mean`, in bits/dim, and of `auroc`.
    """
    found = [pd.DataFrame(columns=["mean", "auroc"], dtype=float)]
    for benchmark, out in results.pairs():
        for model in results.models(benchmark):
            table = results.read(benchmark, f"claims/{model}.csv")
            training = results.tables.parent / benchmark / "train" / model / "metrics.json"
            if table is not None and training.exists():
                best = json.loads(training.read_text(encoding="utf-8"))["best"]["epoch"]
                table = table[table["set"].isin(("test", out))].set_index("set")
                snapshot = table[(table["experiment"] == "epoch") & (table["at"] == best)]
                other = table[(table["experiment"] == "contrast") & (table["at"] == 1.0)]
                found.append((snapshot[["mean", "auroc"]] - other[["mean", "auroc"]]).dropna(how="all"))
    return pd.concat(found)


def overfitting(results: Results) -> Iterator[Finding]:
    """Whether train and test images differ by less than a tenth of the gap to the out-set."""
    for benchmark, out in results.pairs():
        for model in results.models(benchmark):
            bits = results.summary[benchmark][model]["bits_per_dim"]
            near, far = abs(bits["train"] - bits["test"]), abs(bits[out] - bits["test"])
            text = f"train and test differ by {near:.3f} bits/dim, test and out-set by {far:.3f}"
            yield Finding(f"{results.pair(benchmark, out)}, {model_title(model)}: {text}", near < 0.1 * far)


def ensemble(results: Results) -> Iterator[Finding]:
    """Whether the mean likelihood of several seeds is still inverted."""
    cells = results.scores.set_index(["benchmark", "model", "score", "out"])["auroc"]
    for benchmark, out in results.pairs():
        for model in MODELS:
            row = results.seeds.query("benchmark == @benchmark and model == @model and out == @out and score == 'log_prob'")
            if len(row) and (benchmark, model, "ensemble", out) in cells.index:
                (one,) = row.itertuples()
                auroc = cells[benchmark, model, "ensemble", out]
                text = (
                    f"{results.pair(benchmark, out)}, {model_title(model)}: AUROC of the ensemble {auroc:.3f}, of"
                    f" {one.seeds} seeds {one.auroc_mean:.3f} ± {one.auroc_std:.3f}"
                )
                yield Finding(text, auroc < 0.5)


def made(results: Results) -> Iterator[Finding]:
    """Whether a constant image is more likely than any set, and noise less likely."""
    for benchmark in results.benchmarks():
        found = results.read(benchmark, "claims/explain.json")
        constants = (found or {}).get("constants", {})
        for model in (model for model in results.models(benchmark) if model in constants):
            levels, bits = constants[model], results.summary[benchmark][model]["bits_per_dim"]
            if "noise" not in bits:
                continue
            pictures = [value for name, value in bits.items() if name not in ("noise", "constant")]
            text = (
                f"{set_title(results.entries[benchmark]['in'])}, {model_title(model)}: bits/dim {levels['most']:.3f} for the"
                f" likeliest grey ({levels['most_likely']}), {levels['least']:,.3f} for the least likely"
                f" ({levels['least_likely']}), {bits['noise']:,.3f} for noise, {min(pictures):,.3f} to {max(pictures):,.3f}"
                " for sets of pictures"
            )
            yield Finding(text, levels["most"] < min(pictures) and bits["noise"] > max(pictures))


def samples(results: Results) -> Iterator[Finding]:
    """Whether most samples look like the in-set, and the out-set is more likely all the same."""
    for benchmark, out in results.pairs():
        found = results.read(benchmark, "claims/explain.json")
        for model in results.models(benchmark) if found and out in found["samples"] else ():
            share = found["samples"][out]
            text = (
                f"{results.pair(benchmark, out)}, {model_title(model)}: a random forest takes {share[model]:.0%} of the samples"
                f" for the in-set's, {share['test']:.0%} of unseen test images and {share[out]:.0%} of unseen foreign ones"
            )
            yield Finding(text, share[model] > 0.5 and results.summary[benchmark][model][out]["auroc"] < 0.5)


def contrast(results: Results) -> Iterator[Finding]:
    """Whether the likelihood rises with each reduction of contrast."""
    for benchmark, out in results.pairs():
        for model in results.models(benchmark):
            table = results.read(benchmark, f"claims/{model}.csv")
            for name in ("test", out) if table is not None else ():
                rows = table[(table["experiment"] == "contrast") & (table["set"] == name)].sort_values("at", ascending=False)
                means = list(rows["mean"])
                if not means:
                    continue
                title = f"{set_title(results.entries[benchmark]['in'])} test" if name == "test" else set_title(name)
                text = f"{model_title(model)} trained on {set_title(results.entries[benchmark]['in'])}, {title}: " + ", ".join(
                    f"{mean:.2f}" for mean in means
                )
                yield Finding(text + " bits/dim", all(later < earlier for earlier, later in pairwise(means)))


def entropy(results: Results) -> Iterator[Finding]:
    """Whether sets of smaller compressed size are more likely: rank correlation over pictures, constants and noise."""
    for benchmark in results.benchmarks():
        found = results.read(benchmark, "claims/explain.json")
        for model in results.models(benchmark) if found else ():
            bits = results.summary[benchmark][model]["bits_per_dim"]
            names = [name for name in found["code"] if name in bits]
            table = pd.DataFrame({"code": [found["code"][n] for n in names], "model": [bits[n] for n in names]})
            rank = table.corr("spearman").loc["code", "model"]
            inside = results.entries[benchmark]["in"]
            sets = ", ".join(set_title(inside if name == "test" else name) for name in names)
            text = f"{model_title(model)} trained on {set_title(inside)}: rank correlation {rank:.2f} over {sets}"
            yield Finding(text, rank > 0.5)


class Claim(NamedTuple):
    """A claim, how its findings are made, and the files that contain its evidence."""

    text: str
    findings: Callable[[Results], Iterator[Finding]]
    files: str


FIGURES = {
    "split": "The parts of log p under a Glow",
    "constants": "Bits/dim of constant images by grey level",
    "contrast": "Bits/dim by contrast",
    "training": "Bits/dim by epoch",
    "entropy": "Bits/dim against compressed size",
}
METRICS, EXPLAINED = "metrics/<benchmark>/ood/metrics.json", "metrics/scores/<benchmark>/claims/explain.json"
DISSECTED = "metrics/scores/<benchmark>/claims/<model>.csv"
CLAIMS = (
    Claim(
        "Images of a foreign set are more likely than test images of the in-set.",
        likelier,
        METRICS,
    ),
    Claim(
        "The effect is asymmetric: with in-set and out-set swapped, the foreign images are less likely.",
        asymmetric,
        METRICS,
    ),
    Claim(
        "It persists in a flow of constant volume (additive couplings, no logit).",
        additive,
        "metrics/<benchmark>/variants/glow_additive.json",
    ),
    Claim(
        "In a flow of varying volume, the log-determinant favours the foreign set and log p(z) does not.",
        split,
        EXPLAINED,
    ),
    Claim(
        "For a flow of constant volume, the data's means and variances predict the sign of the gap (second-order analysis).",
        curvature,
        "metrics/scores/<benchmark>/glow_additive/curvature.json",
    ),
    Claim(
        "It is not overfitting: train and test images are equally likely (here: within a tenth of the gap).",
        overfitting,
        METRICS,
    ),
    Claim("It is present throughout training, so early stopping does not help.", training, DISSECTED),
    Claim(
        "An ensemble does not fix it.",
        ensemble,
        "metrics/scores/<benchmark>/<model>_seeds/",
    ),
    Claim(
        "Samples look like the in-set (here: more than like the foreign set), although that is more likely.",
        samples,
        EXPLAINED,
    ),
    Claim(
        "A constant image (here: of the likeliest grey) is more likely than any set of pictures, and uniform noise less likely.",
        made,
        EXPLAINED,
    ),
    Claim("The likelihood rises as contrast falls (λ = 1, 0.8, … 0).", contrast, DISSECTED),
    Claim(
        "−E log p = KL + H: sets of low entropy are likely (Caterini & Loaiza-Ganem, 2022; here: their rank correlation with"
        " compressed size is above 0.5).",
        entropy,
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
    found = [(claim, list(dict.fromkeys(claim.findings(results)))) for claim in CLAIMS]
    return [(claim, findings) for claim, findings in found if findings]


def overview(results: Results, page: str) -> str:
    """The Markdown table of claims and verdicts, with links to the evidence in `page`."""
    rows = [
        (f"{number}. {claim.text}", verdict(findings), f"[evidence]({page}#claim-{number})")
        for number, (claim, findings) in enumerate(testable(results), 1)
    ]
    return tables.markdown("lll", ("claim", "verdict", ""), rows)


def page(results: Results) -> str:
    """docs/claims.md."""
    parts = []
    for number, (claim, findings) in enumerate(testable(results), 1):
        rows = "\n".join(f"- {finding.text}{'' if finding.holds else ' — **not shown**'}" for finding in findings)
        parts.append(f"## Claim {number}\n\n{claim.text} **{verdict(findings)}**; from `{claim.files}`.\n\n{rows}")
    for benchmark in results.entries:
        names = [name for name in FIGURES if Path(f"plots/{benchmark}/claims/{name}.png").exists()]
        if names:
            pictures = "\n\n".join(
                f"{FIGURES[name]}:\n\n![{FIGURES[name]}](../plots/{benchmark}/claims/{name}.png)" for name in names
            )
            parts.append(f"## Figures of {benchmark}\n\n{pictures}")
    changed = rounding(results).abs().max().fillna(0.0)
    head = (
        "# The paper's claims\n\nThe claims of Nalisnick et al. (2019), and one of a later paper, tested on our runs. A claim is"
        " reproduced when every benchmark and model with the numbers for it shows it, partly reproduced when only some do, and"
        " not reproduced when none does. AUROC is that of −log p or of the score named; below 0.5, foreign images look more"
        " normal than test images. The claims on training and contrast take `claims.images` images per set, fewer than the"
        " others. That on training takes snapshots with weights in 8 bits; for the best epoch, against its weights in 16 bits,"
        f" this changes bits/dim by up to {changed['mean']:.3f} and AUROC by up to {changed['auroc']:.3f}. Written by `likelihood"
        " docs` from `metrics/`."
    )
    return "\n\n".join([head, overview(results, ""), *parts]) + "\n"
