"""Track files (.xmtrack): one zip archive with everything a Track holds.

docs/masks.md describes the entries.
"""

from __future__ import annotations

import json
import math
import zipfile
import zlib
from pathlib import Path
from typing import Any

from ..atomic import replacing
from ..errors import FormatError, XMemError
from ..track.records import FrameRecord
from ..track.track import Track, shot_of_header
from .annotations.folder import annotation_files, annotations_from_files

FORMAT_NAME = "xmempp-track"
_VERSION = 1
_HEADER = "track.json"
_ANNOTATIONS = "annotations/"


def save_track(track: Track, path: str | Path) -> None:
    """Write a track as one file; an existing file is replaced once the new one is whole.

    Raises:
        FormatError: the file cannot be written.
    """
    # Everything but the JSON is compressed already.
    with replacing(path) as temporary, zipfile.ZipFile(temporary, "w") as archive:
        frames = []
        for record in track.records():
            index = record.frame_index
            archive.writestr(_entry(_entry_name("probabilities", index)), record.probabilities)
            archive.writestr(_entry(_entry_name("labels", index)), record.labels)
            frames.append(_frame_content(record))
        for name, data in annotation_files(track.annotations, track.shot):
            archive.writestr(_entry(_ANNOTATIONS + name), data)
        header = {"format": FORMAT_NAME, "version": _VERSION, **track.header(), "frames": frames}
        archive.writestr(_entry(_HEADER), json.dumps(header), zipfile.ZIP_DEFLATED)


def _entry(name: str) -> zipfile.ZipInfo:
    """An entry without a date, so that equal tracks make equal files."""
    entry = zipfile.ZipInfo(name)
    entry.external_attr = 0o644 << 16
    return entry


def load_track(path: str | Path) -> Track:
    """The track of a file that `save_track` wrote.

    Results are copied, still compressed, to where every track keeps them: memory up to a budget,
    then a temporary file. The file is closed afterwards.

    Raises:
        FormatError: the file is missing, damaged, or no track.
    """
    path = Path(path)
    try:
        with zipfile.ZipFile(path) as archive:
            return _track_of(archive, path)
    except (zipfile.BadZipFile, zlib.error, EOFError, NotImplementedError, RuntimeError) as error:
        problem = "is no track file or is incomplete; save the track again"
        raise FormatError(path, problem) from error
    except XMemError:
        raise
    except OSError as error:
        raise FormatError(path, f"cannot be read: {error.strerror or error}") from error


def _track_of(archive: zipfile.ZipFile, path: Path) -> Track:
    header = _header_of(archive, path)
    try:
        shot = shot_of_header(header)
        names = [n.removeprefix(_ANNOTATIONS) for n in archive.namelist() if _is_annotation(n)]
        annotations = annotations_from_files(
            names, lambda name: archive.read(_ANNOTATIONS + name), shot, where=path
        )
        track = Track.from_header(header, annotations)
        for content in header["frames"]:
            track.add_record(_record_of(archive, content))
    except FormatError:
        raise
    except (KeyError, TypeError, ValueError, ZeroDivisionError) as error:
        raise FormatError(path, f"is a track file with wrong content: {error}") from error
    return track


def _header_of(archive: zipfile.ZipFile, path: Path) -> dict[str, Any]:
    foreign = FormatError(path, "is an archive but no track; give a .xmtrack file")
    try:
        header = json.loads(archive.read(_HEADER))
    except (KeyError, ValueError) as error:
        raise foreign from error
    if not isinstance(header, dict) or header.get("format") != FORMAT_NAME:
        raise foreign
    if header.get("version") != _VERSION:
        problem = f"is a track of version {header.get('version')}, this program reads {_VERSION}"
        raise FormatError(path, problem)
    return header


def _is_annotation(name: str) -> bool:
    """Whether an archive entry is a label map or annotations.json, and no overlap file."""
    return name.startswith(_ANNOTATIONS) and name.count("/") == 1


def _entry_name(kind: str, frame_index: int) -> str:
    return f"{kind}/{frame_index:05d}.zlib"


def _frame_content(record: FrameRecord) -> dict[str, Any]:
    # JSON has no NaN.
    confidence = [None if math.isnan(c) else c for c in record.confidence]
    return {
        "index": record.frame_index,
        "shape": list(record.shape),
        "confidence": confidence,
        "absent": list(record.absent_ids),
    }


def _record_of(archive: zipfile.ZipFile, content: dict[str, Any]) -> FrameRecord:
    index = int(content["index"])
    channels, height, width = map(int, content["shape"])
    return FrameRecord(
        index,
        (channels, height, width),
        archive.read(_entry_name("probabilities", index)),
        archive.read(_entry_name("labels", index)),
        tuple(math.nan if c is None else float(c) for c in content["confidence"]),
        tuple(map(int, content["absent"])),
    )
