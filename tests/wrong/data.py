"""Wrong images."""

import os
import pickle

import numpy as np
from PIL import Image

from tests.picturefiles import png
from tests.wrong.project import BENCHMARK


def truncated_archive(project):
    folder = project.images("train", np.zeros((4000, 28, 28), np.uint8))
    path = folder / "mnist_5k/train.npz"
    path.write_bytes(path.read_bytes()[:-200])
    project.download(folder)


def program_in_disguise(project):
    folder = project.folder.parent / "images"
    (folder / "mnist_5k").mkdir(parents=True)
    (folder / "mnist_5k/train.npz").write_bytes(pickle.dumps(np.zeros(3)))
    project.download(folder)


def wrong_checksum(project):
    project.download(project.images("train", np.zeros((4000, 28, 28), np.uint8)))


def wrong_dtype(project):
    project.download(project.images("train", np.zeros((4000, 28, 28), np.float32)))


def wrong_shape(project):
    project.download(project.images("train", np.zeros((4000, 28, 27), np.uint8)))


def wrong_channels(project):
    project.download(project.images("train", np.zeros((4000, 28, 28, 4), np.uint8)))


def wrong_array_name(project):
    folder = project.images("train", np.zeros((4000, 28, 28), np.uint8))
    np.savez(folder / "mnist_5k/train.npz", x=np.zeros(3))
    project.download(folder)


def no_labels(project):
    project.change("params.yaml", "variants:\n", "  low:\n    in: mnist_low\n    out:\n    - mnist_high\nvariants:\n")
    project.change("params.yaml", "run:\n", "run:\n- low\n")
    folder = project.folder.parent / "images"
    (folder / "mnist").mkdir(parents=True)
    np.savez(folder / "mnist/train.npz", images=np.zeros((60_000, 28, 28), np.uint8))
    project.stage("download.py", "--benchmark", "low", LIKELIHOOD_IMAGES=str(folder))


def no_such_folder(project):
    project.download(project.folder.parent / "nowhere")


def empty_folder(project):
    for picture in project.own().iterdir():
        picture.unlink()
    project.pictures()


def too_few_pictures(project):
    project.own(count=5)
    project.pictures()


def unreadable_picture(project):
    picture = project.own() / "03.png"
    picture.write_bytes(picture.read_bytes()[:40])
    project.pictures()


def picture_of_another_size(project):
    project.own(size=(20, 30))
    project.pictures()


def too_few_for_a_detector(project):
    project.change("params.yaml", "validation_fraction: 0.1", "validation_fraction: 0.0005")
    project.stage("preprocess.py", *BENCHMARK)


def no_picture(project):
    (project.own() / "notes.txt").write_text("not a picture")
    project.pictures()


def more_than_8_bits(project):
    (project.own() / "03.png").write_bytes(png(16, 2, bytes(6 * 28), width=28, height=28))
    project.pictures()


def several_pictures(project):
    frames = [Image.fromarray(np.full((28, 28), level, np.uint8)) for level in (0, 255)]
    frames[0].save(project.own() / "film.gif", save_all=True, append_images=frames[1:])
    project.pictures()


def picture_of_another_kind(project):
    Image.new("RGB", (28, 28)).convert("LAB").save(project.own() / "lab.tiff")
    project.pictures()


def too_many_pixels(project):
    (project.own() / "03.png").write_bytes(png(1, 0, b"", width=30_000, height=30_000))
    project.pictures()


def pipe(project):
    os.mkfifo(project.own() / "03.fifo")
    project.pictures()


def link_to_nothing(project):
    (project.own() / "gone.png").symlink_to("nothing.png")
    project.pictures()


def linked_folder(project):
    folder = project.own()
    folder.rename(project.folder.parent / "elsewhere")
    folder.symlink_to(project.folder.parent / "elsewhere")
    project.pictures()


def name_that_is_not_unicode(project):
    (project.own() / os.fsdecode(b"caf\xe9\n.png")).write_text("")
    project.pictures()


def damaged_array(project):
    path = project.folder / "data/processed/mnist_5k/in/train.npy"
    path.write_bytes(path.read_bytes()[:1000])
    project.stage("train.py", "vae", *BENCHMARK)
