"""What `likelihood add` and `likelihood remove` refuse."""

import shutil
import sys

import numpy as np

from tests.wrong.project import MINE, unprivileged


def add_no_folder(project):
    project.likelihood("add", "mine", "holidays")


def add_empty_folder(project):
    project.holidays(count=0)
    project.likelihood("add", "mine", "holidays")


def add_unreadable(project):
    (project.holidays(count=0) / "notes.txt").write_text("not a picture")
    project.likelihood("add", "mine", "holidays")


def add_too_few(project):
    (project.holidays(count=5) / "notes.txt").write_text("not a picture")
    project.likelihood("add", "mine", "holidays")


def add_arrays(project):
    np.savez(project.holidays() / "train.npz", images=np.zeros((9, 28, 28), np.uint8))
    project.likelihood("add", "mine", "holidays")


def add_name_of_a_set(project):
    project.holidays()
    project.likelihood("add", "mnist", "holidays")


def add_name_of_a_number(project):
    project.holidays()
    project.likelihood("add", "2024", "holidays")


def add_name_of_an_own_set(project):
    project.own()
    project.likelihood("add", "mine", "data/own/mine")


def add_name_of_a_benchmark(project):
    project.change("params.yaml", "benchmarks:\n", "benchmarks:\n  digits: {in: mnist_5k, out: [noise]}\n")
    project.holidays()
    project.likelihood("add", "digits", "holidays")


def add_over_a_folder(project):
    shutil.move(project.holidays(), project.folder / "data/own/holidays")
    project.likelihood("add", "holidays", "data/own/holidays")


def add_size(project):
    project.holidays()
    project.likelihood("add", "mine", "holidays", "--size", "32")


def add_indivisible_size(project):
    project.holidays()
    project.likelihood("add", "mine", "holidays", "--size", "30x48")


def add_no_project(project):
    project.holidays()
    (project.folder / "params.yaml").rename(project.folder / "parameters.yaml")
    project.likelihood("add", "mine", "holidays")


def add_read_only(project):
    project.holidays()
    (project.folder / "params.yaml").chmod(0o444)
    # Without what would time trainings.
    code = "import sys; sys.modules['likelihood.detection.fit'] = None; from likelihood import cli; cli.main()"
    command = [sys.executable, "-c", code, "add", "mine", "holidays"]
    project.run(*unprivileged(), *command, PYTHONPATH=str(project.folder / "src"))


def remove_no_own_set(project):
    project.own()
    project.likelihood("remove", "mnist_5k")


def remove_enabled(project):
    project.own()
    project.change("params.yaml", "  pictures:\n", "  mine: {in: mine, out: [noise]}\n  pictures:\n")
    project.change("params.yaml", "run:\n", "run:\n- mine\n")
    project.likelihood("remove", "mine")


def remove_used(project):
    project.own()
    project.likelihood("remove", "mine")


def remove_shared(project):
    # As `likelihood add` leaves it, which would time trainings.
    shutil.move(project.holidays(), project.folder / "data/own/mine")
    project.change("params.yaml", "own: {}\n", MINE)
    project.change("params.yaml", "variants:\n", "  mine: {in: mine, out: [noise]}\nvariants:\n")
    (project.folder / "data/own/mine.dvc").write_text("outs: []\n")
    project.likelihood("remove", "mine")
