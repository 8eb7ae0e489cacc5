"""What machine a result comes from, and where results are kept."""

import json
import os
import platform
import re
from pathlib import Path

import torch

from likelihood.commands.entries import put

ROOT = Path(__file__).resolve().parents[1]


def machine() -> dict[str, str | int]:
    """Processor, its instructions, threads in use, version of torch."""
    lines = Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines() if Path("/proc/cpuinfo").exists() else []
    names = [line.split(":")[1].strip() for line in lines if "model name" in line]
    capability, newer = torch.backends.cpu.get_cpu_capability(), any("avx512f" in line for line in lines)
    return {
        "processor": names[0] if names else platform.processor(),
        # The variable makes PyTorch leave newer instructions unused, as on an older processor.
        "instructions": f"AVX512, held to {capability}" if newer and "ATEN_CPU_CAPABILITY" in os.environ else capability,
        "threads": torch.get_num_threads(),
        "torch": torch.__version__,
    }


def slug() -> str:
    """The processor's name and instructions as a file's name."""
    found = machine()
    return re.sub(r"[^a-z0-9]+", "_", f"{found['processor']} {found['instructions']}".lower()).strip("_")


def store(name: str, result: dict[str, object]) -> None:
    """Write bench/<name>.json: the result and the machine it comes from."""
    path = Path(__file__).parent / f"{name}.json"
    text = json.dumps({"machine": machine(), **result}, indent=1, ensure_ascii=False)
    put(path, f"{text}\n".encode())
