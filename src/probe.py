"""Stage `probe`: what takes gradients to know of an image, without a further training.

    <model>_gradients    log squared gradient norms, of all weights and of each layer (likelihood/statistics/gradients.py)
    vae_regret           the VAE's likelihood regret (likelihood/statistics/regret.py)

Reads a model's best weights and data/processed/<benchmark>/{in,out}. Writes one Parquet file a set to
data/extra/<benchmark>/<probe>/: `index` and the numbers. All scored validation images are probed, to fit on, and of the other
sets those that the table of scores compares.
"""

import argparse
import functools
from collections.abc import Callable
from pathlib import Path

from lightning_fabric import Fabric
from torch import Tensor

from likelihood.models.shared import checkpoint
from likelihood.models.shared.base import LikelihoodModel
from likelihood.runtime import processes, stage
from likelihood.settings import params
from likelihood.statistics import selection
from likelihood.statistics.gradients import log_norms
from likelihood.statistics.regret import regret
from score import measured, sets_of, write

DRAWS = 4  # of noise for an image's gradient, where a model needs noise


def gradients(model: LikelihoodModel, x: Tensor) -> dict[str, Tensor]:
    """The columns of `<model>_gradients`."""
    return log_norms(model, x, DRAWS if model.lower_bound else 1)


def likelihood_regret(model: LikelihoodModel, x: Tensor) -> dict[str, Tensor]:
    """The column of `vae_regret`."""
    return {"regret": regret(model, x)}


PROBES: dict[str, Callable[[LikelihoodModel, Tensor], dict[str, Tensor]]] = {
    "gradients": gradients,
    "regret": likelihood_regret,
}


def probe(
    fabric: Fabric, kind: str, model: LikelihoodModel, source: Path, limits: tuple[int, int], seed: int, folder: Path
) -> None:
    """Probe the sets of `source`, `limits` images scored and compared of each; the first process writes `folder`."""
    scored, compared = limits
    model, tables = model.to(fabric.device), {}
    for side in ("in", "out"):
        sets = sets_of(source / side, model, scored, seed)
        for stem, (index, x) in ((stem, found) for stem, found in sets.items() if stem != "train"):
            rows = selection.compared(stem, len(index), compared, seed)
            tables[stem] = measured(fabric, functools.partial(PROBES[kind], model), model.core_batch, x[rows], stem)
            tables[stem].insert(0, "index", index[rows])
    if fabric.is_global_zero:
        write(tables, folder)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("probe", help="<model>_gradients or vae_regret")
    parser.add_argument("--benchmark", required=True)
    arguments = parser.parse_args()
    values = params.load()
    name, kind = arguments.probe.split("_", 1)
    _, model = checkpoint.load(Path("data/models") / arguments.benchmark / name / "best.safetensors")
    work = functools.partial(
        probe,
        kind=kind,
        model=model,
        source=Path("data/processed") / arguments.benchmark,
        limits=(values["score"]["images"], values["evaluate"]["images"]),
        seed=values["seed"],
        folder=Path("data/extra") / arguments.benchmark / arguments.probe,
    )
    processes.run(work, every_core=True)


if __name__ == "__main__":
    stage.run(main)
