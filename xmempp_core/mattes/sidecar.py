"""The JSON beside the mattes of a shot: what they were made of, and what their bytes are."""

from __future__ import annotations

import hashlib
import json
from dataclasses import asdict
from pathlib import Path, PurePosixPath
from typing import Any

from .. import __version__
from ..file_names import name_fault
from ..formats.mattes.sidecar_reading import SIDECAR_FORMAT, SIDECAR_VERSION, read_sidecar
from ..track.track import Track
from .plan import MattePlan
from .presets import MatteSettings


def sidecar_content(
    track: Track, plan: MattePlan, settings: MatteSettings, folder: Path
) -> dict[str, Any]:
    """What the sidecar of a plan says; the same for the same track and settings.

    Args:
        track: of the shot.
        plan: of the export.
        settings: of the mattes.
        folder: where the files lie now.
    """
    rate = track.frame_rate
    number_of = dict(zip(plan.frames, plan.numbers, strict=True))
    annotated = [number_of[i] for i in track.annotations.frame_indices if i in number_of]
    return {
        "format": SIDECAR_FORMAT,
        "version": SIDECAR_VERSION,
        "program": f"xmempp {__version__}",
        "shot": plan.shot,
        "matte_version": plan.version,
        "size": list(track.size),
        "frame_rate": None if rate is None else f"{rate.numerator}/{rate.denominator}",
        "frames": list(plan.numbers),
        "annotated_frames": annotated,
        "annotated_frames_are_exact": settings.edges.is_off or not settings.edges_of_annotated,
        "objects": _objects(track, plan),
        "settings": asdict(settings),
        "propagation": asdict(track.settings),
        "model": {"name": track.model.name, "sha256": track.model.sha256},
        "files": {str(path): _sha256(folder / path) for path in plan.files},
    }


def write_json(path: Path, content: dict[str, Any]) -> None:
    """Writes a JSON file."""
    text = json.dumps(content, indent=2, ensure_ascii=False)
    path.write_text(text + "\n", encoding="utf-8")


def files_of_sidecar(path: Path) -> set[PurePosixPath]:
    """The files that an earlier export wrote, relative to its folder; none without a sidecar.

    Raises:
        FormatError: a newer version of the program wrote it.
    """
    listed = (read_sidecar(path) or {}).get("files")
    paths = map(PurePosixPath, listed) if isinstance(listed, dict) else ()
    return {path for path in paths if not any(map(name_fault, path.parts))}


def _objects(track: Track, plan: MattePlan) -> list[dict[str, Any]]:
    colors = track.annotations.colors
    return [
        {
            "name": one.name,
            "ids": list(one.object_ids),
            "file_name": file_name,
            "layer": layer,
            "colors": [list(colors[i]) for i in one.object_ids if i in colors],
        }
        for one, file_name, layer in zip(
            plan.objects, plan.object_names, plan.layer_names, strict=True
        )
    ]


def _sha256(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
