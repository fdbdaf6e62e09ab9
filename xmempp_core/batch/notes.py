"""What a batch remembers of a shot: what its results were made from, and which files they are."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any, Literal

from ..atomic import write_bytes
from ..errors import FormatError
from ..format_version import check_format_version
from ..paths import read_text
from ..strict_json import parse_json

STATE_FOLDER = ".batch"
"""Below the manifest's output: a folder for each shot, with its notes and ranges."""
_NOTES = "notes.json"
_KEY = "format_version"
_FORMAT_VERSION = 1


@dataclass(frozen=True)
class ShotNotes:
    """What is known of a shot's results."""

    state: Literal["begun", "finished"]
    facts: Mapping[str, str]
    """What they are made from, by name."""
    files: tuple[str, ...] = ()
    """Results, and what may be left of earlier ones, relative to the shot's output."""
    sizes_bytes: tuple[int, ...] = ()
    """Of each file, once finished."""
    seconds: float = 0.0
    """That the shot took."""
    circumstances: Mapping[str, str] = field(default_factory=dict)
    """Program, device and threads that made them."""

    @property
    def is_finished(self) -> bool:
        """Whether all results are there."""
        return self.state == "finished"

    def changed_from(self, facts: Mapping[str, str]) -> list[str]:
        """Names of the facts that are others now."""
        names = [*facts, *(name for name in self.facts if name not in facts)]
        return [name for name in names if self.facts.get(name) != facts.get(name)]

    def missing_file(self, output: Path) -> str | None:
        """A result that is gone or has another size; None where all are whole."""
        for name, size_bytes in zip(self.files, self.sizes_bytes, strict=True):
            path = output / name
            if not path.is_file() or path.stat().st_size != size_bytes:
                return name
        return None


def content_hash(facts: Mapping[str, str]) -> str:
    """Hexadecimal SHA-256 of what something is made from."""
    return hashlib.sha256(json.dumps(dict(facts), sort_keys=True).encode()).hexdigest()


def write_notes(folder: Path, notes: ShotNotes) -> None:
    """Keeps the notes of a shot in its folder of the batch.

    Raises:
        FormatError: they cannot be written.
    """
    content = {_KEY: _FORMAT_VERSION, "content": content_hash(notes.facts), **asdict(notes)}
    text = json.dumps(content, indent=1, ensure_ascii=False)
    write_bytes(folder / _NOTES, f"{text}\n".encode(), durable=True)


def read_notes(folder: Path) -> ShotNotes | None:
    """The notes in a shot's folder of the batch; None where there are none that can be used.

    Raises:
        FormatError: they are of a newer version.
    """
    path = folder / _NOTES
    try:
        content = parse_json(read_text(path))
    except (FormatError, ValueError):
        return None
    if not isinstance(content, dict):
        return None
    check_format_version(path, content.get(_KEY), _FORMAT_VERSION)
    return _notes_of(content)


def _notes_of(content: dict[str, Any]) -> ShotNotes | None:
    try:
        notes = ShotNotes(
            content["state"],
            {str(name): str(value) for name, value in content["facts"].items()},
            tuple(map(str, content["files"])),
            tuple(map(int, content["sizes_bytes"])),
            float(content["seconds"]),
            {str(name): str(value) for name, value in content["circumstances"].items()},
        )
    except (AttributeError, KeyError, TypeError, ValueError):
        return None
    has_sizes = len(notes.sizes_bytes) == len(notes.files) or not notes.is_finished
    return notes if notes.state in ("begun", "finished") and has_sizes else None
