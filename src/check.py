"""Stage `check`: refuse a wrong params.yaml in one sentence before anything is fetched or trained, and resolve all settings.

It depends on all of params.yaml, so it runs after every edit. What it writes, data/settings (settings/resolve.py), changes only
where the edit matters, so nothing else runs.
"""

from pathlib import Path

from likelihood.common import stage
from likelihood.data import fetching, own
from likelihood.settings import checks, resolve


def main() -> None:
    values = checks.load()
    fetching.bring()
    for name in values["own"]:  # before DVC tries to hash them
        own.find(name, values["own"], Path("data/own")).hashable()
    resolve.write(values, Path("data/settings"))


if __name__ == "__main__":
    stage.run(main)
