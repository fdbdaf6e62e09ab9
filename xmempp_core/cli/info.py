"""`info` and `convert`: what is in a file, and a model file in another format."""

from __future__ import annotations

import argparse
import json
import os
from pathlib import Path
from typing import Any

from ..errors import XMemError
from ..formats.annotations.folder import load_annotations
from ..formats.annotations.notes import NOTES_NAME
from ..formats.annotations.summary import found_objects
from ..formats.frames.open import open_frames
from ..formats.tracks import load_track
from ..network.checkpoint import BUNDLED, convert, load_model
from ..network.weights_file import SUFFIXES
from ..paths import path_kind, user_path
from ..runtime import Runtime
from ..track.track import Track
from ..types import FrameSource, ModelInfo


def add_commands(commands: Any) -> None:
    """Adds `info` and `convert`."""
    info = commands.add_parser(
        "info", help="what is in a model, a clip, an annotation folder or a track"
    )
    info.add_argument("path", help="lite, a model, a video, a folder, a pattern or a .xmtrack file")
    info.set_defaults(run=run_info)
    to_safe = commands.add_parser(
        "convert", help="a model file as .safetensors with its dimensions and source hash"
    )
    to_safe.add_argument("source", type=Path, help=".pth, .pt or .safetensors")
    to_safe.add_argument("target", type=Path, help="the .safetensors file to write")
    to_safe.set_defaults(run=run_convert)


def run_info(options: argparse.Namespace) -> int:
    """Runs `info`."""
    for name, value in _facts(options.path):
        print(f"{name:<18}{value}")
    return 0


def run_convert(options: argparse.Namespace) -> int:
    """Runs `convert`."""
    for name, value in _model_facts(convert(options.source, options.target)):
        print(f"{name:<18}{value}")
    return 0


def _facts(text: str) -> list[tuple[str, object]]:
    path = user_path(text)
    if text in BUNDLED or path.suffix in SUFFIXES:
        return _model_facts(load_model(text, Runtime.choose("cpu", "float32")).info)
    if path.suffix == ".xmtrack":
        return _track_facts(load_track(path))
    source = open_frames(text)
    return _clip_facts(source) + _label_facts(path, source)


def _model_facts(info: ModelInfo) -> list[tuple[str, object]]:
    dimensions = f"{info.key_channels} / {info.value_channels} / {info.sensory_channels}"
    return [
        ("model", info.name),
        ("file", info.path),
        ("architecture", info.architecture),
        ("key/value/sensory", dimensions),
        ("parameters", f"{info.parameter_count:,}"),
        ("SHA-256", info.sha256),
        ("license", info.license),
        ("note", info.note or "none"),
        *_adaptation_facts(info),
    ]


def _adaptation_facts(info: ModelInfo) -> list[tuple[str, object]]:
    """How an adapted model was made; nothing for others."""
    if not info.adaptation:
        return []
    facts: dict[str, object] = json.loads(info.adaptation)
    return [("adapted", f"{name.replace('_', ' ')}: {value}") for name, value in facts.items()]


def _clip_facts(source: FrameSource) -> list[tuple[str, object]]:
    last = len(source) - 1
    rate = source.frame_rate
    return [
        ("frames", f"{len(source)}, numbers {source.number(0)} to {source.number(last)}"),
        ("size", source.size),
        ("frame rate", "not stated" if rate is None else f"{float(rate):g} ({rate})"),
        ("first frame", source.name(0)),
        ("values", str(source.frame(0).dtype).removeprefix("torch.")),
    ]


def _label_facts(folder: Path, source: FrameSource) -> list[tuple[str, object]]:
    """What the pictures of a folder say as label maps; nothing where they are none.

    Raises:
        FormatError: the folder has annotations.json and its maps cannot be read.
    """
    if path_kind(folder) != "folder":
        return []
    try:
        annotations = load_annotations(folder, source)
    except XMemError:
        if os.path.lexists(folder / NOTES_NAME):
            raise
        return []
    if not annotations.object_ids:
        return []
    objects = ", ".join(map(str, annotations.object_ids))
    return [
        ("as label maps", f"objects {objects}"),
        ("found", found_objects(annotations, source.name)),
    ]


def _track_facts(track: Track) -> list[tuple[str, object]]:
    annotated = [str(track.shot.number(t)) for t in track.annotations.frame_indices]
    names = track.annotations.names
    objects = [f"{i} {names[i]}" if i in names else str(i) for i in track.object_ids]
    return [
        ("track of", f"{len(track)} of {len(track.shot)} frames"),
        ("size", track.size),
        ("frame rate", track.frame_rate or "not stated"),
        ("objects", ", ".join(objects)),
        ("annotated frames", ", ".join(annotated)),
        ("model", f"{track.model.name}, SHA-256 {track.model.sha256}"),
        ("license", track.model.license),
        ("settings", track.settings.to_json().replace("\n", "").replace("  ", " ")),
        ("stored", f"{track.stored_bytes / 2**20:.1f} MB"),
    ]
