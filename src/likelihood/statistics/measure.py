"""Numbers of many images under a model: on a CPU every core takes a share, on a GPU one process takes all.

No number depends on the size of a batch or on who computes it, so the rows are the same whatever machine takes them.
"""

import functools
import json
import multiprocessing
import sys
from collections.abc import Callable, Iterator
from concurrent.futures import ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import torch
from torch import Tensor
from tqdm import tqdm

from likelihood.common import images, memory, selection
from likelihood.common.errors import InputError
from likelihood.models.shared.base import LikelihoodModel

GPU_BATCH = 500  # images at a time
Measure = Callable[[Tensor], dict[str, Tensor]]  # from uint8 images (B, C, H, W) to numbers (B,) by name

_work: tuple[Measure, np.ndarray] | None = None  # what the workers inherit: a model is not sent to them


def measured(measure: Measure, core_batch: int, x: np.ndarray, name: str) -> pd.DataFrame:
    """What `measure` says of uint8 images x (N, C, H, W), float64, a row per image in their order.

    Arguments:
        measure: the numbers of a batch; its model is on `device()`.
        core_batch: images that a core takes at a time.
        x: may be memory-mapped.
        name: of the bar that shows how far it is.

    Raises InputError where the system ends a worker, as it does when memory runs out.
    """
    memory.keep()
    size = core_batch if device().type == "cpu" else GPU_BATCH
    starts = range(0, len(x), size)
    with tqdm(total=len(x), desc=name, unit="image", leave=False, disable=None) as bar:
        parts = []
        for part in _parts(measure, x, starts, size):
            parts.append(part)
            bar.update(len(part))
    return pd.concat(parts, ignore_index=True)


def device() -> torch.device:
    """Where to compute: the first GPU if there is one."""
    return torch.device("cuda" if torch.cuda.is_available() else "cpu")


def _parts(measure: Measure, x: np.ndarray, starts: range, size: int) -> Iterator[pd.DataFrame]:
    """The table of every batch, in order."""
    global _work
    cores = min(torch.get_num_threads(), len(starts))
    _work = measure, x
    try:
        if cores < 2 or device().type != "cpu" or sys.platform != "linux":
            yield from (_batch(start, size) for start in starts)
            return
        forked = multiprocessing.get_context("fork")
        with ProcessPoolExecutor(cores, forked, initializer=torch.set_num_threads, initargs=(1,)) as pool:
            try:
                yield from pool.map(functools.partial(_batch, size=size), starts)
            except BrokenProcessPool:
                raise InputError("a process was ended by the system, as when memory runs out: free some and run again") from None
            except BaseException:
                pool.shutdown(wait=False, cancel_futures=True)
                raise
    finally:
        _work = None


def _batch(start: int, size: int) -> pd.DataFrame:
    measure, x = _work
    found = measure(torch.from_numpy(np.array(x[start : start + size])))
    return pd.DataFrame({key: value.detach().cpu().double().numpy() for key, value in found.items()})


def statistics(model: LikelihoodModel, x: np.ndarray, draws: int, name: str) -> pd.DataFrame:
    """Statistics of uint8 images x (N, C, H, W) under a model, a row per image."""
    return measured(functools.partial(model.to(device()).statistics, draws=draws), model.core_batch, x, name)


def sets_of(folder: Path, model: LikelihoodModel, count: int, seed: int) -> dict[str, tuple[np.ndarray, np.ndarray]]:
    """Positions and images of those that stand for each set of a folder; InputError where the model knows no such images."""
    sets = {}
    for path in sorted(folder.glob("*.npy")):
        x = images.load(path)
        if x.shape[1:] != model.shape:
            raise InputError(f"{path} holds images of {x.shape[1:]}, but the model was trained on {model.shape}")
        index = selection.scored(path.stem, len(x), count, seed)
        sets[path.stem] = (index, x[index])
    return sets


def write(tables: dict[str, pd.DataFrame], folder: Path, described: dict[str, Any] | None = None) -> None:
    """Write a Parquet file per table, and <name>.json of whatever else is described, all or nothing."""
    with images.replaced(folder) as partial:
        for stem, table in tables.items():
            table.to_parquet(partial / f"{stem}.parquet", index=False)
            print(f"{stem}: {len(table)} images", flush=True)
        for name, what in (described or {}).items():
            (partial / f"{name}.json").write_text(json.dumps(what, indent=1) + "\n", encoding="utf-8")
