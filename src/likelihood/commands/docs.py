"""`likelihood docs`: write docs/{results,scores,claims}.md, tables of README.md and other pages, the page of `dvc plots show`.

With --check nothing is written; the exit status says whether the pages are up to date. Run it after `dvc repro`, `make bench`,
`make quality` or `make hour`, before committing.
"""

import argparse
import json
import re
from pathlib import Path
from typing import Any

import pandas as pd
import yaml

from likelihood.commands import entries
from likelihood.common import stage
from likelihood.common.errors import InputError
from likelihood.common.units import Unit
from likelihood.data import base as data
from likelihood.docs import claims as claimpage
from likelihood.docs import scores as scorepage
from likelihood.docs import tables
from likelihood.docs.claims import Results
from likelihood.figures.titles import AXIS, row_title, set_title
from likelihood.settings import checks

README = Path("README.md")
DOCS, BENCH = Path("docs"), Path("bench")
PAGE = Path("src/likelihood/docs/page")
MADE = [name for name in data.names() if not data.natural(name)]
# Bits/dim of test and out-set under the Glow of Nalisnick et al. (2019), https://arxiv.org/abs/1810.09136, figure 2, by our names
# of the pair; the paper uses the full sets.
COLOUR = (3.464, 2.389)
PAPER = {("fashion_mnist", "mnist"): (2.958, 1.833), ("cifar10_30k", "svhn_10k"): COLOUR, ("cifar10", "svhn"): COLOUR}


def table(entry: dict[str, Any], summary: dict[str, Any]) -> str:
    """The Markdown table of one benchmark."""
    images = summary["images"]
    heads = ("score", "out-set", "N", "bits/dim train", "bits/dim test", "bits/dim out-set", "AUROC [95 %]", "AUPRC", "FPR95")
    rows = []
    for row, unit, means, form in model_rows(summary):
        for out in (out for out in entry["out"] if out in summary[row]):  # a variant may not have met a new one yet
            likelihoods = [form.format(means[name]) for name in ("train", "test", out)]
            title = f"−log p, {row_title(row, unit)}"
            found = summary[row][out]
            areas = (tables.interval(found), f"{found['auprc']:.3f}", f"{found['fpr95']:.3f}")
            rows.append((title, set_title(out), f"{images[out]:,}", *likelihoods, *areas))
    head = f"Trained on {set_title(entry['in'])}; {images['train']:,} train and {images['test']:,} test images scored.\n\n"
    return head + tables.markdown("llrrrrrrr", heads, rows)


def model_rows(summary: dict[str, Any]) -> list[tuple[str, Unit, dict[str, float], str]]:
    """For each model of a benchmark: row name, unit, mean likelihoods by set, the format of a mean."""
    rows = []
    for row in (row for row in summary if row != "images"):
        unit = next(unit for unit in AXIS if unit in summary[row])
        rows.append((row, unit, summary[row][unit], f"{tables.sign(row)}{{:.3f}}"))
    return rows


def overview(results: dict[str, tuple[dict[str, Any], dict[str, Any]]]) -> str:
    """The Markdown table of every benchmark's natural out-sets, from (params.yaml entry, metrics) by benchmark."""
    bits = ("bits/dim train", "bits/dim test", "bits/dim out-set")
    rows = []
    shown: dict[tuple[str, str], dict[str, Any]] = {}  # the first benchmark that has a pair
    for entry, summary in results.values():
        for out in (out for out in entry["out"] if out not in MADE):
            first = shown.setdefault((entry["in"], out), entry)
            for row, unit, means, form in model_rows(summary):
                model = row.removesuffix("_binarised")
                own, theirs = entry.get(model, {}), first.get(model, {})
                changed = {key: own.get(key, "as usual") for key in {**own, **theirs} if own.get(key) != theirs.get(key)}
                if entry is not first and not changed:  # the same model, shown above
                    continue
                likelihoods = [form.format(means[name]) for name in ("train", "test", out)]
                found, paper = summary[row][out], PAPER.get((entry["in"], out)) if row == "glow" and not changed else None
                title = row_title(row, unit)
                title += "".join(f", {key} {value}" for key, value in changed.items())
                published = "{:.3f} / {:.3f}".format(*paper) if paper else ""
                titles = (set_title(entry["in"]), set_title(out), title)
                rows.append((*titles, f"{summary['images'][out]:,}", *likelihoods, tables.interval(found), published))
    return tables.markdown("lllrrrrrr", ("trained on", "out-set", "−log p of", "N", *bits, "AUROC [95 %]", "paper"), rows)


def rewritten(path: Path, blocks: dict[str, str]) -> str:
    """A page's text with the part between each block's two markers replaced."""
    text = path.read_text(encoding="utf-8")
    for name, block in blocks.items():
        text = _replaced(text, name, block, path)
    return text


def _replaced(text: str, name: str, block: str, path: Path) -> str:
    start, end = f"<!-- {name}:start -->", f"<!-- {name}:end -->"
    if text.count(start) != 1 or text.count(end) != 1:
        raise InputError(f"{path} must contain {start} and {end} once each")
    head, rest = text.split(start)
    return f"{head}{start}\n{block}\n{end}{rest.split(end)[1]}"


def measured(name: str) -> dict[str, Any]:
    """The contents of bench/<name>.json."""
    return contents(BENCH / f"{name}.json", "`make bench`")


def contents(path: Path, command: str) -> dict[str, Any]:
    """What a file of JSON holds; InputError, naming the command that writes it, where it is missing."""
    try:
        return json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise InputError(f"{path} is not here: run {command}, or `git checkout` to get it back") from None
    except json.JSONDecodeError as error:
        raise InputError(f"{path} is no JSON ({error}): run {command}, or `git checkout` to get it back") from None


def committed(values: dict[str, Any]) -> dict[str, tuple[dict[str, Any], dict[str, Any]]]:
    """Entry of params.yaml and metrics of every benchmark that has metrics, in the order of params.yaml."""
    results = {}
    for benchmark, entry in values["benchmarks"].items():
        path = Path("metrics") / benchmark / "ood" / "metrics.json"
        if path.exists():
            results[benchmark] = (entry, json.loads(path.read_text(encoding="utf-8")))
            if new := [out for out in entry["out"] if out not in results[benchmark][1]["images"]]:
                raise InputError(f"{path} has no results of {', '.join(new)}, which params.yaml names: run `dvc repro`")
        elif benchmark in values["run"]:
            raise InputError(f"{path} is not here: run `dvc repro`")
    return results


def variants(values: dict[str, Any]) -> dict[str, dict[str, Any]]:
    """Metrics of every variant that has some, as one summary of rows per benchmark."""
    found: dict[str, dict[str, Any]] = {}
    for benchmark in values["benchmarks"]:
        for path in sorted((Path("metrics") / benchmark / "variants").glob("*.json")):
            found.setdefault(benchmark, {}).update(json.loads(path.read_text(encoding="utf-8")))
    return found


def ranked(values: dict[str, Any]) -> pd.DataFrame:
    """The table of all scores; InputError where it is missing, or older than params.yaml."""
    path = Path("metrics/scores.csv")
    if not path.exists():
        raise InputError(f"{path} is not here: run `dvc repro`")
    table = pd.read_csv(path)
    if old := [name for name in table["benchmark"].unique() if name not in values["benchmarks"]]:
        raise InputError(f"{path} has results of {', '.join(old)}, which params.yaml no longer defines: run `dvc repro`")
    return table


def timed(table: pd.DataFrame) -> pd.DataFrame:
    """The table of scores with `seconds` per 1,000 images, where the benchmark of speed has measured it."""
    keys = ["benchmark", "model", "score"]
    costs = pd.DataFrame(measured("scores")["rows"], columns=[*keys, "seconds"])
    return table.merge(costs, on=keys, how="left")


def page(results: dict[str, tuple[dict[str, Any], dict[str, Any]]], of_variants: dict[str, dict[str, Any]]) -> str:
    """docs/results.md: one table per benchmark, with its variants; of several seeds, means over seeds."""
    parts = "\n\n".join(
        f"## {name}\n\n{table(entry, {**summary, **of_variants.get(name, {}), 'images': summary['images']})}"
        for name, (entry, summary) in results.items()
    )
    return f"""# Results

−log p as a score on every benchmark and out-set; [science.md](science.md#how-it-is-measured) explains the columns. Better scores
are in [scores.md](scores.md). Rows of variants of several seeds are means over these, without the model above. Written by
`likelihood docs` from `metrics/`.

## Every pair of sets of pictures

{overview(results)}

{parts}
"""


def mapped(shown: Results) -> list[tuple[str, str, pd.DataFrame]]:
    """In-set, out-set and maps of every pair that the claims are about, either way round, whose benchmark has maps."""
    found = []
    for swapped in (False, True):
        for name, out in shown.pairs(swapped):
            path = Path("metrics") / name / "maps.csv"
            if path.exists():
                found.append((shown.entries[name]["in"], out, pd.read_csv(path)))
    return found


def of_samples(entries: dict[str, Any]) -> list[tuple[str, pd.DataFrame]]:
    """In-set and the table of the models' own samples, of every benchmark that has one."""
    paths = {name: Path("metrics/scores") / name / "samples" / "samples.csv" for name in entries}
    return [(entries[name]["in"], pd.read_csv(path)) for name, path in paths.items() if path.exists()]


def plots_page() -> str:
    """The page of `dvc plots show`: page.html with the files that it names, and the benchmarks that are always shown."""
    text = (PAGE / "page.html").read_text(encoding="utf-8")
    text = re.sub(r"\[\[([\w.-]+)\]\]\n", lambda part: (PAGE / part[1]).read_text(encoding="utf-8"), text)
    shown = yaml.safe_load(Path("dvc.yaml").read_text(encoding="utf-8"))["plots"]
    figures = (entry.split("/") for entry in shown if isinstance(entry, str) and "/figures" in entry)
    return text.replace("[[always]]", "|".join(benchmark for _, benchmark, *_ in figures))


def pages() -> dict[Path, str]:
    """The text of every page, by its path."""
    values = checks.load()
    results, of_variants = committed(values), variants(values)
    scored = timed(ranked(values))
    ranking = contents(Path("metrics/ranking.json"), "`dvc repro rank`")
    seeds, entries = scorepage.over_seeds(Path("metrics/scores")), values["benchmarks"]
    bits = scorepage.over_seeds(Path("metrics/scores"), "likelihoods")
    summaries = {name: summary for name, (_, summary) in results.items()}
    shown = Results(entries, values["claims"]["pairs"], summaries, of_variants, Path("metrics/scores"), seeds, scored)
    headline: dict[str, tuple[dict[str, Any], dict[str, Any]]] = {}
    for name, out in (*shown.pairs(), *shown.pairs(swapped=True)):
        entry, summary = headline.get(name, ({**entries[name], "out": []}, summaries[name]))
        headline[name] = ({**entry, "out": [*entry["out"], out]}, summary)
    runs = [measured(f"results/{path.stem}") for path in sorted((BENCH / "results").glob("*.json"))]
    blocks = {
        README: {
            "bench_fresh": tables.fresh_sentence(measured("fresh")),
            "results": overview(headline),
            "scores": scorepage.ranked(scored, ranking, entries, scorepage.SHOWN),
        },
        DOCS / "science.md": {
            "samples": tables.samples_table(of_samples(entries)),
            "maps": tables.maps_table(mapped(shown)),
            "close": scorepage.close_table(scored, entries, MADE),
            "claims": claimpage.overview(shown, "claims.md"),
            "seeds": scorepage.ensembles(scored, seeds, bits, entries, MADE),
        },
        DOCS / "speed.md": {
            "bench_results": tables.bench_table(runs),
            "bench_quality": tables.quality_table(measured("quality")),
            "bench_hour": tables.hour_table(measured("hour"), PAPER["fashion_mnist", "mnist"][0]),
            "bench_seeds": tables.seeds_table(measured("seeds")),
            "bench_commands": tables.commands_table(measured("commands")),
            "bench_growth": tables.growth_table(measured("growth")),
            "bench_detecting": tables.detecting_table(measured("detecting")),
            "bench_memory": tables.memory_table(measured("memory")),
        },
        DOCS / "pipeline.md": {
            "field": tables.field_table(values, list(results)),
            "bench_repeated": tables.repeated_sentence(measured("fresh")),
        },
        DOCS / "scale.md": {"bench_cost": tables.cost_table(measured("cost"))},
        DOCS / "detect.md": {"lossy": tables.lossy_table(measured("lossy")), "counts": tables.counts_table()},
    }
    return {
        **{path: rewritten(path, found) for path, found in blocks.items()},
        Path(".dvc/plots/page.html"): plots_page(),
        DOCS / "results.md": page(results, of_variants),
        DOCS / "scores.md": scorepage.page(scored, seeds, ranking, entries, measured("scores")),
        DOCS / "claims.md": claimpage.page(shown),
    }


def run(arguments: argparse.Namespace) -> int:
    """Write the pages, or say whether they are up to date; the exit status."""
    if not arguments.check:
        with entries.alone():
            for path, new in pages().items():
                entries.put(path, new.encode())
        return 0
    old = [path for path, new in pages().items() if not path.exists() or new != path.read_text(encoding="utf-8")]
    for path in old:
        stage.say(f"{path} does not match metrics/ and bench/: run `likelihood docs`")
    return int(bool(old))
