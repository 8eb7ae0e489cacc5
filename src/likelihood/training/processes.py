"""How a stage spreads over processes: Lightning Fabric, told by the environment and never by params.yaml.

By default a training is one process whose operations use all cores: on a CPU that is at least as fast as processes that sum their
gradients. Scoring needs no gradients to be summed, so there every core is a process of its own. `LT_DEVICES=2 LT_STRATEGY=ddp`,
`fabric run src/train.py …` and torchrun choose otherwise; the stage's command, and so dvc.lock, stays as it is.
"""

import ctypes
import functools
import logging
import os
import sys
from collections.abc import Callable

import torch
from lightning_fabric import Fabric

TRIM_THRESHOLD, MMAP_MAX = -1, -4  # names of malloc.h
EVERYTHING = 2**31 - 1  # bytes
SETTINGS = {"LT_ACCELERATOR", "LT_DEVICES", "LT_STRATEGY", "LT_NUM_NODES"}  # what Fabric reads from the environment


def run(function: Callable[[Fabric], None], every_core: bool = False) -> None:
    """Call `function(fabric)` in every process.

    `every_core` gives each CPU core a process of its own, unless a GPU or the environment decides. Nothing comes back: what a
    process returned would go through a pipe that Fabric reads too late for more than 64 kB.
    """
    logging.getLogger("lightning_fabric").setLevel(logging.WARNING)  # it announces every process
    keep_memory()
    work = functools.partial(_work, function=function)
    fabric, cores = Fabric(), torch.get_num_threads()
    forks = sys.platform == "linux" and fabric.device.type == "cpu" and not SETTINGS & os.environ.keys()
    if every_core and cores > 1 and forks:
        fabric = Fabric(accelerator="cpu", devices=cores, strategy="ddp_fork")
        fabric.launch(functools.partial(_on_one_thread, function=work))
    elif os.environ.get("LT_CLI_USED") == "1":  # the processes are there already
        work(fabric)
    else:
        fabric.launch(work)


def _work(fabric: Fabric, function: Callable[[Fabric], None]) -> None:
    """Call the function, then take the group of processes apart.

    PyTorch's communication threads would live on while Python shuts down, and now and then one of them aborts a process whose
    work is done.
    """
    function(fabric)
    if torch.distributed.is_initialized():
        torch.distributed.destroy_process_group()


def _on_one_thread(fabric: Fabric, function: Callable[[Fabric], None]) -> None:
    torch.set_num_threads(1)
    function(fabric)


def keep_memory() -> None:
    """Keep freed memory in this process from now on; does nothing where the C library has no such setting.

    glibc returns what is freed in large pieces to the system, which hands it out again page by page, each cleared and mapped
    anew. Every step of a network frees and takes the same hundreds of megabytes. Kept, they are used again as they are, and the
    process stays as large as its largest step.
    """
    mallopt = getattr(ctypes.CDLL(None), "mallopt", None) if sys.platform == "linux" else None
    if mallopt:
        mallopt(MMAP_MAX, 0)  # no piece comes from the system by itself, to be returned when it is freed,
        mallopt(TRIM_THRESHOLD, EVERYTHING)  # nor does the end of the heap
