r"""Names of files as messages and tables show them: on one line, printable, and never the same for two files.

What cannot be printed is shown as an escape of each of its bytes, `\xe9`, `\n`; a backslash is therefore doubled.
"""

import re
from pathlib import Path


def shown(path: Path | str) -> str:
    """A name on one line, which can be written to any file of Unicode text."""
    return _printable(str(path).replace("\\", "\\\\"))


def said(error: Exception, path: Path) -> str:
    """What an error says, on one line and with that path as it is shown; of one of the system's only what is wrong."""
    text = error.strerror if isinstance(error, OSError) and error.strerror else str(error) or type(error).__name__
    return _printable(re.sub(r"\s*[\r\n]\s*", " ", text.replace(str(path), shown(path)).strip())).rstrip(".")


def _printable(text: str) -> str:
    if text.isprintable():
        return text
    return "".join(each if each.isprintable() else _escaped(each) for each in text)


def _escaped(character: str) -> str:
    # Python keeps a byte that is no UTF-8 as a lone surrogate of this range.
    errors = "surrogateescape" if "\udc80" <= character <= "\udcff" else "surrogatepass"
    return repr(character.encode("utf-8", errors))[2:-1]
