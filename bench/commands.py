"""What DVC's commands and our own cost whoever types them: CPU seconds, user and system, median of ROUNDS, in a fresh clone.

The clone has the committed results of the default benchmark, as `dvc pull` and `dvc repro` leave them, and some experiments.
Needs git's committed tree alone. Run it as `python -m bench.commands`; nothing else should run beside it.
"""

import os
import resource
import statistics
import subprocess
import sys
import tempfile
from pathlib import Path

from bench.machine import ROOT, store

ROUNDS, EXPERIMENTS = 5, 5
COMMANDS = {
    "dvc repro, nothing to do": ["dvc", "repro"],
    "dvc status": ["dvc", "status"],
    "dvc metrics diff": ["dvc", "metrics", "diff"],
    "dvc exp show, five experiments": ["dvc", "exp", "show"],
    "dvc plots show": ["dvc", "plots", "show"],
    "likelihood --help": ["likelihood.cli", "--help"],
    "likelihood detect --help": ["likelihood.cli", "detect", "--help"],
}
DRAWN = "dvc exp run -S plot.bins=81, which draws the figures"


def run(words: list[str], folder: Path) -> float:
    """CPU seconds of a command of this Python. Raises CalledProcessError where it fails."""
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    environment = {**os.environ, "PATH": f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"}
    subprocess.run([sys.executable, "-m", *words], cwd=folder, env=environment, check=True, stdout=subprocess.DEVNULL)
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    return after.ru_utime - before.ru_utime + after.ru_stime - before.ru_stime


def main() -> None:
    with tempfile.TemporaryDirectory() as name:
        clone = Path(name) / "clone"
        subprocess.run(["git", "clone", "-q", str(ROOT), str(clone)], check=True)
        for words in (["dvc", "pull"], ["dvc", "repro"]):
            run(words, clone)
        drawn = [run(["dvc", "exp", "run", "-S", f"plot.bins={81 + number}"], clone) for number in range(EXPERIMENTS)]
        subprocess.run(["git", "checkout", "-q", "--", "."], cwd=clone, check=True)
        run(["dvc", "repro"], clone)  # the figures of the committed parameters again
        for words in COMMANDS.values():
            run(words, clone)  # warms up: DVC keeps what it has parsed of an experiment
        taken: dict[str, list[float]] = {**{command: [] for command in COMMANDS}, DRAWN: drawn}
        for _ in range(ROUNDS):
            for command, words in COMMANDS.items():
                taken[command].append(run(words, clone))
    result = {command: round(statistics.median(found), 2) for command, found in taken.items()}
    print(result)
    store("commands", {"rounds": ROUNDS, "seconds": result})


if __name__ == "__main__":
    main()
