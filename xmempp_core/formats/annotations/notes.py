"""annotations.json: what label maps cannot say, kept beside them."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from ...annotations import MAX_OBJECT_ID, check_object_id
from ...errors import FormatError, InputError
from ...strict_json import parse_json
from .png_pixels import Color

NOTES_NAME = "annotations.json"
_VERSION = 1
_MAX_FRAME_NUMBER = 10**18 - 1
_MAX_SHOWN = 80
_KEYS = ("version", "names", "colors", "absences", "frames", "void")


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
    void: int | None = None
    """The value in the maps that belongs to nobody, 0 = none; None where the file does not tell."""

    @property
    def objects(self) -> frozenset[int]:
        """Ids of all objects that the file speaks about."""
        listed = (i for f in self.frames.values() for i in (*(f.objects or ()), *f.absent))
        covered = (i for f in self.frames.values() for i in f.overlaps)
        absent = (a.object_id for a in self.absences)
        return frozenset((*self.names, *self.colors, *absent, *listed, *covered))


def notes_to_json(notes: Notes) -> str:
    """The notes as JSON text."""
    content = {
        "version": _VERSION,
        **({} if notes.void is None else {"void": notes.void}),
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
        content = parse_json(text)
        if not isinstance(content, dict):
            raise InputError("an object {...} must hold everything")
        _check_keys(content, "the file", _KEYS)
        if content.get("version", _VERSION) != _VERSION:
            raise InputError(
                f"version {_shown(content['version'])} is unknown, this program reads 1"
            )
        notes = Notes(
            names={_object_id(k): _text(v) for k, v in _table(content, "names").items()},
            colors={_object_id(k): _color(v) for k, v in _table(content, "colors").items()},
            absences=tuple(_absence(a) for a in _list(content, "absences")),
            frames={_text(k): _frame_note(k, v) for k, v in _table(content, "frames").items()},
            void=_void(content),
        )
        if notes.void in notes.objects:
            raise InputError(f'"void" is {notes.void}, which is an object as well; change one')
        return notes
    except InputError as error:
        raise FormatError(path, f"is not valid: {error}") from error
    except ValueError as error:
        raise FormatError(path, f"is not valid: {_one_line(str(error))}") from error


def _frame_content(note: FrameNote) -> dict[str, Any]:
    content: dict[str, Any] = {}
    if note.objects is not None:
        content["objects"] = list(note.objects)
    if note.absent:
        content["absent"] = list(note.absent)
    return content


def _frame_note(name: str, content: Any) -> FrameNote:
    if not isinstance(content, dict):
        raise InputError(f"frame {_shown(name)} is {_shown(content)}, it must be an object {{...}}")
    _check_keys(content, f"frame {_shown(name)}", ("objects", "absent", "overlaps"))
    objects = _ids(content, "objects") if "objects" in content else None
    overlaps = {_object_id(k): _text(v) for k, v in _table(content, "overlaps").items()}
    return FrameNote(objects, _ids(content, "absent"), overlaps)


def _absence(content: Any) -> AbsenceNote:
    keys = ("object", "first", "last")
    if not isinstance(content, dict) or set(content) != set(keys):
        raise InputError(
            f'absence {_shown(content)} must be like {{"object": 2, "first": 100, "last": 140}}'
        )
    numbers = [content[key] for key in keys]
    if not all(_is_integer(n) and abs(n) <= _MAX_FRAME_NUMBER for n in numbers):
        raise InputError(f"absence {_shown(content)} must hold integers of at most 18 digits")
    if content["last"] < content["first"]:
        raise InputError(f"absence {_shown(content)} runs backward; write the smaller number first")
    return AbsenceNote(check_object_id(content["object"]), content["first"], content["last"])


def _void(content: dict[str, Any]) -> int | None:
    value = content.get("void")
    if value is not None and not (_is_integer(value) and 0 <= value <= MAX_OBJECT_ID):
        raise InputError(
            f'"void" is {_shown(value)}, it must be an integer from 1 to 255, or 0 for none'
        )
    return value


def _check_keys(content: dict[str, Any], what: str, known: tuple[str, ...]) -> None:
    for key in content:
        if key not in known:
            raise InputError(
                f"{what} has the unknown key {_shown(key)}; known are " + ", ".join(known)
            )


def _table(content: dict[str, Any], key: str) -> dict[str, Any]:
    value = content.get(key, {})
    if not isinstance(value, dict):
        raise InputError(f'"{key}" is {_shown(value)}, it must be an object {{...}}')
    return value


def _list(content: dict[str, Any], key: str) -> list[Any]:
    value = content.get(key, [])
    if not isinstance(value, list):
        raise InputError(f'"{key}" is {_shown(value)}, it must be a list [...]')
    return value


def _ids(content: dict[str, Any], key: str) -> tuple[int, ...]:
    return tuple(sorted({_object_id(i) for i in _list(content, key)}))


def _object_id(value: Any) -> int:
    if isinstance(value, str) and re.fullmatch(r"[0-9]{1,9}", value):
        value = int(value)
    if not _is_integer(value):
        raise InputError(f"object id {_shown(value)} is not an integer from 1 to 255")
    return check_object_id(value)


def _text(value: Any) -> str:
    if not isinstance(value, str):
        raise InputError(f"{_shown(value)} must be text")
    return value


def _color(value: Any) -> Color:
    if (
        not isinstance(value, list)
        or len(value) != 3
        or not all(_is_integer(c) and 0 <= c <= 255 for c in value)
    ):
        raise InputError(
            f"color {_shown(value)} must be three integers 0 to 255, such as [255, 128, 0]"
        )
    red, green, blue = value
    return red, green, blue


def _shown(value: Any) -> str:
    """A value for a message, the end of a long one left out."""
    return _one_line(repr(value))


def _one_line(text: str) -> str:
    text = " ".join(text.split())
    return text if len(text) <= _MAX_SHOWN else f"{text[:_MAX_SHOWN]}..."


def _is_integer(value: Any) -> bool:
    return isinstance(value, int) and not isinstance(value, bool)
