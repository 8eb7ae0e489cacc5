"""What src/detect.py refuses or skips."""

import os
import sys

import numpy as np
from PIL import Image

from tests.wrong.project import BENCHMARK


def detect(project, *arguments, **variables):
    """Look at an `images` folder of one picture, unless arguments name something else."""
    folder = project.folder / "data/own/images"
    folder.mkdir(exist_ok=True)
    Image.fromarray(np.zeros((28, 28), np.uint8)).save(folder / "00.png")
    project.run(sys.executable, "src/detect.py", *BENCHMARK, *(arguments or ("data/own/images",)), **variables)


def no_such_images(project):
    detect(project, "pictures")


def detect_rate(project):
    detect(project, "--rate", "nan", "data/own/images")


def detect_rate_too_small(project):
    detect(project, "--rate", "0.001", "data/own/images")


def unknown_score(project):
    detect(project, "--score", "glow.magic", "data/own/images")


def score_of_some_models(project):
    detect(project, "--model", "vae", "--model", "glow", "data/own/images")


def unknown_model(project):
    detect(project, "--model", "flow", "data/own/images")


def damaged_detector(project):
    path = project.folder / "data/detectors/mnist_5k/calibration.parquet"
    path.chmod(0o644)
    path.write_bytes(path.read_bytes()[:-40])
    detect(project)


def missing_detector(project):
    (project.folder / "data/detectors/mnist_5k/detector.json").unlink()
    detect(project)


def table_of_another_kind(project):
    detect(project, "--output", "found.txt", "data/own/images")


def table_in_no_folder(project):
    detect(project, "--output", "no/found.csv", "data/own/images")


def table_that_is_a_folder(project):
    (project.folder / "found.csv").mkdir()
    detect(project, "--output", "found.csv", "data/own/images")


def table_that_is_no_file(project):
    os.mkfifo(project.folder / "found.csv")
    detect(project, "--output", "found.csv", "data/own/images")


def table_with_too_long_a_name(project):
    detect(project, "--output", "x" * 250 + ".csv", "data/own/images")


def full_output(project):
    np.savez(project.folder / "data/own/some.npz", images=np.zeros((2, 28, 28), np.uint8))
    project.run("sh", "-c", f"{sys.executable} src/detect.py --benchmark mnist_5k data/own/some.npz >/dev/full")


def array_alone(project):
    np.save(project.folder / "data/own/some.npy", np.zeros((2, 28, 28), np.uint8))
    detect(project, "data/own/some.npy")


def array_of_another_shape(project):
    np.savez(project.folder / "data/own/some.npz", images=np.zeros((2, 8, 8), np.uint8))
    detect(project, "data/own/some.npz")
