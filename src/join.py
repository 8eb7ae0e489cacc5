"""Take part, as one process of several that torchrun or a cluster has started, in what a script of this folder does.

    srun python src/join.py src/train.py glow --benchmark cifar10

The script runs as it would by itself; then the group of processes is taken apart. Without that PyTorch's communication threads
live on while Python shuts down, and now and then one of them aborts a process whose work is done, which the cluster takes for a
failure.
"""

import runpy
import sys
from pathlib import Path

import torch.distributed


def main() -> None:
    if len(sys.argv) < 2 or not Path(sys.argv[1]).is_file():
        sys.exit("error: name a script and its arguments, as in: python src/join.py src/train.py glow --benchmark cifar10")
    sys.argv = sys.argv[1:]
    sys.modules.pop("__mp_main__", None)  # PyTorch's imports name this file so, and a training would count it as code of its own
    try:
        runpy.run_path(str(Path(sys.argv[0]).resolve()), run_name="__main__")
    finally:
        if torch.distributed.is_initialized():
            torch.distributed.destroy_process_group()


if __name__ == "__main__":
    main()
