"""Markdown tables, as pandas writes them, and the cells that several have."""

from collections.abc import Iterable, Mapping, Sequence

import pandas as pd

ALIGNED = {"l": "left", "r": "right"}


def table(align: str, heads: Sequence[str], rows: Iterable[Sequence[object]]) -> str:
    """A table of cells as they are; `align` has a letter per column, l for words and r for numbers."""
    cells = pd.DataFrame([[str(cell) for cell in row] for row in rows], columns=list(heads))
    return cells.to_markdown(index=False, colalign=[ALIGNED[letter] for letter in align], disable_numparse=True)


def interval(found: Mapping[str, float]) -> str:
    """AUROC with its interval."""
    return f"{found['auroc']:.3f} [{found['auroc_low']:.3f}, {found['auroc_high']:.3f}]"
