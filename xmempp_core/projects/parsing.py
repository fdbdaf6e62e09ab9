"""Reads the JSON of a revision; whatever the document does not have is refused with a sentence."""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import Any

from ..annotations import AbsenceRange
from ..errors import InputError
from ..strict_json import parse_json
from .document import (
    DOCUMENT_VERSION,
    MAX_PROJECT_OBJECT_ID,
    Document,
    FrameSaid,
    ProjectObject,
)

MAX_DOCUMENT_BYTES = 8 * 2**20
MAX_FRAME_INDEX = 10_000_000
MAX_NAME_LENGTH = 200
CONTENT_NAME = re.compile(r"[0-9a-f]{40}")
"""Names of masks, revisions and clips: the beginning of a SHA-256."""
_COLOR = re.compile(r"#[0-9a-f]{6}")
_INDEX = re.compile(r"0|[1-9][0-9]{0,7}")


def parse_document(data: bytes | str) -> Document:
    """The document of a JSON text.

    Raises:
        InputError: it is no JSON, has a field too few or too many, or a value that cannot be.
    """
    if len(data) > MAX_DOCUMENT_BYTES:
        raise _refused("it", f"has {len(data)} bytes", f"at most {MAX_DOCUMENT_BYTES}")
    try:
        value = parse_json(data)
    except ValueError as error:
        raise InputError(f"the project document is no JSON ({error}); save it again") from error
    return document_of(value)


def document_of(value: Any) -> Document:
    """The document of a parsed JSON value; see `parse_document`."""
    whole = _fields(value, "it", "version source parent objects annotations absent_ranges range")
    _check_version(whole["version"])
    objects = tuple(
        _object(one, f"objects[{n}]") for n, one in enumerate(_list(whole["objects"], "objects"))
    )
    known = [one.object_id for one in objects]
    if repeated := sorted({i for i in known if known.count(i) > 1}):
        raise _refused("objects", f"lists the id {repeated[0]} twice", "each id once")
    frames = {
        _index(text): _said(one, f"annotations[{text}]", known)
        for text, one in _mapping(whole["annotations"], "annotations").items()
    }
    absences = tuple(
        _absence(one, f"absent_ranges[{n}]", known)
        for n, one in enumerate(_list(whole["absent_ranges"], "absent_ranges"))
    )
    return Document(
        source=_name(whole["source"], "source", may_be_empty=True),
        objects=objects,
        frames=frames,
        absences=absences,
        frame_range=_range(whole["range"]),
        parent=_name(whole["parent"], "parent", may_be_empty=True),
    )


def _check_version(version: Any) -> None:
    if version is True or version != DOCUMENT_VERSION:
        newer = isinstance(version, int) and version > DOCUMENT_VERSION
        remedy = "update the program" if newer else "save it again"
        raise InputError(
            f"the project document has version {version!r}, this program reads "
            f"{DOCUMENT_VERSION}; {remedy}"
        )


def _object(value: Any, where: str) -> ProjectObject:
    one = _fields(value, where, "id name color locked visible")
    name, color = one["name"], one["color"]
    if not isinstance(name, str) or len(name) > MAX_NAME_LENGTH:
        raise _refused(f"{where}.name", "is too long or no text", f"{MAX_NAME_LENGTH} characters")
    if not isinstance(color, str) or not _COLOR.fullmatch(color):
        raise _refused(f"{where}.color", f"is {_shown(color)}", "#rrggbb in lower case")
    flags = {key: _flag(one[key], f"{where}.{key}") for key in ("locked", "visible")}
    return ProjectObject(_object_id(one["id"], f"{where}.id"), name, color, **flags)


def _said(value: Any, where: str, known: list[int]) -> FrameSaid:
    one = _fields(value, where, "mask objects absent")
    objects = _object_ids(one["objects"], f"{where}.objects", known)
    absent = _object_ids(one["absent"], f"{where}.absent", known)
    if both := sorted({*objects} & {*absent}):
        raise _refused(where, f"lists object {both[0]} under objects and absent", "one of them")
    if not objects and not absent:
        raise _refused(where, "says nothing", "an object under objects or absent")
    mask = _name(one["mask"], f"{where}.mask", may_be_empty=not objects)
    return FrameSaid(mask, objects, absent)


def _absence(value: Any, where: str, known: list[int]) -> AbsenceRange:
    one = _fields(value, where, "object first last")
    (object_id,) = _object_ids([one["object"]], f"{where}.object", known)
    first, last = (_frame(one[key], f"{where}.{key}") for key in ("first", "last"))
    if last < first:
        raise _refused(where, f"runs backward from {first} to {last}", "first <= last")
    return AbsenceRange(object_id, first, last)


def _range(value: Any) -> tuple[int, int] | None:
    if value is None:
        return None
    if not isinstance(value, list) or len(value) != 2:
        raise _refused("range", f"is {_shown(value)}", "null or [first, last]")
    first, last = (_frame(one, "range") for one in value)
    if last < first:
        raise _refused("range", f"runs backward from {first} to {last}", "first <= last")
    return first, last


def _object_ids(value: Any, where: str, known: Iterable[int]) -> tuple[int, ...]:
    ids = tuple(_object_id(one, where) for one in _list(value, where))
    unknown = next((i for i in ids if i not in known), None)
    if unknown is not None:
        raise _refused(where, f"names object {unknown}", "an id of the list of objects")
    if len(set(ids)) != len(ids):
        raise _refused(where, "repeats an object", "each object once")
    return tuple(sorted(ids))


def _object_id(value: Any, where: str) -> int:
    if not _is_whole(value) or not 1 <= value <= MAX_PROJECT_OBJECT_ID:
        raise _refused(where, f"is {_shown(value)}", f"1 to {MAX_PROJECT_OBJECT_ID}")
    return int(value)


def _frame(value: Any, where: str) -> int:
    if not _is_whole(value) or not 0 <= value <= MAX_FRAME_INDEX:
        raise _refused(where, f"is {_shown(value)}", f"a frame index up to {MAX_FRAME_INDEX}")
    return int(value)


def _index(text: str) -> int:
    if not _INDEX.fullmatch(text) or int(text) > MAX_FRAME_INDEX:
        raise _refused("annotations", f"has the key {_shown(text)}", "a frame index")
    return int(text)


def _name(value: Any, where: str, *, may_be_empty: bool) -> str:
    if value == "" and may_be_empty:
        return ""
    if not isinstance(value, str) or not CONTENT_NAME.fullmatch(value):
        raise _refused(where, f"is {_shown(value)}", "40 digits 0-9a-f")
    return value


def _flag(value: Any, where: str) -> bool:
    if not isinstance(value, bool):
        raise _refused(where, f"is {_shown(value)}", "true or false")
    return value


def _is_whole(value: Any) -> bool:
    return isinstance(value, int) and not isinstance(value, bool)


def _fields(value: Any, where: str, names: str) -> dict[str, Any]:
    """A JSON object that has exactly these fields."""
    mapping, wanted = _mapping(value, where), names.split()
    if unknown := sorted(set(mapping) - set(wanted)):
        raise _refused(where, f"has the field {_shown(unknown[0])}", ", ".join(wanted))
    if missing := [name for name in wanted if name not in mapping]:
        raise _refused(where, f"lacks the field {missing[0]}", ", ".join(wanted))
    return mapping


def _mapping(value: Any, where: str) -> dict[str, Any]:
    if not isinstance(value, dict):
        raise _refused(where, f"is {_shown(value)}", "a JSON object")
    return value


def _list(value: Any, where: str) -> list[Any]:
    if not isinstance(value, list):
        raise _refused(where, f"is {_shown(value)}", "a list")
    return value


def _shown(value: Any) -> str:
    text = repr(value)
    return text if len(text) <= 40 else text[:37] + "..."


def _refused(where: str, what: str, allowed: str) -> InputError:
    subject = "the project document" if where == "it" else f"the project document: {where}"
    return InputError(f"{subject} {what}, allowed is {allowed}; reload the page and save again")
