"""TOML with the line of every key, so that what is wrong with a value can be found."""

from __future__ import annotations

import re
import tomllib
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from ..paths import read_text
from .faults import Fault, ManifestError

Place = tuple[str | int, ...]
"""Keys, and positions in arrays of tables, from the top of the file to a value."""

MAX_STATEMENT_LINES = 1000
"""Finding the end of longer statements would take minutes."""

_AT_LINE = re.compile(r"\s*\(at line (\d+), column \d+\)")
_AT_END = re.compile(r"\s*\(at end of document\)")


@dataclass(frozen=True)
class TomlFile:
    """The values of a file and where they stand."""

    path: Path
    values: dict[str, Any]
    lines: dict[Place, int] = field(default_factory=dict)
    """Line of each table header and key, counted from 1."""

    def line(self, *place: str | int) -> int:
        """Line of a value; of what it stands in, where it has none of its own."""
        while place and place not in self.lines:
            place = place[:-1]
        return self.lines.get(place, 1)


def read_toml(path: Path) -> TomlFile:
    """A TOML file.

    Raises:
        FormatError: it is not there or cannot be read.
        ManifestError: it is no TOML; says in which line.
    """
    return parse_toml(read_text(path), path)


def parse_toml(text: str, path: Path) -> TomlFile:
    """The values of a TOML text; `path` is for messages.

    Raises:
        ManifestError: it is no TOML; says in which line.
    """
    text = text.removeprefix("\ufeff")
    try:
        values, places = tomllib.loads(text), dict(_places(text))
    except tomllib.TOMLDecodeError as error:
        raise ManifestError(path, [_syntax_fault(path, text, str(error))]) from error
    except (RecursionError, ValueError) as error:  # nested deeply, a date or number out of range
        problem = f"this is no TOML: {error or 'it is nested too deeply'}"
        raise ManifestError(path, [Fault(path, 1, problem)]) from error
    return TomlFile(path, values, places)


def _syntax_fault(path: Path, text: str, said: str) -> Fault:
    found = _AT_LINE.search(said)
    line = int(found[1]) if found else text.count("\n") + 1
    return Fault(path, line, f"this is no TOML: {_AT_END.sub('', _AT_LINE.sub('', said))}")


def _places(text: str) -> Iterator[tuple[Place, int]]:
    """Places and lines of a text that is TOML.

    A statement that goes on in the next line is no TOML until its last one, so that TOML itself
    says where statements end.
    """
    table: Place = ()
    counts: dict[tuple[str, ...], int] = {}
    for line, statement in _statements(text):
        content = tomllib.loads(statement)
        if statement.lstrip().startswith("["):
            table = _table(content, statement, counts)
            yield table, line
        else:
            for place in _keys(content):
                yield (*table, *place), line


def _statements(text: str) -> Iterator[tuple[int, str]]:
    """The first line of each statement, and the statement."""
    begun, first = "", 0
    for number, line in enumerate(text.split("\n"), 1):
        if not begun and not line.split("#")[0].strip():
            continue
        first = first if begun else number
        if number - first >= MAX_STATEMENT_LINES:
            raise ValueError(f"a value goes on for more than {MAX_STATEMENT_LINES} lines")
        begun += f"{line}\n"
        try:
            tomllib.loads(begun)
        except tomllib.TOMLDecodeError:
            continue
        yield first, begun
        begun = ""


def _table(content: dict[str, Any], statement: str, counts: dict[tuple[str, ...], int]) -> Place:
    """The place of a table header; those of an array are counted."""
    names: tuple[str, ...] = next(_keys(content, into_arrays=True))
    if statement.lstrip().startswith("[["):
        counts[names] = counts.get(names, -1) + 1
    place: list[str | int] = []
    for end in range(1, len(names) + 1):
        place.append(names[end - 1])
        if names[:end] in counts:
            place.append(counts[names[:end]])
    return tuple(place)


def _keys(content: dict[str, Any], *, into_arrays: bool = False) -> Iterator[tuple[str, ...]]:
    """Every key of a statement, those of inline tables among them."""
    for name, value in content.items():
        inner = value[0] if into_arrays and isinstance(value, list) else value
        if not into_arrays:
            yield (name,)
        below = list(_keys(inner, into_arrays=into_arrays)) if isinstance(inner, dict) else []
        yield from ((name, *rest) for rest in below)
        if into_arrays and not below:
            yield (name,)
