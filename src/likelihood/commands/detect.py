"""Which images are unlike those that models were trained on: `python src/detect.py --benchmark fashion_mnist IMAGES…`

IMAGES are pictures, folders of pictures, read through with all below them, and .npz files (key `images`, uint8, of the models'
shape). Pictures are turned as their camera says, cut, resampled and coloured into that shape, as own images are; of a file of
several pictures each is looked at, `two.tiff[1]`. One line an image: whether it is flagged, that is p ≤ the rate of false alarms
asked for; p, the share of held-out in-distribution images that are at least as outlying by the chosen score
(evaluation/calibration.py); bits/dim of every model. `--output` writes everything about every image instead, as .csv or .json,
whole or not at all.

Exit status: 0 nothing flagged, 1 something flagged, 2 anything else: bad input, no place for the results, or a file that could
not be read; the others are done all the same.
"""

import argparse
from pathlib import Path

from likelihood.detection import command


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0], epilog=__doc__.split("\n\n")[-1])
    parser.add_argument("images", nargs="+", metavar="IMAGES", help="pictures, folders of pictures, .npz files")
    parser.add_argument("--benchmark", required=True, help="a name under benchmarks: in params.yaml, trained or pulled")
    parser.add_argument("--model", action="append", help="use this model only; may be given again; all three by default")
    parser.add_argument("--score", help="the score that flags, as glow.complexity; all.code_kde by default")
    parser.add_argument("--rate", type=float, help="rate of false alarms, 0.05 by default, or the least that can be told")
    parser.add_argument("--output", type=Path, help="write everything about every image to this .csv or .json")
    arguments = parser.parse_args()
    from likelihood.detection import inspection  # here, so that a library that is missing does not end in the status 1 of Python

    return inspection.detect(arguments)


if __name__ == "__main__":
    command.run(main)
