"""The JSON that an export writes beside its mattes, read again."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from ...annotations import check_object_id
from ...errors import FormatError
from ...format_version import check_format_version
from ...strict_json import parse_json
from ..frames.listing import NumberedFile
from .clips import MatteClip, PickedObject
from .cryptomatte_ids import LAYER, hash_of
from .cryptomatte_reading import CoverageReader, CryptoObject
from .names import layer_names, manifest_names

SIDECAR_FORMAT = "xmempp-mattes"
SIDECAR_VERSION = 1


def read_sidecar(path: Path) -> dict[str, Any] | None:
    """The JSON of an export; None where the file is something else.

    Raises:
        FormatError: a newer version of the program wrote it.
    """
    try:
        content = parse_json(path.read_bytes())
    except (OSError, ValueError):
        return None
    if not isinstance(content, dict) or content.get("format") != SIDECAR_FORMAT:
        return None
    check_format_version(path, content.get("version"), SIDECAR_VERSION)
    return content


def is_sidecar(path: Path) -> bool:
    """Whether a file is the JSON of an export.

    Raises:
        FormatError: a newer version of the program wrote it.
    """
    return path.suffix == ".json" and path.is_file() and read_sidecar(path) is not None


def clips_of_sidecar(path: Path, channel: str | None) -> list[MatteClip]:
    """The clips of an export, with names and ids as it had them.

    Args:
        path: of the JSON.
        channel: of the pictures; where a file holds all objects, the objects to take by name.

    Raises:
        FormatError: it is not the JSON of an export, is damaged, or lists no such object.
    """
    content = read_sidecar(path)
    if content is None:
        raise FormatError(path, "is no JSON that an export of mattes wrote")
    try:
        clips, is_of_all = _listed(path.parent, content, channel)
    except (KeyError, TypeError, ValueError, IndexError, AttributeError) as error:
        raise FormatError(path, f"is damaged: {error}") from error
    if not clips:
        raise FormatError(path, "lists no matte of a single object")
    return _named(path, clips, channel) if channel and is_of_all else clips


def _listed(
    folder: Path, content: dict[str, Any], channel: str | None
) -> tuple[list[MatteClip], bool]:
    """A clip for each single object, and whether all lie in the same files."""
    numbers = [int(number) for number in content["frames"]]
    objects, files = list(content["objects"]), [folder / str(name) for name in content["files"]]
    names = [str(one["name"]) for one in objects]
    picks = _picks(str(content["settings"]["format"]), content, names)
    clips = []
    for index, one in enumerate(objects):
        if len(one["ids"]) != 1:
            continue
        paths = files if picks else files[index :: len(objects)]
        frames = numbers if len(paths) == len(numbers) else [0]
        listed = tuple(NumberedFile(n, p) for n, p in zip(frames, paths, strict=True))
        object_id = check_object_id(one["ids"][0])
        layer, picked = picks[index] if picks else (channel, None)
        clips.append(MatteClip(names[index], object_id, listed, layer, picked))
    return clips, bool(picks)


def _picks(
    format_name: str, content: dict[str, Any], names: Sequence[str]
) -> list[tuple[str | None, PickedObject | None]]:
    """Where each object is in files that hold all; nothing where each has its own."""
    named = dict(enumerate(names))
    if format_name == "cryptomatte":
        reader, stored = CoverageReader(), manifest_names(named).values()
        objects = [CryptoObject(LAYER, name, hash_of(name)) for name in stored]
        return [(None, PickedObject(one, reader)) for one in objects]
    if format_name == "labels":
        return [(f"#{int(one['ids'][0])}", None) for one in content["objects"]]
    if content["settings"]["layers"]:
        return [(f"{layer}.A", None) for layer in layer_names(named).values()]
    return []


def _named(path: Path, clips: Sequence[MatteClip], channel: str) -> list[MatteClip]:
    """The clips of some objects, "hat" or "hat, coat"."""
    wanted = [channel] if channel in {clip.name for clip in clips} else channel.split(",")
    chosen = []
    for name in (part.strip() for part in wanted if part.strip()):
        found = [clip for clip in clips if name in (clip.name, clip.channel)]
        if not found:
            known = ", ".join(clip.name for clip in clips)
            raise FormatError(path, f"lists no object {name!r}; objects are {known}")
        chosen += found
    return chosen
