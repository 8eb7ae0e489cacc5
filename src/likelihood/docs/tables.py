"""Markdown tables of what `make bench` and `make quality` measured (bench/*.json, bench/results/*.json), of how many pictures
are needed, of where the bits of two sets are, and of how far a PixelCNN looks: the field of view of a pixel, by gradients.

    a pixel j is in the field of view of pixel i  ⇔  ∂ features_i / ∂ x_j ≠ 0

Its weights are random there, for where a trained weight happens to be small a pixel still counts. The image is enlarged until it
holds the whole field.

A set has n_r of its pixels in region r, each of which costs b_r bits. Its difference from another one is split [1]:

    Σ_r n'_r b'_r - Σ_r n_r b_r = Σ_r (n'_r - n_r) (b'_r + b_r) / 2  +  Σ_r (n'_r + n_r) / 2 (b'_r - b_r)

into what the pixels are and what they cost.

References:
    [1] Components of a difference between two rates (Kitagawa, 1955), https://doi.org/10.1080/01621459.1955.10501299
"""

import textwrap
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pandas as pd
from tabulate import tabulate

from likelihood.common import counts, params
from likelihood.data import own
from likelihood.figures.titles import model_title, set_title
from likelihood.settings import resolve, schema

ALIGNED = {"l": "left", "r": "right"}
WIDTH = 140  # columns of prose
FRACTIONS, RATES = (0.1, 0.4), (0.1, 0.05, 0.01)
SIDE = 16  # of the first image that is tried


def markdown(align: str, heads: Sequence[str], rows: Iterable[Sequence[object]]) -> str:
    """A Markdown table of cells as they are; `align` has a letter per column, l for words and r for numbers."""
    cells = [[str(cell) for cell in row] for row in rows]
    return tabulate(cells, heads, "pipe", colalign=[ALIGNED[letter] for letter in align], disable_numparse=True)


def interval(found: Mapping[str, float]) -> str:
    """AUROC with its interval."""
    interval = f" [{found['auroc_low']:.3f}, {found['auroc_high']:.3f}]" if "auroc_low" in found else ""
    return f"{found['auroc']:.3f}{interval}"


def sign(model: str) -> str:
    """What stands before bits/dim of a model or variant: a sign where its family knows a lower bound on log p alone.

    A name begins with its family's (settings/checks.py), the longest one that fits. A family without a folder has no sign.
    """
    from likelihood.models.shared.checkpoint import model_class  # only here, as it imports PyTorch

    fitting = [family for family in schema.families() if model == family or model.startswith(f"{family}_")]
    return "≤ " if fitting and model_class(max(fitting, key=len)).lower_bound else ""


def machine(results: dict[str, Any]) -> str:
    """The machine that results come from."""
    found = results["machine"]
    return f"{found['processor']}, {found['instructions']}, {found['threads']} threads, torch {found['torch']}"


def bench_table(runs: list[dict[str, Any]]) -> str:
    """The Markdown table of speed ratios, one column per machine."""
    names = [run["machine"]["processor"] for run in runs]
    head = [f"- {machine(run)}; median [smallest, largest] of {run['rounds']} interleaved rounds." for run in runs]
    rows: dict[tuple[str, str], dict[str, Any]] = {}
    for row in (row for run in runs for row in run["rows"]):
        rows.setdefault((row["comparison"], row["peer"]), row)
    cells = []
    for key, row in rows.items():
        found = [next((each for each in run["rows"] if (each["comparison"], each["peer"]) == key), None) for run in runs]
        counts = "parameters {:,} and {:,}".format(*row["parameters"]) if row["parameters"] else ""
        note = "; ".join(text for text in (counts, row["note"]) if text)
        cells.append((*key, *map(spread, found), note))
    table = markdown(f"ll{'r' * len(runs)}l", ("ours", "compared with", *names, ""), cells)
    return "\n".join([*head, "", table])


def spread(row: dict[str, Any] | None) -> str:
    """A ratio with its spread; empty when a machine has not measured it."""
    if row is None:
        return ""
    ratio, smallest, largest = (f"{row[key]:,.{2 if row[key] < 10 else 0}f}" for key in ("ratio", "ratio_min", "ratio_max"))
    return f"{ratio} [{smallest}, {largest}]"


def quality_table(results: dict[str, Any]) -> str:
    """The Markdown table of bits/dim by minutes of training: halfway and at the end."""
    rows = []
    for name, points in results["curves"].items():
        bound = sign("glow" if name == "normflows" else name)
        title = "Glow of normflows 1.7.3, same shape and schedule" if name == "normflows" else model_title(name)
        for point in (points[len(points) // 2 - 1], points[-1]):
            rows.append((title, f"{point['images']:,}", f"{point['minutes']:.2f}", f"{bound}{point['bits_per_dim']:.3f}"))
    head = f"{machine(results)}; {results['test_images']:,} test images, one draw.\n\n"
    return head + markdown("lrrr", ("model", "images seen", "minutes", "bits/dim test"), rows) + f"\n\n{overtaken(results)}"


def overtaken(results: dict[str, Any]) -> str:
    """In which part of its minutes our Glow reaches what normflows' ends with."""
    ours, theirs = results["curves"]["glow"], results["curves"]["normflows"][-1]
    goal = theirs["bits_per_dim"]
    number = next((number for number, point in enumerate(ours) if point["bits_per_dim"] <= goal), None)
    if number is None:
        return f"Ours does not reach the last value of normflows' Glow, {goal:.3f}."
    after, before = ours[number], ours[max(0, number - 1)]
    bits, minutes = ([point[key] for point in (after, before)] for key in ("bits_per_dim", "minutes"))
    share = np.interp(goal, bits, minutes) / theirs["minutes"]
    words = "in" if number else "in less than"
    return f"Ours reaches the last value of normflows' Glow, {goal:.3f}, {words} {share:.2f} of its time."


def cores(machine: dict[str, Any]) -> str:
    """Where a run from nothing was made."""
    return f"{machine['threads']} cores ({machine['processor']}, {machine['instructions']})"


def fresh_sentence(results: dict[str, Any]) -> str:
    """What the default run costs."""
    times = " or ".join(f"{run['minutes']:.0f} minutes on {cores(run['machine'])}" for run in results["runs"])
    most = max(run["gigabytes"] for run in results["runs"])
    return textwrap.fill(
        f"The pipeline takes {times}, and {most:.1f} GB of memory. The first time, add the installation and the download of the"
        " images.",
        WIDTH,
        break_on_hyphens=False,
    )


def repeated_sentence(results: dict[str, Any]) -> str:
    """How the numbers of these runs compare with the committed ones."""
    found = []
    for run in results["runs"]:
        numbers = run["numbers"]
        others = numbers["compared"] - numbers["equal"] - numbers["far"]
        found.append(
            f"on {cores(run['machine'])} {numbers['equal']} to the last digit, {others} within what `likelihood verify` allows"
            f" between processors, and {numbers['far']} further off"
        )
    compared = results["runs"][0]["numbers"]["compared"]
    text = f"Of {compared} numbers of the default benchmark a run from nothing gave {'; '.join(found)}."
    return textwrap.fill(text, WIDTH, break_on_hyphens=False)


def hour_table(results: dict[str, Any], published: float) -> str:
    """The Markdown table of the longest training, beside a published value of the same test images."""
    draws = results["bits_per_dim"]
    heads = ("model", "parameters", "images seen", "minutes", *(f"bits/dim test, draws: {number}" for number in draws), "paper")
    row = (
        model_title("glow"),
        f"{results['parameters']:,}",
        f"{results['images']:,}",
        f"{results['curve'][-1]['minutes']:.0f}",
        *(f"≤ {bits:.3f}" for bits in draws.values()),
        f"{published:.3f}",
    )
    head = f"{machine(results)}; {results['test_images']:,} test images.\n\n"
    return head + markdown("l" + "r" * (len(heads) - 1), heads, [row])


def seeds_table(results: dict[str, Any]) -> str:
    """The Markdown table of short trainings from several seeds."""
    rows = [
        (model_title(name), len(found), f"{min(found.values()):.3f}", f"{max(found.values()):.3f}")
        for name, found in results["bits_per_dim"].items()
    ]
    seeds = ", ".join(next(iter(results["bits_per_dim"].values())))
    head = f"{machine(results)}; {results['images']:,} images; seeds {seeds}.\n\n"
    return head + markdown("lrrr", ("model", "trainings", "lowest bits/dim", "highest bits/dim"), rows)


def commands_table(results: dict[str, Any]) -> str:
    """The Markdown table of what commands cost."""
    named = (command.partition(", ") for command in results["seconds"])
    titles = [f"`{command}`{comma}{what}" for command, comma, what in named]
    rows = zip(titles, (f"{seconds:.2g}" for seconds in results["seconds"].values()), strict=True)
    head = f"{machine(results)}; medians of {results['rounds']} calls.\n\n"
    return head + markdown("lr", ("command", "CPU seconds"), list(rows))


def growth_table(results: dict[str, Any]) -> str:
    """The Markdown table of how cost grows."""
    cells = []
    for row in results["rows"]:
        sizes = ", ".join(f"{size:,}" for size in row["sizes"])
        values, unit = (row["megabytes"], "MB") if "megabytes" in row else ([1000 * value for value in row["seconds"]], "ms")
        measured = ", ".join(f"{value:,.0f}" for value in values)
        slope = round(row["slope"], 2) + 0.0  # no minus zero
        cells.append((model_title(row["model"]), row["cost"], sizes, f"{measured} {unit}", f"{slope:.2f}"))
    meaning = f"slopes of log cost over log size (1: proportional growth); medians of {results['rounds']} rounds"
    return f"{machine(results)}; {meaning}.\n\n" + markdown("llllr", ("model", "cost", "sizes", "measured", "slope"), cells)


def detecting_table(results: dict[str, Any]) -> str:
    """The Markdown table of what `likelihood detect` costs."""
    ratio, least, greatest = results["ratio"]
    rows = [
        ("seconds to the first verdict, one picture", f"{results['first_seconds']:.1f}"),
        ("memory then", f"{results['first_megabytes']:,} MB"),
        ("of which the import of PyTorch takes alone", f"{results['torch_megabytes']:,} MB"),
        (f"pictures per second, of {results['files']:,}", f"{results['pictures_per_second']:,}"),
        ("their speed over that of models and codecs alone", f"{ratio:.2f} [{least:.2f}, {greatest:.2f}]"),
        *((f"memory, {int(count):,} pictures", f"{value:,} MB") for count, value in results["megabytes"].items()),
    ]
    head = f"{machine(results)}; medians of {results['rounds']} calls.\n\n"
    return head + markdown("lr", ("`likelihood detect` of 28×28 PNG, three models", ""), rows)


def memory_table(results: dict[str, Any]) -> str:
    """The Markdown table of what `likelihood detect` needs of memory."""
    rows = []
    for version, found in results["builds"].items():
        rows += [
            (f"one picture, PyTorch {version}", f"{found['first']:,} MB"),
            ("of which the import of PyTorch takes alone", f"{found['importing']:,} MB"),
        ]
    first = next(iter(results["builds"]))
    for count, value in results["reported"].items():
        rows.append((f"{int(count):,} pictures with `--report` and `--maps`, PyTorch {first}", f"{value:,} MB"))
    return f"{machine(results)}.\n\n" + markdown("lr", ("`likelihood detect` of 28×28 PNG, three models", "memory"), rows)


def cost_table(results: dict[str, Any]) -> str:
    """The Markdown table of what the trainings of a profile cost."""
    hours = f"hours at {results['rate'] / 1e12:.0f} TFLOP/s"
    heads = ("trained on", "model", "parameters", "images", "PFLOP", "memory, GB", hours, "GFLOP/s here", "days here")
    rows = [
        (
            row["benchmark"],
            model_title(row["model"]),
            f"{row['parameters']:,}",
            f"{row['images']:,}",
            f"{row['petaflop']:.1f}",
            f"{row['gigabytes']:.2f}",
            f"{row['hours']:.2f}",
            f"{row['here_gflops']:.0f}",
            f"{row['here_days']:.2f}",
        )
        for row in results["rows"]
    ]
    head = f"profiles/{results['profile']}.args; the last two columns measured on {machine(results)}.\n\n"
    return head + markdown("llrrrrrrr", heads, rows)


def lossy_table(results: dict[str, Any]) -> str:
    """The Markdown table of the share of images flagged by the way they were made."""
    rates = list(results["rows"][0]["flagged"])
    found: dict[str, dict[str, dict[str, float]]] = {}
    for row in results["rows"]:
        found.setdefault(row["way"], {})[row["benchmark"]] = row["flagged"]
    names = list(next(iter(found.values())))
    heads = [f"{set_title(name)}, rate {rate}" for name in names for rate in rates]
    rows = [
        (way, *(f"{by_benchmark[name][rate]:.3f}" for name in names for rate in rates)) for way, by_benchmark in found.items()
    ]
    head = f"Share of {results['images']:,} test images that are flagged, measured by `python -m bench.lossy`:\n\n"
    return head + markdown("l" + "r" * len(heads), ("made as", *heads), rows)


def counts_table() -> str:
    """The Markdown table of how many of a user's own pictures are needed."""
    heads = [f"pictures needed at `preprocess.validation_fraction` {fraction:g}" for fraction in FRACTIONS]
    rows = []
    least = counts.rounded_up(counts.smallest_rate(counts.calibrating(counts.LEAST)))
    for rate, title in ((least, f"{least:g}, the fewest pictures accepted"), *((rate, f"{rate:g}") for rate in RATES)):
        needed = [counts.pictures_for(counts.images_for(counts.for_rate(rate), fraction)) for fraction in FRACTIONS]
        rows.append((title, *(f"{count:,}" for count in needed)))
    return markdown("l" + "r" * len(heads), ("smallest rate", *heads), rows)


class Field(NamedTuple):
    """How many pixels it reaches in each direction."""

    above: int
    left: int
    right: int


def field_of_view(colors: int, architecture: dict[str, Any], side: int = SIDE) -> Field:
    """The field of view of a PixelCNN of images of `colors` channels."""
    import torch  # only here: other tables need none

    from likelihood.models.pixelcnn.model import PixelCNN

    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        model = PixelCNN((colors, side, 2 * side + 1), **architecture)
    x = torch.full((1, side, 2 * side + 1, colors), 100.0, requires_grad=True)
    model.features(x)[0, side - 1, side].sum().backward()
    rows, columns = x.grad[0].abs().sum(dim=-1).nonzero().T
    found = Field(side - 1 - int(rows.min()), side - int(columns.min()), int(columns.max()) - side)
    return found if max(found) < side - 1 else field_of_view(colors, architecture, 2 * side)


def field_table(values: dict[str, Any], benchmarks: list[str]) -> str:
    """One row per PixelCNN and image size of the given benchmarks; `values` are all of params.yaml."""
    variants = [name for name, variant in values["variants"].items() if variant["family"] == "pixelcnn"]
    found: dict[tuple[int, int, int], dict[str, Any]] = {}  # architectures by channels, layers and dilation
    for benchmark in benchmarks:
        shape = own.find(params.of_benchmark(values, benchmark)["in"], values["own"], Path()).shape
        for name in ("pixelcnn", *variants):
            architecture = resolve.training(values, benchmark, name)["architecture"]
            found.setdefault((3 if len(shape) == 3 else 1, architecture["layers"], architecture["dilation"]), architecture)
    rows = [
        ("colour" if colors == 3 else "grey", layers, dilation, *field_of_view(colors, architecture))
        for (colors, layers, dilation), architecture in sorted(found.items())
    ]
    return markdown("lrrrrr", ("images", "layers", "dilation", "rows above", "columns to the left", "to the right"), rows)


def split(inside: pd.DataFrame, outside: pd.DataFrame) -> tuple[float, float]:
    """How much of the difference in bits per pixel is from what the pixels are, and how much from what they cost.

    Arguments:
        inside, outside: columns pixels and bits_per_pixel of the same regions. Where a set has none of a region, the other's cost
            stands for it.
    """
    n, m = inside["pixels"].to_numpy(), outside["pixels"].to_numpy()
    b = inside["bits_per_pixel"].fillna(outside["bits_per_pixel"]).fillna(0.0).to_numpy()
    c = outside["bits_per_pixel"].fillna(inside["bits_per_pixel"]).fillna(0.0).to_numpy()
    return float(((m - n) * (b + c)).sum() / 2), float(((m + n) * (c - b)).sum() / 2)


def samples_table(parts: list[tuple[str, pd.DataFrame]]) -> str:
    """The Markdown table of the models' own samples beside test images and out-sets.

    Arguments:
        parts: in-set and metrics/scores/<benchmark>/samples/samples.csv of each benchmark.
    """
    heads = ("trained on", "model", "bits/dim test", "its samples", "out-set", "bits/dim out-set")
    rows = []
    for in_name, table in parts:
        for model, found in table.groupby("model", sort=False):
            of_set = found.set_index("set")
            for out in (name for name in of_set.index if name not in ("test", "samples")):
                values = [f"{of_set.loc[name, 'value']:.3f}" for name in ("test", "samples", out)]
                auroc = (of_set.loc["samples", "auroc_test"], of_set.loc[out, "auroc_samples"])
                titles = (set_title(in_name), model_title(model), *values[:2], set_title(out), values[2])
                rows.append((*titles, *(f"{value:.3f}" for value in auroc)))
    areas = ("AUROC of −log p: samples against test", "out-set against samples")
    return markdown("llrrlrrr", (*heads, *areas), rows)


def maps_table(pairs: list[tuple[str, str, pd.DataFrame]]) -> str:
    """The Markdown table of where the bits of two sets are.

    Arguments:
        pairs: in-set, out-set and metrics/<benchmark>/maps.csv of each.
    """
    regions = list(dict.fromkeys(region for _, _, table in pairs for region in table["region"]))
    heads = (
        "trained on → out-set",
        "model",
        *(f"{region}, % of pixels" for region in regions),
        *(f"{region}, bits per pixel" for region in regions),
        "difference, bits per pixel",
        "by what the pixels are",
        "by what they cost",
    )
    rows = []
    for in_name, out, table in pairs:
        for model, found in table.groupby("model", sort=False):
            inside, outside = (
                found[found["set"] == name].set_index("region")[["pixels", "bits_per_pixel"]].loc[regions]
                for name in ("test", out)
            )
            shares = [f"{100 * one:.0f} → {100 * two:.0f}" for one, two in zip(inside["pixels"], outside["pixels"], strict=True)]
            costs = zip(inside["bits_per_pixel"], outside["bits_per_pixel"], strict=True)
            kinds, cost = split(inside, outside)
            parts = [f"{value:+.2f}" for value in (kinds + cost, kinds, cost)]
            title = f"{set_title(in_name)} → {set_title(out)}"
            rows.append((title, model_title(model), *shares, *(f"{one:.2f} → {two:.2f}" for one, two in costs), *parts))
    return markdown("ll" + "r" * (len(heads) - 2), heads, rows)
