"""Paths of one machine on another: a table of what to put in place of what."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path, PurePosixPath, PureWindowsPath
from typing import Any

from ..errors import FormatError
from ..paths import read_text, resolved_path, user_path
from ..strict_json import parse_json

RULES = "path_mapping_rules"
_FORMATS = {"POSIX": PurePosixPath, "WINDOWS": PureWindowsPath}


@dataclass(frozen=True)
class PathRule:
    """A folder that lies elsewhere here."""

    source: str
    """The folder as the manifest writes it."""
    destination: str
    """The same folder on this machine."""
    source_format: str = "POSIX"
    """How the source is written: POSIX or WINDOWS."""


@dataclass(frozen=True)
class PathMap:
    """Rules in order; the first that fits counts."""

    rules: tuple[PathRule, ...] = ()

    def local(self, folder: Path, text: str) -> Path:
        """A path of a manifest on this machine.

        Args:
            folder: of the manifest; what is relative is below it.
            text: as it stands in the manifest.

        Raises:
            FormatError: it begins with the home folder of nobody, or cannot be followed.
        """
        if (moved := self._by_rule(text)) is not None:
            return moved
        path = user_path(text)
        whole = path if path.is_absolute() else folder / path
        # a pattern's star or mark is no file; what stands before it may be a link
        return resolved_path(whole)

    def moved(self, text: str) -> str:
        """A path where the first rule that fits puts it; as it is where none does."""
        path = self._by_rule(text)
        return text if path is None else str(path)

    def _by_rule(self, text: str) -> Path | None:
        for rule in self.rules:
            kind = _FORMATS[rule.source_format]
            path, source = kind(text), kind(rule.source)
            if path == source or source in path.parents:
                return Path(rule.destination, *path.relative_to(source).parts)
        return None


def load_path_map(path: Path) -> PathMap:
    """The rules in a JSON file as Open Job Description writes it.

    `{"version": "pathmapping-1.0", "path_mapping_rules": [{"source_path_format": "POSIX",
    "source_path": "/mnt/show", "destination_path": "/Volumes/show"}]}`; `{}` has none.

    Raises:
        FormatError: the file cannot be read or is not like that.
    """
    try:
        content = parse_json(read_text(path))
    except ValueError as error:
        if isinstance(error, FormatError):
            raise
        raise FormatError(path, f"is no JSON: {error}") from error
    rules = content.get(RULES, []) if isinstance(content, dict) else None
    if not isinstance(rules, list):
        raise FormatError(path, f'is no path mapping; it must hold a list "{RULES}"')
    return PathMap(tuple(_rules(rules, path)))


def _rules(rules: Iterable[Any], path: Path) -> Iterable[PathRule]:
    for number, rule in enumerate(rules, 1):
        values = rule if isinstance(rule, dict) else {}
        source, destination = values.get("source_path"), values.get("destination_path")
        kind = values.get("source_path_format", "POSIX")
        if not (isinstance(source, str) and isinstance(destination, str) and source):
            raise FormatError(path, f"rule {number} lacks source_path or destination_path")
        if kind not in _FORMATS:
            raise FormatError(path, f"rule {number}: source_path_format is {kind!r}, allowed are "
                              f"{', '.join(_FORMATS)}")  # fmt: skip
        yield PathRule(source, destination, kind)
