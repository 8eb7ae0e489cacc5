"""Files of a package of the Debian or Ubuntu archive, taken as an ordinary user: nothing is installed, no root is needed.

apt gets a state and a cache of its own in a temporary folder, reads the machine's list of archives and keys, and checks the
archive's signatures as ever; dpkg-deb unpacks the package without running any of it.
"""

import errno
import os
import shutil
import subprocess
from pathlib import Path

TIMEOUT = 600  # seconds for one command: a slow line needs minutes for the archive's lists


def unpack(package: str, scratch: Path) -> Path:
    """Download the package and unpack it below `scratch`; returns the folder that stands for `/`.

    RuntimeError with apt's own words when the archive cannot be reached or lacks the package, OSError (ENOSPC) on a full disk.
    """
    for tool in ("apt-get", "dpkg-deb"):
        if shutil.which(tool) is None:
            raise RuntimeError(f"this machine has no {tool}")
    state, cache, root = scratch / "state", scratch / "cache", scratch / "root"
    (state / "lists" / "partial").mkdir(parents=True)
    (cache / "archives" / "partial").mkdir(parents=True)
    options = {
        "Dir::State": state.resolve(),
        "Dir::State::status": "/var/lib/dpkg/status",  # apt wants to know what is installed, and would look in its new state
        "Dir::Cache": cache.resolve(),
        "Acquire::http::Timeout": 20,
        "Acquire::https::Timeout": 20,
        "Acquire::Retries": 1,
        "APT::Sandbox::User": "root",  # root's apt would else become a user who may not write into a private folder
    }
    apt = ["apt-get", "-qq", *(f"-o{key}={value}" for key, value in options.items())]
    warnings = _run([*apt, "update"], scratch)
    try:
        _run([*apt, "download", package], scratch)
    except RuntimeError as error:
        # An update that reaches no archive only warns, and the download then merely does not know the package.
        raise RuntimeError("; ".join([str(error), *warnings.splitlines()[:1]])) from error
    _run(["dpkg-deb", "-x", next(scratch.glob("*.deb")).name, str(root.resolve())], scratch)
    return root


def _run(command: list[str], folder: Path) -> str:
    """Run one command to its end and return what it said on standard error."""
    english = {**os.environ, "LC_ALL": "C"}
    done = subprocess.run(command, cwd=folder, env=english, capture_output=True, text=True, timeout=TIMEOUT)
    said = done.stderr.strip()
    if "No space left on device" in said or "enough free space" in said:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), str(folder))
    if done.returncode != 0:
        raise RuntimeError(said or f"{command[0]} ended with status {done.returncode}")
    return said
