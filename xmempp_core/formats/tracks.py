"""Track files (.xmtrack): one zip archive with everything a Track holds.

docs/masks.md describes the entries.
"""

from __future__ import annotations

import json
import math
import re
import zipfile
import zlib
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from ..atomic import replacing
from ..errors import CapacityError, FormatError, XMemError
from ..paths import check_file, check_writable_text, user_path
from ..strict_json import parse_json
from ..track.records import LEVEL_OF_ONE, OLDER_LEVEL_OF_ONE, FrameRecord
from ..track.track import Track, shot_of_header
from ..types import Size
from .annotations.folder import annotation_files, annotations_from_files
from .frames.limits import check_pixels

FORMAT_NAME = "xmempp-track"
_VERSION = 2
# What a version's probabilities are stored in.
_LEVEL_OF_ONE = {1: OLDER_LEVEL_OF_ONE, _VERSION: LEVEL_OF_ONE}
_HEADER = "track.json"
_ANNOTATIONS = "annotations/"
_MAX_HEADER_BYTES = 256 << 20
_MAX_ANNOTATION_BYTES = 64 << 20
_MAX_CHANNELS = 256
_COMPRESSIONS = (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED)
# Longer numbers take Python minutes.
_FRAME_RATE = re.compile(r"[0-9]{1,12}/[0-9]{1,12}")


def save_track(track: Track, path: str | Path) -> None:
    """Write a track as one file; an existing file is replaced once the new one is on the disk.

    Raises:
        FormatError: the file cannot be written.
    """
    # Everything but the JSON is compressed already.
    with replacing(path, durable=True) as temporary, zipfile.ZipFile(temporary, "w") as archive:
        frames = _write_records(archive, track.records())
        for name, data in annotation_files(track.annotations, track.shot):
            archive.writestr(_entry(_ANNOTATIONS + name), data)
        _write_header(archive, {**track.header(), "frames": frames})


def save_records(records: Iterable[FrameRecord], path: str | Path) -> None:
    """Write results without the track they belong to, for `read_records`.

    Raises:
        FormatError: the file cannot be written.
    """
    with replacing(path, durable=True) as temporary, zipfile.ZipFile(temporary, "w") as archive:
        _write_header(archive, {"frames": _write_records(archive, records)})


def _write_records(
    archive: zipfile.ZipFile, records: Iterable[FrameRecord]
) -> list[dict[str, Any]]:
    """Writes the entries of results; returns what the header says of them."""
    frames = []
    for record in records:
        index = record.frame_index
        archive.writestr(_entry(_entry_name("probabilities", index)), record.probabilities)
        archive.writestr(_entry(_entry_name("labels", index)), record.labels)
        frames.append(_frame_content(record))
    return frames


def _write_header(archive: zipfile.ZipFile, content: dict[str, Any]) -> None:
    header = {"format": FORMAT_NAME, "version": _VERSION, **content}
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
    path = user_path(path)
    with _opened(path) as archive:
        header = _header_of(archive, path)
        _check_header(header, path)
        shot = shot_of_header(header)
        names = [n.removeprefix(_ANNOTATIONS) for n in archive.namelist() if _is_annotation(n)]
        annotations = annotations_from_files(
            names,
            lambda name: _read(archive, _ANNOTATIONS + name, _MAX_ANNOTATION_BYTES),
            shot,
            where=path,
            are_ids=True,
        )
        track = Track.from_header(header, annotations)
        for record in _records_in(archive, header, shot.size, path):
            track.add_record(record)
    return track


def read_records(path: str | Path, size: Size) -> Iterator[FrameRecord]:
    """The results in a file of `save_records` or `save_track`, one at a time.

    Args:
        path: the file.
        size: of the frames.

    Raises:
        FormatError: the file is missing, damaged, or of another kind.
    """
    path = Path(path)
    with _opened(path) as archive:
        yield from _records_in(archive, _header_of(archive, path), size, path)


@contextmanager
def _opened(path: Path) -> Iterator[zipfile.ZipFile]:
    """An archive to be read; what is wrong with it is raised as FormatError."""
    check_file(path)
    try:
        with zipfile.ZipFile(path) as archive:
            try:
                yield archive
            except (
                AttributeError,
                KeyError,
                OverflowError,
                TypeError,
                ValueError,
                ZeroDivisionError,
            ) as error:
                if isinstance(error, (FormatError, CapacityError)):
                    raise
                problem = f"is a track file with wrong content: {error}"
                raise FormatError(path, problem) from error
    except XMemError:
        raise
    except MemoryError as error:
        problem = f"{path}: there is not enough memory to read the track; close other programs"
        raise CapacityError(problem) from error
    except (
        zipfile.BadZipFile,
        zlib.error,
        EOFError,
        NotImplementedError,
        RuntimeError,
        ValueError,
    ) as error:
        problem = f"is no track file or is incomplete ({error}); save the track again"
        raise FormatError(path, problem) from error
    except OSError as error:
        raise FormatError(path, f"cannot be read: {error.strerror or error}") from error


def _records_in(
    archive: zipfile.ZipFile, header: dict[str, Any], size: Size, path: Path
) -> Iterator[FrameRecord]:
    for content in header["frames"]:
        _check_record(archive, content, size, path)
        yield _record_of(archive, content, _LEVEL_OF_ONE[header["version"]])


def _header_of(archive: zipfile.ZipFile, path: Path) -> dict[str, Any]:
    foreign = FormatError(path, "is an archive but no track; give a .xmtrack file")
    try:
        header = parse_json(_read(archive, _HEADER, _MAX_HEADER_BYTES))
    except (KeyError, ValueError) as error:
        raise foreign from error
    if not isinstance(header, dict) or header.get("format") != FORMAT_NAME:
        raise foreign
    if header.get("version") not in (1, _VERSION):
        problem = (
            f"is a track of version {header.get('version')}, this program reads 1 to {_VERSION}"
        )
        raise FormatError(path, problem)
    return header


def _check_header(header: dict[str, Any], path: Path) -> None:
    """Raises before anything is made of a header whose numbers would take memory or time."""
    height, width = map(int, header["size"])
    check_pixels(path, Size(height, width))
    rate = header["frame_rate"]
    if rate is not None and not _FRAME_RATE.fullmatch(str(rate)):
        raise ValueError(f"frame rate {str(rate)[:40]!r} is no fraction such as 25/1")
    names, numbers = header["frame_names"], header["frame_numbers"]
    if not isinstance(names, list) or not names or len(names) != len(numbers):
        raise ValueError("the names and numbers of its frames do not fit together")
    for name in names:
        check_writable_text(str(name), path)
        if str(name) in ("", ".", "..") or set(str(name)) & set("/\\\0"):
            raise ValueError(f"frame name {str(name)[:40]!r} cannot be the name of a file")


def _read(archive: zipfile.ZipFile, name: str, at_most_bytes: int) -> bytes:
    """An entry, once its size is found to be what it may be."""
    _check_entry(archive, name, at_most_bytes)
    return archive.read(name)


def _check_record(
    archive: zipfile.ZipFile, content: dict[str, Any], size: Size, path: Path
) -> None:
    """Raises before a frame's entries are read if they are larger than what they can hold."""
    index = int(content["index"])
    channels, height, width = map(int, content["shape"])
    check_pixels(path, Size(height, width))
    if not 1 <= channels <= _MAX_CHANNELS:
        raise ValueError(f"frame {index} has {channels} channels; 1 to {_MAX_CHANNELS} can be")
    for kind, values in (
        ("probabilities", 2 * channels * height * width),
        ("labels", size.height * size.width),
    ):
        # A zlib stream is at most a trifle longer than what it holds.
        _check_entry(archive, _entry_name(kind, index), values + values // 100 + 1024)


def _check_entry(archive: zipfile.ZipFile, name: str, at_most_bytes: int) -> None:
    """Raises ValueError for an entry larger than it can be, or packed as tracks never are."""
    entry = archive.getinfo(name)
    if entry.compress_type not in _COMPRESSIONS or entry.flag_bits & 1:
        raise ValueError(f"{name} is encrypted or compressed as in no track")
    if entry.file_size > at_most_bytes:
        raise ValueError(f"{name} has {entry.file_size} bytes where at most {at_most_bytes} fit")


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
        **({} if record.level_of_one == LEVEL_OF_ONE else {"level_of_one": record.level_of_one}),
    }


def _record_of(archive: zipfile.ZipFile, content: dict[str, Any], level_of_one: int) -> FrameRecord:
    """The record of a frame; `level_of_one` is that of the file's version.

    A frame names its own where a track of version 0.1 was loaded and saved again.
    """
    index = int(content["index"])
    channels, height, width = map(int, content["shape"])
    level_of_one = content.get("level_of_one", level_of_one)
    if level_of_one not in _LEVEL_OF_ONE.values():
        raise ValueError(f"level_of_one of frame {index} is {level_of_one!r}")
    return FrameRecord(
        index,
        (channels, height, width),
        archive.read(_entry_name("probabilities", index)),
        archive.read(_entry_name("labels", index)),
        tuple(math.nan if c is None else float(c) for c in content["confidence"]),
        tuple(map(int, content["absent"])),
        level_of_one,
    )
