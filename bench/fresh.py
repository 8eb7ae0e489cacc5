"""What the default run costs from nothing: minutes and memory of `dvc repro` in a copy of this tree, with an empty cache.

Downloads are kept, so the time holds no network. Its numbers are compared with the committed ones, as `likelihood verify` does.
Run nothing else beside it: `python -m bench.fresh`. Results of other machines stay; ATEN_CPU_CAPABILITY=avx2 with
ONEDNN_MAX_CPU_ISA=AVX2 makes one of a processor that has newer instructions.
"""

import json
import resource
import tempfile
import time
from pathlib import Path

from bench.machine import ROOT, machine, store
from likelihood.commands import verify

BENCHMARK = "fashion_mnist"


def main() -> None:
    with tempfile.TemporaryDirectory() as scratch:
        start = time.perf_counter()
        verify.rerun(ROOT, Path(scratch))
        minutes = (time.perf_counter() - start) / 60.0
        peak = resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss * 1024  # of the largest process
        table = verify.compare(ROOT, Path(scratch), BENCHMARK)
    unequal = table[~table["equal"]]
    print(unequal.to_string(index=False))
    numbers = {"compared": len(table), "equal": int(table["equal"].sum()), "far": int(table["far"].sum())}
    here = {"machine": machine(), "minutes": round(minutes, 1), "gigabytes": round(peak / 1e9, 2), "numbers": numbers}
    known = json.loads((ROOT / "bench" / "fresh.json").read_text(encoding="utf-8"))["runs"]
    store("fresh", {"runs": [here, *(run for run in known if run["machine"] != here["machine"])]})


if __name__ == "__main__":
    main()
