"""Write README's tables from metrics/ and bench/*.json, or with --check say whether they stand there as they should.

Run it after `dvc repro`, `make bench` or `make quality`, before committing: `python src/readme.py`.
"""

import argparse
import json
from pathlib import Path
from typing import Any

import params
import stage
from likelihood.errors import InputError
from likelihood.figures import AXIS, TITLES, set_title

README = Path("README.md")
BENCH = Path("bench")
BASELINES = {"png_size": "PNG size (no model)", "pixel_variance": "pixel variance (no model)", "mean": "mean (no model)"}
BOUNDS = ("vae", "vae_binarised", "glow")  # log_prob is a lower bound, so bits/dim an upper one


def cells(found: dict[str, float]) -> str:
    """AUROC with its interval, AUPRC, FPR95."""
    return (
        f"{found['auroc']:.3f} [{found['auroc_low']:.3f}, {found['auroc_high']:.3f}]"
        f" | {found['auprc']:.3f} | {found['fpr95']:.3f}"
    )


def table(benchmark: str, entry: dict[str, Any], summary: dict[str, Any]) -> str:
    """The Markdown table of one benchmark."""
    images = summary["images"]
    lines = [
        f"Trained on {set_title(entry['in'])}; {images['train']:,} train and {images['test']:,} test images scored.",
        "",
        "| score | out-set | N | bits/dim train | bits/dim test | bits/dim out-set | AUROC [95 %] | AUPRC | FPR95 |",
        "|---|---|--:|--:|--:|--:|--:|--:|--:|",
    ]
    for row in (row for row in summary if row not in ("baseline", "images")):
        unit = next(unit for unit in AXIS if unit in summary[row])
        means, sign, digits = summary[row][unit], "≤ " if row in BOUNDS else "", 3 if unit == "bits_per_dim" else 1
        for out in entry["out"]:
            likelihoods = " | ".join(f"{sign}{means[name]:.{digits}f}" for name in ("train", "test", out))
            title = f"−log p, {TITLES[row]}" + ("" if unit == "bits_per_dim" else " (nats)")
            lines.append(f"| {title} | {set_title(out)} | {images[out]:,} | {likelihoods} | {cells(summary[row][out])} |")
    for name, title in BASELINES.items():
        for out in entry["out"]:
            found = summary["baseline"][name][out]
            lines.append(f"| {title} | {set_title(out)} | {images[out]:,} | – | – | – | {cells(found)} |")
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


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--check", action="store_true", help="change nothing; fail when README differs")
    check = parser.parse_args().check
    values = params.load()
    tables = []
    for benchmark in values["run"]:
        path = Path("metrics") / benchmark / "ood" / "metrics.json"
        if not path.exists():
            raise InputError(f"{path} is not here: run `dvc repro`")
        summary = json.loads(path.read_text(encoding="utf-8"))
        tables.append(table(benchmark, values["benchmarks"][benchmark], summary))
    text = README.read_text(encoding="utf-8")
    new = rewritten(text, "results", "\n\n".join(tables))
    for name, written in MEASURED.items():
        new = rewritten(new, f"bench_{name}", written(json.loads((BENCH / f"{name}.json").read_text(encoding="utf-8"))))
    if check and new != text:
        raise InputError("README's tables differ from metrics/ and bench/: run `python src/readme.py`")
    if not check:
        README.write_text(new, encoding="utf-8")


if __name__ == "__main__":
    stage.run(main)
