"""annotations.json: what label maps cannot say, kept beside them."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from ...annotations import check_object_id
from ...errors import FormatError, InputError
from .label_maps import Color

NOTES_NAME = "annotations.json"
_VERSION = 1


@dataclass(frozen=True)
class FrameNote:
    """What is noted about one frame."""

    objects: tuple[int, ...] | None = None
    """The objects its map speaks about; None where it speaks about all."""
    absent: tuple[int, ...] = ()
    """Objects declared absent."""
    overlaps: Mapping[int, str] = field(default_factory=dict)
    """Files with masks that lie over the map, by id; read in folders of 0.1.0, never written."""


@dataclass(frozen=True)
class AbsenceNote:
    """Frames without an object, by the sequence's own numbers, both ends included."""

    object_id: int
    first: int
    last: int


@dataclass(frozen=True)
class Notes:
    """The whole file."""

    names: Mapping[int, str] = field(default_factory=dict)
    colors: Mapping[int, Color] = field(default_factory=dict)
    absences: tuple[AbsenceNote, ...] = ()
    frames: Mapping[str, FrameNote] = field(default_factory=dict)
    """By name of the frame."""


def notes_to_json(notes: Notes) -> str:
    """The notes as JSON text."""
    content = {
        "version": _VERSION,
        "names": {str(i): name for i, name in notes.names.items()},
        "colors": {str(i): list(color) for i, color in notes.colors.items()},
        "absences": [
            {"object": a.object_id, "first": a.first, "last": a.last} for a in notes.absences
        ],
        "frames": {name: _frame_content(note) for name, note in notes.frames.items()},
    }
    return json.dumps(content, indent=2, ensure_ascii=False)


def notes_from_json(text: str | bytes, path: Path) -> Notes:
    """The notes in JSON text; every key may be missing.

    Raises:
        FormatError: the text is not as docs/masks.md says.
    """
    try:
        content = json.loads(text)
        if not isinstance(content, dict):
            raise InputError("an object {...} must hold everything")
        _check_keys(content, "the file", ("version", "names", "colors", "absences", "frames"))
        if content.get("version", _VERSION) != _VERSION:
            raise InputError(f"version {content['version']!r} is unknown, this program reads 1")
        return Notes(
            names={_object_id(k): _text(v) for k, v in _table(content, "names").items()},
            colors={_object_id(k): _color(v) for k, v in _table(content, "colors").items()},
            absences=tuple(_absence(a) for a in _list(content, "absences")),
            frames={k: _frame_note(k, v) for k, v in _table(content, "frames").items()},
        )
    except (ValueError, RecursionError) as error:
        raise FormatError(path, f"is not valid: {error}") from error


def _frame_content(note: FrameNote) -> dict[str, Any]:
    content: dict[str, Any] = {}
    if note.objects is not None:
        content["objects"] = list(note.objects)
    if note.absent:
        content["absent"] = list(note.absent)
    return content


def _frame_note(name: str, content: Any) -> FrameNote:
    if not isinstance(content, dict):
        raise InputError(f'frame "{name}" is {content!r}, it must be an object {{...}}')
    _check_keys(content, f'frame "{name}"', ("objects", "absent", "overlaps"))
    objects = _ids(content, "objects") if "objects" in content else None
    overlaps = {_object_id(k): _text(v) for k, v in _table(content, "overlaps").items()}
    return FrameNote(objects, _ids(content, "absent"), overlaps)


def _absence(content: Any) -> AbsenceNote:
    keys = ("object", "first", "last")
    if not isinstance(content, dict) or set(content) != set(keys):
        raise InputError(
            f'absence {content!r} must be like {{"object": 2, "first": 100, "last": 140}}'
        )
    numbers = [content[key] for key in keys]
    if not all(_is_integer(n) for n in numbers):
        raise InputError(f"absence {content!r} must hold integers")
    if content["last"] < content["first"]:
        raise InputError(f"absence {content!r} runs backward; write the smaller number first")
    return AbsenceNote(check_object_id(content["object"]), content["first"], content["last"])


def _check_keys(content: dict[str, Any], what: str, known: tuple[str, ...]) -> None:
    for key in content:
        if key not in known:
            raise InputError(f'{what} has the unknown key "{key}"; known are ' + ", ".join(known))


def _table(content: dict[str, Any], key: str) -> dict[str, Any]:
    value = content.get(key, {})
    if not isinstance(value, dict):
        raise InputError(f'"{key}" is {value!r}, it must be an object {{...}}')
    return value


def _list(content: dict[str, Any], key: str) -> list[Any]:
    value = content.get(key, [])
    if not isinstance(value, list):
        raise InputError(f'"{key}" is {value!r}, it must be a list [...]')
    return value


def _ids(content: dict[str, Any], key: str) -> tuple[int, ...]:
    return tuple(sorted({_object_id(i) for i in _list(content, key)}))


def _object_id(value: Any) -> int:
    if isinstance(value, str) and value.isascii() and value.isdigit():
        value = int(value)
    if not _is_integer(value):
        raise InputError(f"object id {value!r} is not an integer from 1 to 255")
    return check_object_id(value)


def _text(value: Any) -> str:
    if not isinstance(value, str):
        raise InputError(f"{value!r} must be text")
    return value


def _color(value: Any) -> Color:
    if (
        not isinstance(value, list)
        or len(value) != 3
        or not all(_is_integer(c) and 0 <= c <= 255 for c in value)
    ):
        raise InputError(f"color {value!r} must be three integers 0 to 255, such as [255, 128, 0]")
    red, green, blue = value
    return red, green, blue


def _is_integer(value: Any) -> bool:
    return isinstance(value, int) and not isinstance(value, bool)
