"""Wrong images."""

import pickle

import numpy as np

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


def no_such_folder(project):
    project.download(project.folder.parent / "nowhere")


def empty_folder(project):
    for picture in project.own().iterdir():
        picture.unlink()
    project.pictures()


def too_few_pictures(project):
    project.own(count=9)
    project.pictures()


def unreadable_picture(project):
    picture = project.own() / "03.png"
    picture.write_bytes(picture.read_bytes()[:40])
    project.pictures()


def picture_of_another_size(project):
    project.own(size=(20, 30))
    project.pictures()


def damaged_array(project):
    path = project.folder / "data/processed/mnist_5k/in/train.npy"
    path.write_bytes(path.read_bytes()[:1000])
    project.stage("train.py", "vae", *BENCHMARK)
