"""What `likelihood detect` costs who calls it: seconds to the first verdict, verdicts per second, memory, by number of pictures.

    first        seconds from the start of the command, with one picture, to its line
    throughput   seconds of scoring and coding images in one process, over those in which the command judges as many, which
                 decode the pictures too: 1 is as fast as the models allow. Its clock starts with the first lines, which it
                 writes when it has judged a first batch
    memory       the most that the command ever had

The detector is an exported file of Fashion-MNIST, the pictures are test images as PNG. All figures are medians of ROUNDS calls
but memory by number of pictures, which is that of one. Needs `dvc pull` and the processed images: `dvc repro preprocess`.
"""

import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np
from PIL import Image

from bench.machine import store
from likelihood.common import images
from likelihood.detection import detector
from likelihood.detection.detector import Detector
from likelihood.scores import complexity

BENCHMARK = "fashion_mnist"
ROUNDS, FILES, COUNTS = 5, 4000, (1000, 20_000)
# Runs a command and writes its peak of memory in KB. Small, for Linux counts what a process had before it became another.
WATCHED = """
import os, subprocess, sys
process = subprocess.Popen(sys.argv[2:])
_, status, usage = os.wait4(process.pid, 0)
open(sys.argv[1], "w").write(str(usage.ru_maxrss))
sys.exit(os.waitstatus_to_exitcode(status))
"""


def importing_torch(python: str = sys.executable) -> float:
    """MB that a Python has when it has imported PyTorch."""
    with tempfile.NamedTemporaryFile("r", encoding="utf-8") as peak:
        subprocess.run([sys.executable, "-c", WATCHED, peak.name, python, "-c", "import torch"], check=True)
        return int(peak.read()) / 1024.0


def called(file: Path, pictures: Path, *options: str, python: str = sys.executable) -> tuple[float, float, float]:
    """Seconds to the first line and to the end of one call, and MB at most."""
    with tempfile.NamedTemporaryFile("r", encoding="utf-8") as peak, tempfile.TemporaryFile("w+", encoding="utf-8") as said:
        command = [python, "-m", "likelihood.cli", "detect", "--detector", str(file), str(pictures), *options]
        start = time.perf_counter()
        with subprocess.Popen(
            [sys.executable, "-c", WATCHED, peak.name, *command], stdout=subprocess.PIPE, stderr=said
        ) as process:
            process.stdout.readline()
            first = time.perf_counter() - start
            process.stdout.read()
        end = time.perf_counter() - start
        if process.returncode not in (0, 1):
            said.seek(0)
            raise RuntimeError(f"{' '.join(command)} ended with status {process.returncode}: {said.read()[-500:]}")
        return first, end, int(peak.read()) / 1024.0


def written(x: np.ndarray, folder: Path, count: int) -> Path:
    """So many PNG of grey images (N, 1, H, W), some of them several times."""
    folder.mkdir()
    for number in range(count):
        Image.fromarray(x[number % len(x), 0]).save(folder / f"{number:05d}.png")
    return folder


def exported(folder: Path) -> Path:
    """The detector in one file."""
    file = folder / "one.detector"
    subprocess.run([sys.executable, "-m", "likelihood.cli", "export", BENCHMARK, "-o", str(file)], check=True)
    return file


def scored(found: Detector, x: np.ndarray) -> float:
    """Seconds of the models' and the codecs' work on images."""
    start = time.perf_counter()
    for k in range(0, len(x), detector.BATCH):
        part = x[k : k + detector.BATCH]
        for model, network in found.models.items():
            detector.statistics(network, part, found.facts["models"][model]["draws"])
        complexity.lengths(part)
    return time.perf_counter() - start


def main() -> None:
    x = np.array(images.load(Path(f"data/processed/{BENCHMARK}/in/test.npy")))
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        file = exported(folder)
        one, many = written(x, folder / "one", 1), written(x, folder / "many", FILES)
        first = [called(file, one) for _ in range(ROUNDS)]
        print("first verdict:", first, flush=True)
        found, ratios, speeds = Detector.load(file), [], []
        scored(found, x[:200])  # warms up
        for _ in range(ROUNDS):
            ours = scored(found, x[:FILES])
            begun, ended, _ = called(file, many)
            judged = FILES - detector.BATCH  # since the first lines
            ratios.append(ours * judged / FILES / (ended - begun))
            speeds.append(judged / (ended - begun))
            print("throughput:", ratios[-1], speeds[-1], flush=True)
        megabytes = {str(count): round(called(file, written(x, folder / str(count), count))[2]) for count in COUNTS}
    result = {
        "rounds": ROUNDS,
        "files": FILES,
        "first_seconds": round(statistics.median(seconds for seconds, _, _ in first), 2),
        "first_megabytes": round(statistics.median(most for _, _, most in first)),
        "ratio": [round(value, 2) for value in (statistics.median(ratios), min(ratios), max(ratios))],
        "pictures_per_second": round(statistics.median(speeds)),
        "torch_megabytes": round(importing_torch()),
        "megabytes": megabytes,
    }
    store("detecting", result)


if __name__ == "__main__":
    main()
