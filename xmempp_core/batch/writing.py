"""Shots put into a manifest by a program; what people wrote beside them stays."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from ..annotations import AnnotationSet
from ..atomic import write_bytes
from ..errors import FormatError, InputError
from ..file_names import name_fault
from ..folder_lock import locked_folder
from ..formats.annotations.folder import save_annotations
from ..formats.frames.open import open_frames
from ..paths import path_kind, read_text
from .entry_values import NULL
from .manifest import FORMAT_VERSION, manifest_of
from .toml_lines import TomlFile, parse_toml

_HEAD = f'format_version = {FORMAT_VERSION}\noutput = "results"\n'


@dataclass(frozen=True)
class ManifestShot:
    """A shot as it is written into a manifest."""

    name: str
    frames: Path
    """Folder, film or pattern."""
    annotations: AnnotationSet
    """At positions of the frames."""
    frame_range: str = ""
    settings: Mapping[str, Any] = field(default_factory=dict)
    """Fields of PropagationSettings that differ from the defaults."""
    model: str = "lite"
    adapt: str = "off"
    exports: Sequence[str] = ()
    """Presets."""


def put_shot(path: Path, shot: ManifestShot) -> None:
    """Writes a shot's annotations beside a manifest and puts the shot into it.

    A shot of the same name is replaced, all other lines stay as they are. The manifest is made
    where there is none.

    Args:
        path: the manifest, a .toml file; annotations go to `annotations/NAME` beside it.
        shot: what is put in.

    Raises:
        InputError: the name cannot be a folder's, a setting is wrong, or nothing is annotated.
        FormatError: the frames or the manifest cannot be read, or something cannot be written.
    """
    if problem := name_fault(shot.name) or ("contains a comma" if "," in shot.name else None):
        raise InputError(f"shot name {shot.name!r} {problem}; choose another")
    if not shot.annotations.object_ids:
        raise InputError("no frame is annotated with an object; annotate at least one frame")
    source = open_frames(shot.frames)
    with locked_folder(path.parent):
        text = _text_without(path, shot.name) + _section(path, shot)
        manifest = manifest_of(text, path)
        if faults := [fault for fault in manifest.faults if shot.name in fault.problem]:
            raise InputError(faults[0].problem)
        save_annotations(shot.annotations, path.parent / "annotations" / shot.name, source)
        write_bytes(path, text.encode())


def _text_without(path: Path, name: str) -> str:
    """The manifest without a shot; a new one's beginning where there is none."""
    if path_kind(path) == "nothing":
        return _HEAD
    text = read_text(path)
    file = parse_toml(text, path)
    shots = file.values.get("shot", [])
    if not isinstance(shots, list):
        raise FormatError(path, "is no manifest: shot must be an array of tables")
    lines = text.split("\n")
    for position in reversed(range(len(shots))):
        if isinstance(shots[position], dict) and shots[position].get("name") == name:
            first, last = _extent(file, position, len(lines))
            del lines[first:last]
    kept = "\n".join(lines).rstrip()
    return f"{kept}\n" if kept else _HEAD


def _extent(file: TomlFile, position: int, count: int) -> tuple[int, int]:
    """The lines of a shot, from its header to that of the next table that is not its own."""
    own = ("shot", position)
    first = file.lines[own]
    headers = [
        line
        for place, line in file.lines.items()
        if line > first and place[: len(own)] != own and (len(place) == 1 or place[-1] == place[1])
    ]
    return first - 1, min(headers, default=count + 1) - 1


def _section(path: Path, shot: ManifestShot) -> str:
    """The shot as TOML."""
    values = {
        "name": shot.name,
        "frames": shot.frames.as_posix(),
        "annotations": f"annotations/{shot.name}",
        "range": shot.frame_range,
        "settings": dict(shot.settings),
        "model": shot.model,
        "adapt": shot.adapt,
        "exports": list(shot.exports),
    }
    told = {name: one for name, one in values.items() if one not in ("", {}, [])}
    lines = [f"{name} = {_value(one)}" for name, one in told.items()]
    return "\n".join(["", "[[shot]]", *lines, ""])


def _value(value: Any) -> str:
    """A value as TOML; its strings and numbers are those of JSON."""
    if isinstance(value, dict):
        pairs = (f"{_value(key)} = {_value(one)}" for key, one in value.items())
        return f"{{{', '.join(pairs)}}}"
    if isinstance(value, list):
        return f"[{', '.join(map(_value, value))}]"
    if value is None:
        return f'"{NULL}"'
    return json.dumps(value, ensure_ascii=False).replace("\x7f", "\\u007f")
