"""What people write of an export, on a command line or in a node, as a job."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from ..errors import InputError
from ..formats.frames.numbering import parse_range
from ..formats.mattes.table import FORMATS
from ..strict_json import parse_json
from ..track.track import Track
from .alpha import MatteObject
from .plan import Existing, MatteJob
from .presets import MatteSettings, load_preset

_MOST_DIGITS = 10
"""Of an object's id; more are no id, and may be too many to be read as a number."""


@dataclass(frozen=True)
class MatteChoice:
    """An export in words."""

    preset: str = "png"
    """A preset's name, or a TOML file."""
    values: Mapping[str, Any] = field(default_factory=dict)
    """Fields of the preset that are to be others, by name."""
    objects: str = ""
    """Objects by id or name, such as "1, hat"; empty = all, or none where objects are joined."""
    joined: Sequence[str] = ()
    """Mattes of several objects, each as "people=1,2"."""
    frame_range: str = ""
    """Frames "1009-1100" by the shot's own numbers; empty = all that the track holds."""
    handles_frames: int = 0
    """Frames more before and after the range, as far as the track goes."""
    shot: str = ""
    """Name of the shot; empty = made of the plate's name."""
    version: int = 1
    existing: Existing = "refuse"


def matte_job(track: Track, output: Path, choice: MatteChoice) -> MatteJob:
    """The job of a choice.

    Raises:
        InputError: the choice cannot be understood, or the track lacks what it names.
        FormatError: the preset's file cannot be read.
    """
    if choice.version < 0:
        raise InputError(f"the version is {choice.version}, allowed is 0 and up")
    return MatteJob(
        output,
        chosen_settings(choice.preset, choice.values),
        shot=choice.shot.strip() or None,
        frames=_frames(choice, track),
        object_ids=object_ids_of(choice.objects, track) if choice.objects.strip() else (),
        joined=tuple(_joined(text, track) for text in choice.joined if text.strip()),
        version=choice.version,
        existing=choice.existing,
    )


def chosen_settings(preset: str, values: Mapping[str, Any]) -> MatteSettings:
    """A preset with some fields changed; another format brings names that fit it."""
    settings, changed = load_preset(preset), dict(values)
    wanted = changed.get("format", settings.format)
    layers = changed.get("layers", settings.layers)
    if "template" not in changed and wanted in FORMATS:
        if wanted != settings.format or layers != settings.layers:
            changed["template"] = default_template(wanted, in_one_file=layers is True)
        changed.setdefault("layers", settings.layers and wanted == "exr")
        changed.setdefault("bits", settings.bits if settings.bits in FORMATS[wanted].bits else None)
    return settings.with_values(changed)


def default_template(format_name: str, *, in_one_file: bool) -> str:
    """Names for a format."""
    kind = FORMATS[format_name]
    what = {"labels": "labels", "cryptomatte": "cryptomatte"}.get(format_name)
    if what is None:
        what = "mattes" if in_one_file else "{object}_matte"
    frame = "" if kind.is_film else ".{frame}"
    return f"{{shot}}_{what}_v{{version:03d}}{frame}{kind.suffix}"


def matte_values(texts: Sequence[str]) -> dict[str, Any]:
    """Fields of "bits=8", "fill=plate", "hard=true".

    Raises:
        InputError: a text is not of the form NAME=VALUE.
    """
    values = {}
    for text in texts:
        name, equals, value = text.partition("=")
        if not equals:
            raise InputError(f"{text.strip()!r} is not of the form NAME=VALUE, such as bits=8")
        values[name.strip()] = _value(value.strip())
    return values


def object_ids_of(text: str, track: Track) -> tuple[int, ...]:
    """Ids of "1, hat".

    Raises:
        InputError: the track has no such object.
    """
    by_name = {name: i for i, name in track.annotations.names.items()}
    ids = set()
    for word in (part.strip() for part in text.split(",")):
        if word in by_name:
            ids.add(by_name[word])
        elif word.isascii() and word.isdecimal() and len(word) < _MOST_DIGITS:
            ids.add(int(word))
        else:
            known = ", ".join([*map(str, track.object_ids), *by_name])
            raise InputError(f"there is no object {word[:80]!r}; objects are {known}")
    return tuple(sorted(ids))


def _value(text: str) -> Any:
    try:
        return parse_json(text)
    except ValueError:
        return text


def _frames(choice: MatteChoice, track: Track) -> tuple[int, ...] | None:
    handles = choice.handles_frames
    if handles < 0:
        raise InputError(f"handles are {handles} frames, allowed is 0 and up")
    if not choice.frame_range.strip():
        return None
    chosen = parse_range(choice.frame_range, track.shot)
    held = set(track.frame_indices)
    wide = range(chosen.start - handles, chosen.stop + handles)
    return tuple(i for i in wide if i in chosen or i in held)


def _joined(text: str, track: Track) -> MatteObject:
    name, equals, ids = text.partition("=")
    if not equals or not name.strip():
        raise InputError(f"{text.strip()!r} is not of the form NAME=ID,ID, such as people=1,2")
    return MatteObject(name.strip(), object_ids_of(ids, track))
