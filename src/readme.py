"""Write README's tables and docs/{results,scores,claims}.md from metrics/ and bench/*.json; with --check change nothing, only say
whether they stand as they should.

Run it after `dvc repro`, `make bench` or `make quality`, before committing: `python src/readme.py`.
"""

import argparse
import json
from pathlib import Path
from typing import Any

import pandas as pd

import claimpage
import params
import scorepage
import stage
from findings import Results
from likelihood.data import base as data
from likelihood.errors import InputError
from likelihood.figures import AXIS, TITLES, set_title

README = Path("README.md")
RESULTS, SCORES, CLAIMS = Path("docs/results.md"), Path("docs/scores.md"), Path("docs/claims.md")
BENCH = Path("bench")
BOUNDS = ("vae", "vae_binarised", "glow")  # log_prob is a lower bound, so bits/dim an upper one
MADE = [name for name in data.names() if not data.natural(name)]
# Bits/dim of test and out-set under the Glow of Nalisnick et al. (2019), https://arxiv.org/abs/1810.09136, figure 2, by our name
# of the pair; the sets there are the whole ones.
PAPER = {("fashion_mnist", "mnist"): (2.958, 1.833), ("cifar10_30k", "svhn_10k"): (3.464, 2.389)}


def interval(found: dict[str, float]) -> str:
    """AUROC with its interval."""
    return f"{found['auroc']:.3f} [{found['auroc_low']:.3f}, {found['auroc_high']:.3f}]"


def cells(found: dict[str, float]) -> str:
    """AUROC with its interval, AUPRC, FPR95."""
    return f"{interval(found)} | {found['auprc']:.3f} | {found['fpr95']:.3f}"


def table(entry: dict[str, Any], summary: dict[str, Any]) -> str:
    """The Markdown table of one benchmark."""
    images = summary["images"]
    lines = [
        f"Trained on {set_title(entry['in'])}; {images['train']:,} train and {images['test']:,} test images scored.",
        "",
        "| score | out-set | N | bits/dim train | bits/dim test | bits/dim out-set | AUROC [95 %] | AUPRC | FPR95 |",
        "|---|---|--:|--:|--:|--:|--:|--:|--:|",
    ]
    for row, unit, means, form in model_rows(summary):
        for out in entry["out"]:
            likelihoods = " | ".join(form.format(means[name]) for name in ("train", "test", out))
            title = f"−log p, {TITLES[row]}" + ("" if unit == "bits_per_dim" else " (nats)")
            lines.append(f"| {title} | {set_title(out)} | {images[out]:,} | {likelihoods} | {cells(summary[row][out])} |")
    return "\n".join(lines)


def model_rows(summary: dict[str, Any]) -> list[tuple[str, str, dict[str, float], str]]:
    """Of every model of a benchmark: row name, unit, mean likelihoods by set, how a mean is written."""
    rows = []
    for row in (row for row in summary if row != "images"):
        unit = next(unit for unit in AXIS if unit in summary[row])
        sign, digits = "≤ " if row in BOUNDS else "", 3 if unit == "bits_per_dim" else 1
        rows.append((row, unit, summary[row][unit], f"{sign}{{:.{digits}f}}"))
    return rows


def overview(results: dict[str, tuple[dict[str, Any], dict[str, Any]]]) -> str:
    """The Markdown table of every benchmark's natural out-sets, from (entry of params.yaml, metrics) by benchmark."""
    lines = [
        "| trained on | out-set | −log p of | N | bits/dim train | bits/dim test | bits/dim out-set | AUROC [95 %] | paper |",
        "|---|---|---|--:|--:|--:|--:|--:|--:|",
    ]
    shown: dict[tuple[str, str], dict[str, Any]] = {}  # of a pair, the benchmark that had it first
    for entry, summary in results.values():
        for out in (out for out in entry["out"] if out not in MADE):
            first = shown.setdefault((entry["in"], out), entry)
            for row, unit, means, form in model_rows(summary):
                model = row.removesuffix("_binarised")
                changed = {key: value for key, value in entry[model].items() if value != first[model].get(key)}
                if entry is not first and not changed:  # the same model, shown above
                    continue
                likelihoods = " | ".join(form.format(means[name]) for name in ("train", "test", out))
                found, paper = summary[row][out], PAPER.get((entry["in"], out)) if row == "glow" and not changed else None
                title = TITLES[row] + ("" if unit == "bits_per_dim" else " (nats)")
                title += "".join(f", {key} {value}" for key, value in changed.items())
                theirs = "{:.3f} / {:.3f}".format(*paper) if paper else ""
                lines.append(
                    f"| {set_title(entry['in'])} | {set_title(out)} | {title} | {summary['images'][out]:,}"
                    f" | {likelihoods} | {interval(found)} | {theirs} |"
                )
    return "\n".join(lines)


def machine(results: dict[str, Any]) -> str:
    """The machine that results come from."""
    found = results["machine"]
    return f"{found['processor']}, {found['instructions']}, {found['threads']} threads, torch {found['torch']}"


def bench_table(results: dict[str, Any]) -> str:
    """The Markdown table of the benchmark."""
    lines = [
        f"{machine(results)}; median [least, greatest] of {results['rounds']} interleaved rounds.",
        "",
        "| ours | compared with | ratio of speeds | |",
        "|---|---|--:|---|",
    ]
    for row in results["rows"]:
        counts = "parameters {:,} and {:,}".format(*row["parameters"]) if row["parameters"] else ""
        note = "; ".join(text for text in (counts, row["note"]) if text)
        ratio, least, greatest = (f"{row[key]:,.{2 if row[key] < 10 else 0}f}" for key in ("ratio", "ratio_min", "ratio_max"))
        spread = f"{ratio} [{least}, {greatest}]"
        lines.append(f"| {row['comparison']} | {row['peer']} | {spread} | {note} |")
    return "\n".join(lines)


def quality_table(results: dict[str, Any]) -> str:
    """The Markdown table of bits/dim by minutes of training: halfway and at the end."""
    lines = [
        f"{machine(results)}; {results['test_images']:,} test images, one draw.",
        "",
        "| model | images seen | minutes | bits/dim test |",
        "|---|--:|--:|--:|",
    ]
    for name, points in results["curves"].items():
        sign = "≤ " if name != "pixelcnn" else ""
        title = TITLES.get(name, "Glow of normflows 1.7.3, same shape and schedule")
        for point in (points[len(points) // 2 - 1], points[-1]):
            lines.append(f"| {title} | {point['images']:,} | {point['minutes']:.2f} | {sign}{point['bits_per_dim']:.3f} |")
    return "\n".join(lines)


def growth_table(results: dict[str, Any]) -> str:
    """The Markdown table of how cost grows."""
    lines = [
        f"{machine(results)}; slopes of log cost by log size, 1 is proportional growth; medians of {results['rounds']} rounds.",
        "",
        "| model | cost | sizes | measured | slope |",
        "|---|---|---|---|--:|",
    ]
    for row in results["rows"]:
        sizes = ", ".join(f"{size:,}" for size in row["sizes"])
        values, unit = (row["megabytes"], "MB") if "megabytes" in row else ([1000 * value for value in row["seconds"]], "ms")
        measured = ", ".join(f"{value:,.0f}" for value in values)
        slope = round(row["slope"], 2) + 0.0  # no minus zero
        lines.append(f"| {TITLES[row['model']]} | {row['cost']} | {sizes} | {measured} {unit} | {slope:.2f} |")
    return "\n".join(lines)


MEASURED = {"results": bench_table, "quality": quality_table, "growth": growth_table}  # bench/<name>.json and its table


def rewritten(text: str, name: str, tables: str) -> str:
    """README's text with the part between the two markers of that name replaced."""
    start, end = f"<!-- {name}:start -->", f"<!-- {name}:end -->"
    if text.count(start) != 1 or text.count(end) != 1:
        raise InputError(f"{README} must hold {start} and {end} once each")
    head, rest = text.split(start)
    return f"{head}{start}\n{tables}\n{end}{rest.split(end)[1]}"


def committed(values: dict[str, Any]) -> dict[str, tuple[dict[str, Any], dict[str, Any]]]:
    """Entry of params.yaml and metrics of every benchmark that has metrics, in the order of params.yaml."""
    results = {}
    for benchmark, entry in values["benchmarks"].items():
        path = Path("metrics") / benchmark / "ood" / "metrics.json"
        if path.exists():
            results[benchmark] = (entry, json.loads(path.read_text(encoding="utf-8")))
        elif benchmark in values["run"]:
            raise InputError(f"{path} is not here: run `dvc repro`")
    return results


def page(results: dict[str, tuple[dict[str, Any], dict[str, Any]]]) -> str:
    """docs/results.md: a table for every benchmark."""
    tables = "\n\n".join(f"## {name}\n\n{table(*found)}" for name, found in results.items())
    return f"""# Results

−log p of every benchmark and out-set; the [README](../README.md) says how to read the columns; what does better is in
[scores.md](scores.md). Written by `python src/readme.py` from `metrics/`.

{tables}
"""


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--check", action="store_true", help="change nothing; fail when a file differs")
    check = parser.parse_args().check
    values = params.load()
    results = committed(values)
    scored = pd.read_csv("metrics/scores.csv")
    ranking = json.loads(Path("metrics/ranking.json").read_text(encoding="utf-8"))
    text = rewritten(README.read_text(encoding="utf-8"), "results", overview(results))
    for name, written in MEASURED.items():
        text = rewritten(text, f"bench_{name}", written(json.loads((BENCH / f"{name}.json").read_text(encoding="utf-8"))))
    seeds, entries = scorepage.over_seeds(Path("metrics/scores")), values["benchmarks"]
    text = rewritten(text, "scores", scorepage.ranked(scored, ranking, entries, scorepage.SHOWN))
    bits = scorepage.over_seeds(Path("metrics/scores"), "likelihoods")
    text = rewritten(text, "seeds", scorepage.ensembles(scored, seeds, bits, entries, MADE))
    shown = Results(entries, {name: summary for name, (_, summary) in results.items()}, Path("metrics/claims"), seeds, scored)
    text = rewritten(text, "claims", claimpage.overview(shown))
    pages = (
        (README, text),
        (RESULTS, page(results)),
        (SCORES, scorepage.page(scored, seeds, ranking, entries)),
        (CLAIMS, claimpage.page(shown)),
    )
    for path, new in pages:
        if not check:
            path.write_text(new, encoding="utf-8")
        elif not path.exists() or new != path.read_text(encoding="utf-8"):
            raise InputError(f"{path} differs from metrics/ and bench/: run `python src/readme.py`")


if __name__ == "__main__":
    stage.run(main)
