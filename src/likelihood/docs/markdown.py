"""Markdown tables, and the cells that several have."""

from collections.abc import Iterable, Mapping, Sequence

from tabulate import tabulate

ALIGNED = {"l": "left", "r": "right"}


def table(align: str, heads: Sequence[str], rows: Iterable[Sequence[object]]) -> str:
    """A table of cells as they are; `align` has a letter per column, l for words and r for numbers."""
    cells = [[str(cell) for cell in row] for row in rows]
    return tabulate(cells, heads, "pipe", colalign=[ALIGNED[letter] for letter in align], disable_numparse=True)


def interval(found: Mapping[str, float]) -> str:
    """AUROC with its interval."""
    interval = f" [{found['auroc_low']:.3f}, {found['auroc_high']:.3f}]" if "auroc_low" in found else ""
    return f"{found['auroc']:.3f}{interval}"
