"""Mattes of other programs: which files and layers hold those of which object."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from PIL import Image

from ...errors import FormatError
from ...paths import path_kind
from ..annotations.label_maps import read_label_map
from ..frames.images import IMAGE_SUFFIXES
from ..frames.listing import NumberedFile, is_pattern, list_folder, list_pattern, numbered
from .clips import FILM_SUFFIXES, MatteClip, PickedObject
from .cryptomatte_reading import CoverageReader, find_objects
from .exr_channels import channel_names, read_header
from .sidecar_reading import clips_of_sidecar, is_sidecar


def find_mattes(path: Path, channel: str | None = None) -> list[MatteClip]:
    """The mattes in a file, a pattern `matte.####.exr`, or a folder.

    A folder holds a JSON that an export wrote, or a folder or film for each object, or one
    sequence. Layers of OpenEXR files are an object each.

    Args:
        path: where they lie.
        channel: layer or channel to read, as "hat", "hat.A", "R", or objects of a Cryptomatte by
            name, as "hat, coat"; None = alpha of every layer, every object of a Cryptomatte.

    Raises:
        FormatError: nothing there is a matte.
    """
    if is_pattern(path) and path_kind(path) == "nothing":
        return _sequence(
            path.name.split(".")[0].rstrip("#@%_- ") or "matte", list_pattern(path), channel
        )
    if path_kind(path) == "file":
        if path.suffix.lower() == ".json":
            return clips_of_sidecar(path, channel)
        if path.suffix.lower() in FILM_SUFFIXES:
            return [MatteClip(path.stem, None, (NumberedFile(0, path),), channel)]
        return _sequence(path.stem, [numbered(path)], channel)
    if path_kind(path) == "nothing":
        raise FormatError(path, "does not exist")
    return _of_folder(path, channel)


def _of_folder(folder: Path, channel: str | None) -> list[MatteClip]:
    inside = sorted(p for p in folder.iterdir() if not p.name.startswith("."))
    sidecars = [p for p in inside if p.suffix == ".json" and is_sidecar(p)]
    if len(sidecars) > 1:
        names = ", ".join(p.name for p in sidecars)
        raise FormatError(folder, f"holds several exports, {names}; give one of these files")
    if sidecars:
        return clips_of_sidecar(sidecars[0], channel)
    films = [p for p in inside if p.suffix.lower() in FILM_SUFFIXES]
    folders = [p for p in inside if p.is_dir()]
    if films:
        return [MatteClip(p.stem, None, (NumberedFile(0, p),), channel) for p in films]
    if folders:
        return [clip for one in folders for clip in _sequence(one.name, list_folder(one), channel)]
    return _sequence(folder.name, list_folder(folder), channel)


def _sequence(name: str, files: Sequence[NumberedFile], channel: str | None) -> list[MatteClip]:
    """The clips of one sequence: one, or one for each layer of OpenEXR files."""
    if not files:
        raise FormatError(name, "holds no picture")
    path = files[0].path
    if path.suffix.lower() not in IMAGE_SUFFIXES:
        kinds = ", ".join((*IMAGE_SUFFIXES, *FILM_SUFFIXES))
        raise FormatError(path, f"is no matte that can be read; files end in {kinds}")
    if channel is None and _is_palette(path):
        found = {int(i) for file in files for i in read_label_map(file.path).unique() if i}
        return [MatteClip(f"object{i}", i, tuple(files), f"#{i}") for i in sorted(found)]
    if path.suffix.lower() != ".exr":
        return [MatteClip(name, None, tuple(files), channel)]
    return _exr_clips(name, tuple(files), channel)


def _exr_clips(name: str, files: tuple[NumberedFile, ...], channel: str | None) -> list[MatteClip]:
    names = channel_names(read_header(files[0].path))
    is_channel = channel in names or f"{channel}.A" in names
    found = [] if is_channel else find_objects([file.path for file in files], channel)
    if found:
        reader = CoverageReader()
        return [MatteClip(one.name, None, files, None, PickedObject(one, reader)) for one in found]
    layers = [one.removesuffix(".A") for one in names if one.endswith(".A")]
    if channel is not None or not layers:
        return [MatteClip(name, None, files, channel)]
    return [MatteClip(layer, None, files, f"{layer}.A") for layer in layers]


def _is_palette(path: Path) -> bool:
    """Whether a picture is a palette PNG, and so a label map."""
    if path.suffix.lower() != ".png":
        return False
    try:
        with Image.open(path) as image:
            return image.mode == "P"
    except (OSError, ValueError, SyntaxError, Image.DecompressionBombError):
        return False  # the reader says what is wrong with it
