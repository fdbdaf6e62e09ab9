"""Paths that users give: what lies there, said before anything is read.

Reading a FIFO waits for a writer that may never come, so nothing but a regular file is opened.
"""

from __future__ import annotations

import stat
from os import PathLike, fspath
from pathlib import Path
from typing import Literal

from .errors import FormatError

PathKind = Literal["file", "folder", "nothing"]

_OTHER_KINDS = (
    (stat.S_ISFIFO, "a FIFO"),
    (stat.S_ISSOCK, "a socket"),
    (stat.S_ISCHR, "a device"),
    (stat.S_ISBLK, "a device"),
)


def user_path(text: str | PathLike[str]) -> Path:
    """The path with a leading `~` or `~user` replaced by the home folder.

    Raises:
        FormatError: there is no such user.
    """
    path = Path(fspath(text))
    try:
        return path.expanduser()
    except RuntimeError as error:
        raise FormatError(path, "begins with the home folder of a user who does not exist") from (
            error
        )


def path_kind(path: Path) -> PathKind:
    """What lies at a path, links followed.

    Raises:
        FormatError: neither a regular file nor a folder, or it cannot be told.
    """
    try:
        mode = path.stat().st_mode
    except (FileNotFoundError, NotADirectoryError):
        return "nothing"
    except OSError as error:
        raise FormatError(path, f"cannot be read ({error.strerror or error})") from error
    except ValueError as error:  # a NUL character, or one that the file system cannot write
        raise FormatError(path, f"cannot be the name of a file ({error})") from error
    if stat.S_ISREG(mode):
        return "file"
    if stat.S_ISDIR(mode):
        return "folder"
    kind = next((name for test, name in _OTHER_KINDS if test(mode)), "something else")
    raise FormatError(path, f"is {kind} and no regular file; copy its content into a file")


def check_file(path: Path) -> None:
    """Raises FormatError unless a regular file lies at a path."""
    kind = path_kind(path)
    if kind == "nothing":
        raise FormatError(path, "does not exist")
    if kind == "folder":
        raise FormatError(path, "is a folder; give a file")


def read_file(path: str | PathLike[str]) -> bytes:
    """The bytes of a regular file.

    Raises:
        FormatError: there is none, or it cannot be read.
    """
    path = Path(path)
    check_file(path)
    try:
        return path.read_bytes()
    except OSError as error:
        raise FormatError(path, f"cannot be read ({error.strerror or error})") from error


def names_in(folder: Path) -> list[str]:
    """Names of what lies in a folder, sorted.

    Raises:
        FormatError: it is no folder, or is closed to the user.
    """
    try:
        return sorted(path.name for path in folder.iterdir())
    except OSError as error:
        raise FormatError(folder, f"cannot be read ({error.strerror or error})") from error


def resolved_path(text: str | PathLike[str]) -> Path:
    """The path without links, `~` replaced; what does not exist is kept as it is.

    Raises:
        FormatError: its links run in a circle, or it cannot be a path.
    """
    path = user_path(text)
    try:
        return path.resolve()
    except (OSError, RuntimeError, ValueError) as error:
        raise FormatError(path, f"cannot be followed ({error})") from error


def check_writable_text(text: str, where: Path) -> None:
    """Raises FormatError for a name that cannot stand in the UTF-8 files written later."""
    try:
        text.encode("utf-8")
    except UnicodeEncodeError as error:
        shown = ascii(text)
        raise FormatError(where, f"the name {shown} is not valid Unicode; rename it") from error


def read_text(path: str | PathLike[str]) -> str:
    """The UTF-8 text in a regular file.

    Raises:
        FormatError: there is none, it cannot be read, or it is no UTF-8.
    """
    try:
        return read_file(path).decode("utf-8")
    except UnicodeDecodeError as error:
        raise FormatError(Path(path), f"is no text in UTF-8 ({error.reason})") from error
