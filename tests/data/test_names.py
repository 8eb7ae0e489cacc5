"""What is in a folder, and how a file is named where it is no picture."""

import os
import socket

import pytest

from likelihood.common.errors import InputError
from likelihood.data import pictures
from likelihood.data.pictures import said, shown
from tests.picturefiles import written


def test_what_is_no_file_is_named_and_nothing_waits(tmp_path, monkeypatch):
    os.mkfifo(tmp_path / "pipe.png")
    monkeypatch.chdir(tmp_path)  # a socket's path may not be long
    with socket.socket(socket.AF_UNIX) as server:
        server.bind("socket.png")
    (tmp_path / "loop.png").symlink_to("loop.png")
    (tmp_path / "gone.png").symlink_to("nothing")
    (tmp_path / "folder.png").symlink_to(".")
    (tmp_path / "empty.png").write_bytes(b"")
    messages = {}
    for path in [*pictures.files(tmp_path), tmp_path / "removed.png"]:
        with pytest.raises(InputError) as raised:
            list(pictures.read(path))
        messages[path.name] = str(raised.value).removeprefix(f"{path} cannot be read ").removesuffix(": replace or remove it")
    assert messages.pop("empty.png").startswith("as a picture (it is damaged, or none of ")
    special = "(it is a pipe, a socket or a device)"
    assert messages == {
        "folder.png": "(it is a link to a folder)",
        "gone.png": "(it is a link to nothing)",
        "loop.png": "(Too many levels of symbolic links)",
        "pipe.png": special,
        "removed.png": "(No such file or directory)",
        "socket.png": special,
    }


def test_a_link_to_a_picture_is_read(tmp_path):
    (tmp_path / "x.png").write_bytes(written("PNG"))
    (tmp_path / "link.png").symlink_to("x.png")
    assert [pictures.only(path).size for path in pictures.files(tmp_path)] == [(11, 9)] * 2


def test_what_may_not_be_read_is_named(tmp_path, monkeypatch):
    (tmp_path / "shut").mkdir()
    (tmp_path / "x.png").write_bytes(written("PNG"))
    scan = pictures.scandir

    def denied(path, *_, **__):
        raise PermissionError(13, "Permission denied", str(path))

    monkeypatch.setattr(pictures, "scandir", lambda path: denied(path) if path.name == "shut" else scan(path))
    monkeypatch.setattr(pictures.Image, "open", denied)
    shut, picture = pictures.files(tmp_path)
    with pytest.raises(InputError, match=r"shut cannot be read \(it is a folder that cannot be listed\): replace or remove it$"):
        list(pictures.read(shut))
    with pytest.raises(InputError, match=r"x\.png cannot be read as a picture \(Permission denied\): replace or remove it$"):
        list(pictures.read(picture))


def test_a_folder_is_walked_in_order_without_hidden_names_and_loops(tmp_path):
    for name in ("b/2.png", "b/10.png", "a.png", ".hidden/x.png", "b/.hidden.png", "c.png/inside"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_text("")
    (tmp_path / "b/up").symlink_to("..")
    (tmp_path / "link.png").symlink_to("a.png")
    found = [str(path.relative_to(tmp_path)) for path in pictures.files(tmp_path)]
    assert found == ["a.png", "b/10.png", "b/2.png", "b/up", "c.png/inside", "link.png"]


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        (b"plain name.png", "plain name.png"),
        ("日本 é.png".encode(), "日本 é.png"),
        (b"caf\xe9.png", r"caf\xe9.png"),
        (b"two\nlines\r.png", r"two\nlines\r.png"),
        (b"esc\x1b[31mred.png", r"esc\x1b[31mred.png"),
        (b"two\\nlines.png", r"two\\nlines.png"),
        ("turned\u202e\x85.png".encode(), r"turned\xe2\x80\xae\xc2\x85.png"),
    ],
)
def test_a_name_is_shown_on_one_line_that_is_no_other_s(name, expected):
    text = shown(os.fsdecode(name))
    assert text == expected
    assert text.isprintable()
    text.encode()


def test_what_an_error_says_is_one_line_with_the_path_as_it_is_shown(tmp_path):
    path = tmp_path / "two\nlines.png"
    assert said(ValueError(f"no picture in {path}:\n  at\x1b 3."), path) == rf"no picture in {shown(path)}: at\x1b 3"
    assert said(FileNotFoundError(2, "No such file or directory", str(path)), path) == "No such file or directory"
    assert said(ValueError(), path) == "ValueError"
    assert said(ValueError("\ud800\udce9"), path) == r"\xed\xa0\x80\xe9"
