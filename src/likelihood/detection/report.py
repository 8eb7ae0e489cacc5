"""`likelihood detect --report`: a page that shows the most outlying images first, each with a map of where its bits are.

One file that needs no network. It has at most MOST images and about BYTES of them, those with the smallest p, whatever the number
that was judged; so the memory that it takes does not grow either. Counts and the histogram of p are of all images.
"""

import base64
import heapq
import io
import itertools
import math
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from PIL import Image

from likelihood.common.errors import InputError
from likelihood.common.units import Unit
from likelihood.detection.decisions import Decision
from likelihood.detection.verdicts import Batch, Whole, picture
from likelihood.figures.titles import AXIS, BLIND, model_title, set_title

PAGE = Path(__file__).parent / "report_page"
LIBRARIES = Path(__file__).parents[1] / "docs" / "page"  # Vega
MOST, BYTES = 2000, 30_000_000
BINS = 20  # of the histogram of p
EDGES = np.linspace(0.0, 1.0, BINS + 1)
EXACT = "pixelcnn"  # whose map is shown first


class Kept(NamedTuple):
    """An image of the page; the order of these is that of how outlying they are, least first."""

    rank: tuple[float, float, int]  # minus p; of equal ones the score; minus the number
    entry: dict[str, Any]
    size: int


def encoded(image: Image.Image) -> str:
    """A picture as the end of a data URL of PNG."""
    file = io.BytesIO()
    image.save(file, format="PNG", optimize=True)
    return base64.b64encode(file.getvalue()).decode("ascii")


def finite(value: float) -> float | None:
    """A number as the page has it; JSON has none that is not finite."""
    return round(float(value), 3) if math.isfinite(value) else None


class Report(Whole):
    """The page."""

    suffixes = (".html",)

    def __init__(self, path: Path) -> None:
        super().__init__(path)
        self.kept: list[Kept] = []
        self.size, self.counter = 0, itertools.count()
        self.histogram = np.zeros(BINS, np.int64)
        self.flagged = self.images = 0
        self.score = ""
        self.described: dict[str, Any] = {}
        self.units: dict[str, Unit] = {}  # by model
        self.colour = False

    def add(self, batch: Batch) -> None:
        """Count all images of a batch and keep the most outlying."""
        from jinja2.utils import htmlsafe_json_dumps

        from likelihood.scores.complexity import pixels_of

        table = batch.table
        p = batch.p()
        self.score, self.images, self.flagged = batch.score, self.images + len(p), self.flagged + int(table["flagged"].sum())
        # A p at an edge belongs to the left, as one that equals the rate is flagged.
        self.histogram += np.bincount(np.searchsorted(EDGES, p, side="left") - 1, minlength=BINS)
        self.units, self.colour = batch.units(), batch.pixels.shape[1] > 1
        ranks = [(-float(one), float(score), -next(self.counter)) for one, score in zip(p, table[batch.score], strict=True)]
        rows = np.array([row for row, rank in enumerate(ranks) if not self.full() or rank > self.kept[0].rank], dtype=int)
        if not len(rows):
            return
        maps = batch.maps(rows)
        for number, row in enumerate(rows):
            image, found = batch.pixels[row], table.iloc[row]
            entry = {
                "name": found["image"],
                "flagged": bool(found["flagged"]),
                "p": round(float(p[row]), 5),
                **({"group": int(found["group"]), "group_p": round(float(found["group_p"]), 5)} if "group" in table else {}),
                "bits": {model: finite(found[f"{model}.{unit}"]) for model, unit in self.units.items()},
                "image": encoded(Image.fromarray(pixels_of(image))),
                "maps": {model: encoded(picture(each[number], len(image), self.units[model])) for model, each in maps.items()},
            }
            size = len(htmlsafe_json_dumps(entry))  # as the page has it
            heapq.heappush(self.kept, Kept(ranks[row], entry, size))
            self.size += size
            while len(self.kept) > MOST or (self.size > BYTES and len(self.kept) > 1):
                self.size -= heapq.heappop(self.kept).size

    def full(self) -> bool:
        """Whether a further image takes the place of another."""
        return len(self.kept) >= MOST or self.size > 0.9 * BYTES

    def describe(self, trained_on: str, decision: Decision, skipped: list[str], warnings: list[str]) -> None:
        """What else the page says. Raises InputError where no image could be read.

        Arguments:
            trained_on: name of the in-set.
            decision: by which images were flagged.
            skipped: why files were skipped, of each.
            warnings: what makes the verdicts doubtful.
        """
        if not self.images:
            raise InputError(f"none of the files is an image that can be read: there is nothing to report ({skipped[0]})")
        self.decision = decision
        self.described = {"trained_on": set_title(trained_on), "skipped": skipped, "warnings": warnings}

    def end(self) -> None:
        """Write the page."""
        import jinja2

        loader = jinja2.FileSystemLoader([PAGE, LIBRARIES])
        environment = jinja2.Environment(loader=loader, autoescape=True, undefined=jinja2.StrictUndefined)
        environment.policies["json.dumps_kwargs"] = {}  # keys in their order
        environment.globals["source"] = lambda name: loader.get_source(environment, name)[0]
        entries = [kept.entry for kept in sorted(self.kept, reverse=True)]
        folders = {entry["name"].rpartition("/")[0] for entry in entries}
        folder = next(iter(folders)) if len(folders) == 1 else ""  # that all are in: it need not be said of each
        bins = [{"from": EDGES[k].round(4), "to": EDGES[k + 1].round(4), "images": int(n)} for k, n in enumerate(self.histogram)]
        models = {
            model: {"title": model_title(model), "unit": AXIS[unit], "blind": BLIND[unit]} for model, unit in self.units.items()
        }
        page = environment.get_template("report.html").render(
            data={"images": entries, "bins": bins, "limit": self.decision.limit, "folder": folder and f"{folder}/"},
            models=models,
            first=EXACT if EXACT in models else next(iter(models)),
            score=self.score,
            flagged=self.flagged,
            images=self.images,
            listed=len(entries),
            subject=self.decision.subject,
            meaning=self.decision.meaning,
            colour=self.colour,
            **self.described,
        )
        self.file.write(page)
