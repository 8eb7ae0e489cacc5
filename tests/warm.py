"""A Python that has imported the large libraries already: they take most of the time of a stage of a small pipeline.

`folder()` has a `python` that runs a script, or a module of WARM, in a fork of a process which has imported PyTorch,
DVC and the like, but nothing of this project; whatever else it is asked for is done by this Python itself. What runs there sees
its own arguments, folder, environment and streams, and ends with its own status.
"""

import atexit
import functools
import gc
import importlib
import io
import json
import logging
import os
import random
import runpy
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import threading
from pathlib import Path

LIBRARIES = [
    "dvc.cachemgr", "dvc.cli.parser", "dvc.data_cloud", "dvc.output", "dvc.repo.data", "dvc.repo.experiments", "dvc.repo.fetch",
    "dvc.repo.metrics.diff", "dvc.repo.params.diff", "dvc.repo.plots", "dvc.repo.reproduce", "dvc.repo.status", "dvclive",
    "imagecodecs", "jinja2", "lightning_fabric", "matplotlib.backends.backend_agg", "matplotlib.figure", "mlxtend.data", "pandas",
    "PIL.Image", "pyarrow.parquet", "pydantic", "rich.console", "safetensors.torch", "scipy.ndimage", "scipy.stats",
    "scmrepo.git", "sklearn.ensemble", "sklearn.metrics", "sklearn.neighbors", "sklearn.svm", "torch", "torch.func",
    "torchvision.utils", "tqdm", "yaml",
]  # fmt: skip
WARM = ["dvc", "likelihood.cli", "pytest"]  # what is called by -m
SHIM = """#!{python} -IS
import os, socket, sys
if len(sys.argv) < 2 or not (sys.argv[1].endswith(".py") or sys.argv[1:3] in {warm}):
    os.execv({python!r}, [{python!r}, *sys.argv[1:]])
import json, signal
with socket.socket(socket.AF_UNIX) as there:
    there.connect({place!r})
    request = json.dumps([sys.argv[1:], os.getcwd(), dict(os.environ)]).encode()
    socket.send_fds(there, [len(request).to_bytes(8, "big")], [0, 1, 2])
    there.sendall(request)
    head = there.recv(8)
    if len(head) < 8:
        sys.exit("the warm Python has ended")
    pid = int.from_bytes(head, "big")
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, lambda number, _: os.kill(pid, number))
    status = there.recv(1)
sys.exit(status[0] if status else 137)
"""


@functools.cache
def folder() -> str:
    """The folder; the process starts with the first call and ends with the tests."""
    made = Path(tempfile.mkdtemp(prefix="warm"))
    place = str(made / "socket")
    (made / "python").write_text(SHIM.format(python=sys.executable, place=place, warm=[["-m", name] for name in WARM]))
    (made / "python").chmod(0o755)
    # What is compiled is kept, so that not every fork compiles it again.
    left = ("PYTHONPATH", "PYTHONDONTWRITEBYTECODE")
    environment = {key: value for key, value in os.environ.items() if key not in left} | {"OMP_NUM_THREADS": "1"}
    process = subprocess.Popen(
        [sys.executable, __file__, place], stdout=subprocess.PIPE, env=environment, start_new_session=True, cwd=made
    )
    atexit.register(shutil.rmtree, made, ignore_errors=True)
    atexit.register(process.kill)
    assert process.stdout.readline() == b"ready\n"
    return str(made)


def serve(place: str) -> None:
    """Import the libraries, then fork for every request."""
    for name in LIBRARIES:
        importlib.import_module(name)
    for name in ("dvc", "dvc_objects", "dvc_data"):
        logging.getLogger(name).handlers.clear()  # each fork has streams of its own
    gc.collect()
    gc.freeze()  # a collection in a fork would copy all that is shared
    signal.signal(signal.SIGCHLD, signal.SIG_IGN)  # nobody waits for the forks
    with socket.socket(socket.AF_UNIX) as here:
        here.bind(place)
        here.listen(64)
        print("ready", flush=True)
        while True:
            there, _ = here.accept()
            if os.fork() == 0:
                here.close()
                run(there, str(Path(place).with_name("python")))
            there.close()


def run(there: socket.socket, python: str) -> None:
    """Do what is asked for, as a new Python would, and end. What the console command calls DVC by is warm as well."""
    import dvc.logger
    import numpy as np
    import torch

    signal.signal(signal.SIGCHLD, signal.SIG_DFL)
    signal.signal(signal.SIGINT, signal.default_int_handler)
    head, streams, _, _ = socket.recv_fds(there, 8, 3)
    length, request = int.from_bytes(head, "big"), b""
    while len(request) < length:
        if not (part := there.recv(length - len(request))):
            os._exit(1)  # whoever asked has ended
        request += part
    arguments, folder, environment = json.loads(request)
    for number, stream in enumerate(streams):
        os.dup2(stream, number)
        os.close(stream)
    there.sendall(os.getpid().to_bytes(8, "big"))
    os.chdir(folder)
    os.environ.clear()
    os.environ.update(environment)
    encoding = environment.get("PYTHONIOENCODING", "utf-8")
    sys.stdout = io.TextIOWrapper(io.BufferedWriter(io.FileIO(1, "w", closefd=False)), encoding)
    sys.stderr = io.TextIOWrapper(
        io.BufferedWriter(io.FileIO(2, "w", closefd=False)), encoding, "backslashreplace", line_buffering=True
    )
    dvc.logger.setup()
    random.seed()
    np.random.seed()
    torch.seed()
    torch.set_num_threads(int(environment.get("OMP_NUM_THREADS", os.cpu_count() or 1)))
    module = arguments[0] == "-m"
    if not module or arguments[1] == "likelihood.cli":
        sys.executable = python
    sys.argv = arguments[1:] if module else arguments
    sys.path[0] = folder if module else str(Path(arguments[0]).resolve().parent)
    sys.path[1:1] = [part for part in environment.get("PYTHONPATH", "").split(os.pathsep) if part]
    status = 0
    try:
        if module:
            runpy.run_module(arguments[1], run_name="__main__", alter_sys=True)
        else:
            runpy.run_path(os.path.abspath(arguments[0]), run_name="__main__")  # as Python itself names it
    except SystemExit as ended:
        status = ended.code or 0
        if not isinstance(status, int):
            print(status, file=sys.stderr)
            status = 1
    except BaseException:  # as Python itself says it
        sys.excepthook(*sys.exc_info())
        status = 1
    threading._shutdown()
    atexit._run_exitfuncs()
    for stream in (sys.stdout, sys.stderr):
        stream.flush()
    there.sendall(bytes([status & 255]))
    os._exit(status & 255)


if __name__ == "__main__":
    serve(sys.argv[1])
