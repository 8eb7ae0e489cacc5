"""Markdown tables of what `make bench` and `make quality` measured (bench/*.json, bench/results/*.json), and of image counts."""

from typing import Any

from likelihood.common import counts
from likelihood.figures.titles import model_title, set_title

FRACTIONS, RATES = (0.1, 0.4), (0.1, 0.05, 0.01)


def machine(results: dict[str, Any]) -> str:
    """The machine that results come from."""
    found = results["machine"]
    return f"{found['processor']}, {found['instructions']}, {found['threads']} threads, torch {found['torch']}"


def bench_table(runs: list[dict[str, Any]]) -> str:
    """The Markdown table of speed ratios, one column per machine."""
    names = [run["machine"]["processor"] for run in runs]
    lines = [
        *(f"- {machine(run)}; median [smallest, largest] of {run['rounds']} interleaved rounds." for run in runs),
        "",
        f"| ours | compared with | {' | '.join(names)} | |",
        f"|---|---|{'--:|' * len(runs)}---|",
    ]
    rows: dict[tuple[str, str], dict[str, Any]] = {}
    for row in (row for run in runs for row in run["rows"]):
        rows.setdefault((row["comparison"], row["peer"]), row)
    for key, row in rows.items():
        found = [next((each for each in run["rows"] if (each["comparison"], each["peer"]) == key), None) for run in runs]
        counts = "parameters {:,} and {:,}".format(*row["parameters"]) if row["parameters"] else ""
        note = "; ".join(text for text in (counts, row["note"]) if text)
        lines.append(f"| {' | '.join(key)} | {' | '.join(map(spread, found))} | {note} |")
    return "\n".join(lines)


def spread(row: dict[str, Any] | None) -> str:
    """A ratio with its spread; empty when a machine has not measured it."""
    if row is None:
        return ""
    ratio, smallest, largest = (f"{row[key]:,.{2 if row[key] < 10 else 0}f}" for key in ("ratio", "ratio_min", "ratio_max"))
    return f"{ratio} [{smallest}, {largest}]"


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
        title = "Glow of normflows 1.7.3, same shape and schedule" if name == "normflows" else model_title(name)
        for point in (points[len(points) // 2 - 1], points[-1]):
            lines.append(f"| {title} | {point['images']:,} | {point['minutes']:.2f} | {sign}{point['bits_per_dim']:.3f} |")
    return "\n".join(lines)


def growth_table(results: dict[str, Any]) -> str:
    """The Markdown table of how cost grows."""
    lines = [
        f"{machine(results)}; slopes of log cost over log size (1: proportional growth); medians of {results['rounds']} rounds.",
        "",
        "| model | cost | sizes | measured | slope |",
        "|---|---|---|---|--:|",
    ]
    for row in results["rows"]:
        sizes = ", ".join(f"{size:,}" for size in row["sizes"])
        values, unit = (row["megabytes"], "MB") if "megabytes" in row else ([1000 * value for value in row["seconds"]], "ms")
        measured = ", ".join(f"{value:,.0f}" for value in values)
        slope = round(row["slope"], 2) + 0.0  # no minus zero
        lines.append(f"| {model_title(row['model'])} | {row['cost']} | {sizes} | {measured} {unit} | {slope:.2f} |")
    return "\n".join(lines)


def cost_table(results: dict[str, Any]) -> str:
    """The Markdown table of what the trainings of a profile cost."""
    rate = f"{results['rate'] / 1e12:.0f} TFLOP/s"
    lines = [
        f"profiles/{results['profile']}.args; the last two columns measured on {machine(results)}.",
        "",
        f"| trained on | model | parameters | images | PFLOP | memory, GB | hours at {rate} | GFLOP/s here | days here |",
        "|---|---|--:|--:|--:|--:|--:|--:|--:|",
    ]
    for row in results["rows"]:
        lines.append(
            f"| {row['benchmark']} | {model_title(row['model'])} | {row['parameters']:,} | {row['images']:,}"
            f" | {row['petaflop']:.1f} | {row['gigabytes']:.2f} | {row['hours']:.2f} | {row['here_gflops']:.0f}"
            f" | {row['here_days']:.2f} |"
        )
    return "\n".join(lines)


def lossy_table(results: dict[str, Any]) -> str:
    """The Markdown table of the share of images flagged by the way they were made."""
    rates = list(results["rows"][0]["flagged"])
    found: dict[str, dict[str, dict[str, float]]] = {}
    for row in results["rows"]:
        found.setdefault(row["way"], {})[row["benchmark"]] = row["flagged"]
    names = list(next(iter(found.values())))
    heads = [f"{set_title(name)}, rate {rate}" for name in names for rate in rates]
    lines = [
        f"Share of {results['images']:,} test images that are flagged, measured by `python -m bench.lossy`:",
        "",
        f"| made as | {' | '.join(heads)} |",
        f"|---|{'--:|' * len(heads)}",
    ]
    for way, by_benchmark in found.items():
        lines.append(f"| {way} | {' | '.join(f'{by_benchmark[name][rate]:.3f}' for name in names for rate in rates)} |")
    return "\n".join(lines)


def counts_table() -> str:
    """The Markdown table of how many of a user's own pictures are needed."""
    heads = [f"`preprocess.validation_fraction` {fraction:g}" for fraction in FRACTIONS]
    lines = [f"| smallest rate | pictures needed at {' | at '.join(heads)} |", f"|---|{'--:|' * len(heads)}"]
    smallest = counts.smallest_rate(counts.calibrating(counts.LEAST))
    for rate, title in ((smallest, f"{smallest:.2f}, the fewest pictures accepted"), *((rate, f"{rate:g}") for rate in RATES)):
        needed = [counts.pictures_for(counts.images_for(counts.for_rate(rate), fraction)) for fraction in FRACTIONS]
        lines.append(f"| {title} | {' | '.join(f'{count:,}' for count in needed)} |")
    return "\n".join(lines)
