"""The format version that files carry: one that is newer than known is refused, never guessed."""

from __future__ import annotations

from pathlib import Path

from .errors import FormatError

VERSION = "xmempp_format_version"
"""Key of the version in files that others shape too: metadata of models and states."""


def check_format_version(path: Path, version: object, newest: int) -> None:
    """Refuses a file of a format that this program does not know.

    Args:
        path: the file.
        version: what it says, a number or its digits; None where it says nothing, as files of
            0.1.0 do.
        newest: the newest version that is known; all from 1 on are.

    Raises:
        FormatError: the version is newer, or none.
    """
    if version is None or str(version) in map(str, range(1, newest + 1)):
        return
    said = str(version)[:20]
    if said.isdecimal() and int(said) > newest:
        raise FormatError(
            path,
            f"was written by a newer version of the program (format {said}, this one reads up to "
            f"{newest}); update the program",
        )
    raise FormatError(path, f"names no format version ({said!r}); copy or make it again")
