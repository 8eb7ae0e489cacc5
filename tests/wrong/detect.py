"""What `likelihood detect` refuses or skips."""

import hashlib
import os
import struct

import numpy as np
from safetensors import safe_open
from safetensors.numpy import save_file

from tests.wrong.project import BENCHMARK


def no_such_images(project):
    project.detect("pictures")


def detect_rate(project):
    project.detect("--rate", "nan", "data/own/images")


def detect_rate_too_small(project):
    project.detect("--rate", "0.001", "data/own/images")


def detect_fdr(project):
    project.detect("--fdr", "1", "data/own/images")


def group_of_one(project):
    project.detect("--group", "1", "data/own/images")


def group_with_fdr(project):
    project.detect("--group", "5", "--fdr", "0.1", "data/own/images")


def group_rate_too_small(project):
    project.detect("--group", "5", "--rate", "1e-5", "data/own/images")


def unknown_score(project):
    project.detect("--score", "glow.magic", "data/own/images")


def score_of_some_models(project):
    project.detect("--model", "vae", "--model", "glow", "data/own/images")


def unknown_model(project):
    project.detect("--model", "flow", "data/own/images")


def damaged_detector(project):
    path = project.folder / "data/detectors/mnist_5k/calibration.parquet"
    path.chmod(0o644)
    path.write_bytes(path.read_bytes()[:-40])
    project.detect()


def detector_file_cut_short(project):
    project.detector_file(lambda content: content[:-1])


def detector_file_with_a_changed_byte(project):
    project.detector_file(lambda content: content[:100] + bytes([content[100] ^ 1]) + content[101:])


def detector_file_without_weights(project):
    project.detector_file(models={"glow": {}})


def detector_file_of_a_newer_version(project):
    project.detector_file(format=2)


def detector_file_of_other_code(project):
    project.detector_file()


def detector_file_that_unpacks_without_end(project):
    def swollen(content):
        before = bytearray(content[:-64])
        struct.pack_into("<I", before, before.index(b"PK\x01\x02") + 24, 2**31)
        return bytes(before) + hashlib.sha256(before).hexdigest().encode()

    project.detector_file(swollen)


def no_detector_file(project):
    project.likelihood("detect", "--detector", "x.detector", "data/own/README.md")


def export_of_another_kind(project):
    project.likelihood("export", "mnist_5k", "-o", "mnist_5k.zip")


def watch_no_folder(project):
    project.likelihood("watch", *BENCHMARK, "inbox")


def watch_alarm(project):
    project.likelihood("watch", *BENCHMARK, "--alarm", "0", "data/own")


def detector_of_another_run(project):
    path = project.folder / "data/models/mnist_5k/glow/best.safetensors"
    with safe_open(path, "np") as file:
        weights, metadata = {name: file.get_tensor(name) for name in file.keys()}, file.metadata()  # noqa: SIM118
    path.unlink()  # it may be a link to the cache
    name = next(name for name, each in weights.items() if each.dtype.kind == "f")
    save_file(weights | {name: weights[name] + 1}, path, metadata)
    project.detect()


def missing_detector(project):
    (project.folder / "data/detectors/mnist_5k/detector.json").unlink()
    project.detect()


def table_of_another_kind(project):
    project.detect("--output", "found.txt", "data/own/images")


def table_in_no_folder(project):
    project.detect("--output", "no/found.csv", "data/own/images")


def table_that_is_a_folder(project):
    (project.folder / "found.csv").mkdir()
    project.detect("--output", "found.csv", "data/own/images")


def table_that_is_no_file(project):
    os.mkfifo(project.folder / "found.csv")
    project.detect("--output", "found.csv", "data/own/images")


def table_with_too_long_a_name(project):
    project.detect("--output", "x" * 250 + ".csv", "data/own/images")


def report_of_another_kind(project):
    project.detect("--report", "report.pdf", "data/own/images")


def report_in_no_folder(project):
    project.detect("--report", "no/report.html", "data/own/images")


def nothing_to_report(project):
    (project.folder / "data/own/some.txt").write_text("no picture")
    project.detect("--report", "report.html", "--maps", "maps", "data/own/some.txt")


def nothing_but_an_output(project):
    (project.folder / "data/own/pages").mkdir()
    (project.folder / "data/own/pages/r.html").write_text("an earlier report")
    project.detect("--report", "data/own/pages/r.html", "data/own/pages")


def maps_over_other_files(project):
    project.detect("--maps", "data/own", "data/own/images")


def full_output(project):
    np.savez(project.folder / "data/own/some.npz", images=np.zeros((2, 28, 28), np.uint8))
    project.run(
        "sh",
        "-c",
        "python -m likelihood.cli detect --benchmark mnist_5k data/own/some.npz >/dev/full",
        PYTHONPATH="src",
    )


def array_alone(project):
    np.save(project.folder / "data/own/some.npy", np.zeros((2, 28, 28), np.uint8))
    project.detect("data/own/some.npy")


def array_of_another_shape(project):
    np.savez(project.folder / "data/own/some.npz", images=np.zeros((2, 8, 8), np.uint8))
    project.detect("data/own/some.npz")
