"""A revision with its label maps as one .zip file, for another machine."""

from __future__ import annotations

import io
import json
import re
import zipfile
import zlib
from pathlib import Path

from ..errors import InputError
from ..strict_json import parse_json
from .masks import mask_from_png
from .parsing import MAX_DOCUMENT_BYTES, parse_document
from .store import Project, content_name

MAX_ARCHIVE_BYTES = 2**30
"""Bytes of all files in an archive, unpacked."""
_HEAD = "project.json"
_MASK = re.compile(r"masks/([0-9a-f]{40})\.png")
_VERSION = 1
_ZIP_ERRORS = (zipfile.BadZipFile, zipfile.LargeZipFile, RuntimeError, EOFError, zlib.error)


def archive_of(project: Project, revision: str) -> bytes:
    """The .zip of a revision.

    Raises:
        FormatError: the revision or a label map is missing or damaged.
    """
    document = project.document(revision)
    head = {"version": _VERSION, "project": project.project_id, "revision": revision}
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED) as archive:
        _add(archive, _HEAD, json.dumps(head).encode())
        _add(archive, f"revisions/{revision}.json", document.to_json())
        for name in sorted(document.mask_names):
            _add(archive, f"masks/{name}.png", project.mask_png(name))
    return buffer.getvalue()


def open_archive(data: bytes, root: Path) -> tuple[Project, str]:
    """The project and the revision of a .zip, unpacked under the folder of all projects.

    All of it is checked before a file is written; what is there already stays.

    Raises:
        InputError: it is no such archive, is damaged, or holds something else.
        FormatError: a file cannot be written.
    """
    try:
        with zipfile.ZipFile(io.BytesIO(data)) as archive:
            return _unpacked(archive, root)
    except InputError:
        raise
    except (*_ZIP_ERRORS, ValueError) as error:
        raise InputError(f"the file is no project archive ({error}); save it again") from error


def _unpacked(archive: zipfile.ZipFile, root: Path) -> tuple[Project, str]:
    total = sum(one.file_size for one in archive.infolist())
    if total > MAX_ARCHIVE_BYTES:
        raise InputError(
            f"the project archive has {total} bytes unpacked, allowed is at most "
            f"{MAX_ARCHIVE_BYTES}; copy the project's folder instead"
        )
    project_id, revision = _head_of(_read(archive, _HEAD, MAX_DOCUMENT_BYTES))
    project = Project(root, project_id)
    project.revision_path(revision)  # a name, or refused
    text = _read(archive, f"revisions/{revision}.json", MAX_DOCUMENT_BYTES)
    document = parse_document(text)
    if content_name(document.to_json()) != revision:
        raise InputError("the project archive is damaged: its revision has another name")
    _check_names(archive, revision)
    masks = [_mask(archive, name) for name in sorted(document.mask_names)]
    for mask in masks:
        project.put_stored(mask)
    return project, project.put_document(document)


def _head_of(data: bytes) -> tuple[str, str]:
    try:
        head = parse_json(data)
    except ValueError as error:
        raise InputError(f"the project archive is damaged: {_HEAD} is no JSON") from error
    if not isinstance(head, dict) or head.get("version") != _VERSION:
        raise InputError(
            "the project archive is of another version of the program; update the program"
        )
    project_id, revision = head.get("project"), head.get("revision")
    if not isinstance(project_id, str) or not isinstance(revision, str):
        raise InputError(f"the project archive is damaged: {_HEAD} names no project and revision")
    return project_id, revision


def _check_names(archive: zipfile.ZipFile, revision: str) -> None:
    allowed = {_HEAD, f"revisions/{revision}.json"}
    for name in archive.namelist():
        if name not in allowed and not _MASK.fullmatch(name):
            raise InputError(f"the project archive holds {name[:60]!r}, which is no part of one")


def _mask(archive: zipfile.ZipFile, name: str) -> bytes:
    data = _read(archive, f"masks/{name}.png", MAX_ARCHIVE_BYTES)
    if content_name(data) != name:
        raise InputError(f"the project archive is damaged: mask {name} has other content")
    mask_from_png(data)
    return data


def _read(archive: zipfile.ZipFile, name: str, most_bytes: int) -> bytes:
    try:
        facts = archive.getinfo(name)
    except KeyError as error:
        raise InputError(f"the file is no project archive: {name} is not in it") from error
    if facts.file_size > most_bytes:
        raise InputError(f"the project archive: {name} has {facts.file_size} bytes, too many")
    data = archive.read(facts)
    if len(data) != facts.file_size:
        raise InputError(f"the project archive is damaged: {name} has another length")
    return data


def _add(archive: zipfile.ZipFile, name: str, data: bytes) -> None:
    # a fixed date, so that the same revision gives the same file
    archive.writestr(zipfile.ZipInfo(name, (1980, 1, 1, 0, 0, 0)), data, zipfile.ZIP_DEFLATED)
