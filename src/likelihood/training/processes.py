"""How a training spreads over processes: Lightning Fabric, told by the environment and never by params.yaml.

By default a training is one process whose operations use all cores: on a CPU that is at least as fast as processes that sum their
gradients. `LT_DEVICES=2 LT_STRATEGY=ddp`, `fabric run src/train.py …`, torchrun and srun choose otherwise; the stage's command,
and so dvc.lock, stays as it is.
"""

import functools
import logging
import os
from collections.abc import Callable

import torch
from lightning_fabric import Fabric
from lightning_fabric.plugins.environments import ClusterEnvironment, LightningEnvironment, SLURMEnvironment

from likelihood.common import memory


def launch(function: Callable[[Fabric], None]) -> None:
    """Call `function(fabric)` in every process."""
    logging.getLogger("lightning_fabric").setLevel(logging.WARNING)  # it announces every process
    memory.keep()
    fabric = Fabric(plugins=environment())
    work = functools.partial(_work, function=function)
    if os.environ.get("LT_CLI_USED") == "1":  # the processes are there already
        work(fabric)
    else:
        fabric.launch(work)


def environment() -> list[ClusterEnvironment]:
    """Fabric's plugins: none, so that it looks for itself, but in a batch job whose process srun has not started.

    sbatch sets SLURM_NTASKS for its script, which is a single process; Fabric would wait for the others.
    """
    alone = SLURMEnvironment.detect() and not {"SLURM_STEP_ID", "TORCHELASTIC_RUN_ID"} & os.environ.keys()
    return [LightningEnvironment()] if alone else []


def _work(fabric: Fabric, function: Callable[[Fabric], None]) -> None:
    """Call the function, then take the group of processes apart.

    PyTorch's communication threads would live on while Python shuts down, and now and then one of them aborts a process whose
    work is done.
    """
    function(fabric)
    if torch.distributed.is_initialized():
        torch.distributed.destroy_process_group()
