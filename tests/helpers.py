"""What several test files need: two small stacks of images, the files of a folder, git."""

import subprocess
from pathlib import Path

import numpy as np

ROOT = Path(__file__).resolve().parents[1]
GREY = np.random.RandomState(0).randint(0, 256, (6, 4, 5), dtype=np.uint8)
COLOUR = np.random.RandomState(1).randint(0, 256, (6, 4, 5, 3), dtype=np.uint8)


def files(folder):
    """Paths of all files in a folder, relative to it, sorted."""
    return sorted(str(path.relative_to(folder)) for path in folder.rglob("*") if path.is_file())


def table_rows(page):
    """The cells of all rows of a page's Markdown tables, without heads."""
    lines = page.splitlines()
    found = [[cell.strip() for cell in line.strip("|").split("|")] for line in lines if line.startswith("|")]
    rules = [all(set(cell) <= set(":-") and cell for cell in row) for row in found]
    return [row for row, rule, below in zip(found, rules, [*rules[1:], False], strict=True) if not rule and not below]


def git(*arguments, cwd=ROOT):
    """What a git command prints."""
    return subprocess.run(["git", *arguments], cwd=cwd, capture_output=True, text=True, check=True).stdout


def digits(clone, name, side="in"):
    """The images of a set of a clone's benchmark mnist_5k, uint8 [N, H, W]."""
    return np.load(clone.folder / f"data/processed/mnist_5k/{side}/{name}.npy")[:, 0]
