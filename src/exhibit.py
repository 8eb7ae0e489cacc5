"""Stage `exhibit`: contact sheets with the most and least likely images of every set, plots/<benchmark>/contact/<model>.png.

Reads data/scores/<benchmark> and data/processed/<benchmark>. The sheets show images of the data sets, so they are neither
committed nor shipped.
"""

import argparse
from pathlib import Path

import numpy as np

from evaluate import MODELS, read_statistics, row_name
from likelihood.common import images
from likelihood.common.units import in_unit
from likelihood.figures import contactsheet
from likelihood.runtime import stage
from likelihood.settings import params

DPI = 110


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--benchmark", required=True)
    benchmark = parser.parse_args().benchmark
    entry = params.of_benchmark(params.load(), benchmark)
    source = Path("data/processed") / benchmark
    with images.replaced(Path("plots") / benchmark / "contact") as folder:
        for model in MODELS:
            scored = Path("data/scores") / benchmark
            facts, statistics = read_statistics(scored / "in" / model)
            statistics |= read_statistics(scored / "out" / model)[1]
            sets = {}
            for name in ("test", *entry["out"]):
                table = statistics[name]
                x = images.load(source / ("in" if name == "test" else "out") / f"{name}.npy")
                values = in_unit(table["log_prob"].to_numpy(), facts["dims"], facts["unit"])
                sets[name] = (np.array(x[table["index"].to_numpy()]), values)
            figure = contactsheet.sheet(sets, row_name(model, facts), entry["in"], facts["unit"])
            figure.savefig(folder / f"{model}.png", dpi=DPI, metadata={"Software": None})  # the same bytes every time


if __name__ == "__main__":
    stage.run(main)
