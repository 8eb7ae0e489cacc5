"""Entries of a section of params.yaml, put in and taken out as text, so that every other byte of the file stays.

`yaml` says where the section is, but does not write it. A new entry comes last, in one line where it fits into that of DVC, which
keeps such a line when it writes the file itself; an empty section, `own: {}`, is empty again without its only entry. What comes
out has to read as the wanted values before it takes the file's place, and it does so together with a folder that is renamed.
"""

import contextlib
import fcntl
import json
import os
import re
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import yaml

from likelihood.common import params
from likelihood.common.errors import InputError
from likelihood.data.pictures import shown
from likelihood.detection.command import unfinished

WIDTH = 80  # columns, after which DVC breaks a line
STEP = 2  # columns, by which DVC indents
BREAK = re.compile(r"\r?\n|\Z")


def flow(value: Any) -> str:  # noqa: ANN401
    """Nested values in one line; names need no quotes (settings/checks.py)."""
    if isinstance(value, dict):
        return f"{{{', '.join(f'{key}: {flow(each)}' for key, each in value.items())}}}"
    if isinstance(value, list):
        return f"[{', '.join(map(flow, value))}]"
    return value if isinstance(value, str) else json.dumps(value)


def added(text: str, section: str, name: str, content: dict[str, Any]) -> str:
    """The text of params.yaml with an entry more at the end of a section."""
    key, node = _section(text, section)
    newline = "\r\n" if "\r\n" in text else "\n"
    separator = f",{newline}{STEP * ' '}"
    if node.flow_style and text[key.end_mark.index : node.end_mark.index] != ": {}":  # with entries, or written in another way
        place = _end(node.value[-1][1]) if node.value else node.end_mark.index - 1
        return _with(text, place, f"{separator if node.value else ''}{name}: {flow(content)}")
    if node.flow_style:
        text, end, indent = text[: key.end_mark.index + 1] + text[node.end_mark.index :], key.end_mark.index + 1, STEP
    else:
        end, indent = _end(node.value[-1][1]), node.value[0][0].start_mark.column
    lines = [f"{indent * ' '}{name}: {flow(content)}"]
    if len(lines[0]) > WIDTH:
        inner = (indent + STEP) * " "
        lines = [f"{indent * ' '}{name}:", *(f"{inner}{each}: {flow(value)}" for each, value in content.items())]
    return _with(text, _line_end(text, end), "".join(newline + line for line in lines))


def taken(text: str, section: str, name: str) -> str:
    """The text of params.yaml without an entry of a section; the lines above it stay, and what follows it in its line goes."""
    key, node = _section(text, section)
    at = next(number for number, (each, _) in enumerate(node.value) if each.value == name)
    start, end = node.value[at][0].start_mark.index, _end(node.value[at][1])
    if node.flow_style:
        if at:
            start = _end(node.value[at - 1][1])
        elif len(node.value) > 1:
            end = node.value[1][0].start_mark.index
        return text[:start] + text[end:]
    start = text.rindex("\n", 0, start)
    start -= text[start - 1] == "\r"
    text = text[:start] + text[_line_end(text, end) :]
    return text if len(node.value) > 1 else _with(text, key.end_mark.index + 1, " {}")


@contextlib.contextmanager
def alone() -> Iterator[None]:
    """Change files as the only one of these commands in this folder; InputError where another is at work."""
    folder = os.open(params.FILE.parent, os.O_RDONLY)
    try:
        try:
            fcntl.flock(folder, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            others = "`likelihood add`, `remove`, `pull`, `merge` or `docs`"
            raise InputError(f"another {others} is at work in this folder: wait for it") from None
        except OSError:
            pass  # a file system that knows no locks
        yield
    finally:
        os.close(folder)


@contextlib.contextmanager
def temporary(place: Path) -> Iterator[Path]:
    """A place for a file or folder that is gone at the end, whatever happens, unless it has been renamed."""
    with unfinished.change():
        _remove(place)  # what a killed run has left
        unfinished.places.add(place)
    try:
        yield place
    finally:
        with unfinished.change():
            _remove(place)
            unfinished.places.discard(place)


@contextlib.contextmanager
def replacing(path: Path) -> Iterator[Path]:
    """A file to be written, which takes the place of another one at the end, whole or not at all; makes the folder."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with temporary(path.with_name(f".{path.name}.partial")) as partial:
        yield partial
        os.replace(partial, path)


def put(path: Path, content: bytes) -> None:
    """Write a file, or what a link leads to, whole or not at all; makes the folder. One that was there keeps its permissions."""
    file = Path(os.path.realpath(path))
    with replacing(file) as partial:
        partial.write_bytes(content)
        if file.exists():
            shutil.copymode(file, partial)


@contextlib.contextmanager
def changed(before: str, text: str, values: dict[str, Any], old: Path, new: Path) -> Iterator[None]:
    """At the end write params.yaml and rename a folder, if there is one: both or, after any error or signal, neither.

    InputError where the text does not read as the values, cannot be written, or where params.yaml is not what it was before.
    """
    file = params.FILE.resolve()
    try:
        if not os.access(file, os.W_OK):
            raise InputError(f"{params.FILE} is write-protected: change its permissions and run the same again")
        with temporary(file.with_name(f".{file.name}.partial")) as partial:
            with partial.open("w", encoding="utf-8", newline="") as opened:
                opened.write(text)
                opened.flush()
                os.fsync(opened.fileno())  # some file systems tell only then that there was no space
            if _read(partial) != values:
                raise InputError(
                    f"{params.FILE} is laid out in a way that is kept as it is: change `own` and `benchmarks` by hand"
                )
            shutil.copymode(file, partial)
            yield
            with unfinished.change():
                if file.read_bytes() != before.encode():
                    raise InputError(f"{params.FILE} has been changed meanwhile: run the same again")
                _put(partial, file, old, new)
    except OSError as error:
        raise InputError(
            f"{shown(error.filename or params.FILE)} cannot be written ({error.strerror}): nothing is changed"
        ) from None


def _put(partial: Path, file: Path, old: Path, new: Path) -> None:
    moved = os.path.lexists(old)
    if moved:
        os.rename(old, new)
    try:
        os.replace(partial, file)
    except BaseException:
        if moved:
            os.rename(new, old)
        raise


def _read(path: Path) -> dict[str, Any] | None:
    with contextlib.suppress(InputError):
        return params.load(path)
    return None


def _remove(place: Path) -> None:
    """Remove a file, a link or a folder, of which links lead nowhere."""
    if place.is_dir() and not place.is_symlink():
        shutil.rmtree(place)
    else:
        place.unlink(missing_ok=True)


def _section(text: str, name: str) -> tuple[yaml.Node, yaml.MappingNode]:
    """The key of a section of the file and its value, with their places."""
    root = yaml.compose(text, yaml.SafeLoader)
    return next((key, node) for key, node in root.value if key.value == name)


def _end(node: yaml.Node) -> int:
    """Where a node ends; that of a block is told by the last value in it, as its own mark is where the next key begins."""
    if isinstance(node, yaml.CollectionNode) and not node.flow_style:
        last = node.value[-1]
        return _end(last[1] if isinstance(node, yaml.MappingNode) else last)
    return node.end_mark.index


def _line_end(text: str, place: int) -> int:
    return BREAK.search(text, place).start()


def _with(text: str, place: int, more: str) -> str:
    return text[:place] + more + text[place:]
