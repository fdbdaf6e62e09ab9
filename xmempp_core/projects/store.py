"""The folder of a project: label maps and revisions, each named by its content and never changed.

Several browsers may write at once: equal content has one name, and nothing is ever overwritten by
something else.
"""

from __future__ import annotations

import hashlib
import os
import re
import time
from collections.abc import Iterable, Iterator
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from ..atomic import write_bytes
from ..errors import FormatError, InputError
from ..paths import path_kind, read_file
from .document import Document
from .masks import LabelPixels, mask_from_png, mask_to_png
from .parsing import CONTENT_NAME, parse_document

PROJECT_ID = re.compile(r"[0-9a-f]{16}")
_NEW_SECONDS = 600
"""Age under which a label map that no revision names may be about to get one."""


def content_name(data: bytes) -> str:
    """The name of a file with these bytes: 40 hexadecimal digits of their SHA-256."""
    return hashlib.sha256(data).hexdigest()[:40]


@dataclass(frozen=True)
class RevisionFacts:
    """A revision in the list."""

    revision: str
    size_bytes: int
    """Of its JSON and of the label maps that no later revision in the list has."""
    saved: datetime
    annotation_count: int


@dataclass(frozen=True)
class Swept:
    """What a sweep removed."""

    file_count: int
    size_bytes: int


class Project:
    """The files of one project.

    Args:
        root: folder of all projects.
        project_id: 16 hexadecimal digits.

    Raises:
        InputError: the id is none.
    """

    def __init__(self, root: Path, project_id: str) -> None:
        if not PROJECT_ID.fullmatch(project_id):
            raise InputError(f"{project_id[:40]!r} is no project id; it has 16 digits 0-9a-f")
        self.project_id = project_id
        self.folder = root / project_id

    def put_mask(self, data: bytes) -> str:
        """Keeps a label map and gives its name.

        Raises:
            InputError: it is no label map (`mask_from_png`).
            FormatError: it cannot be written.
        """
        return self.put_labels(mask_from_png(data))

    def put_labels(self, labels: LabelPixels) -> str:
        """Keeps a label map (H, W) uint8 and gives its name."""
        return self.put_stored(mask_to_png(labels))

    def put_stored(self, stored: bytes) -> str:
        """Keeps the file of a label map that a project wrote, as it is, and gives its name."""
        name = content_name(stored)
        _write_once(self.mask_path(name), stored)
        return name

    def has_mask(self, name: str) -> bool:
        """Whether a label map is there."""
        return path_kind(self.mask_path(name)) == "file"

    def mask_png(self, name: str) -> bytes:
        """The PNG of a label map.

        Raises:
            FormatError: it is not there, or is damaged.
        """
        path = self.mask_path(name)
        data = read_file(path)
        if content_name(data) != name:
            raise FormatError(path, "is damaged; restore it from a copy of the project")
        return data

    def labels(self, name: str) -> LabelPixels:
        """(H, W) uint8 of a label map; raises as `mask_png` does."""
        return mask_from_png(self.mask_png(name))

    def put_document(self, document: Document) -> str:
        """Keeps a revision and gives its name; one that is there already becomes the latest.

        A label map that another revision names may be missing: its file was lost since, which
        must not keep the artist from saving other frames.

        Raises:
            InputError: a label map that it names was never put here.
            FormatError: it cannot be written.
        """
        absent = {name for name in document.mask_names if not self.has_mask(name)}
        if missing := sorted(absent and absent - self._known_names()):
            raise InputError(
                f"the revision names the mask {missing[0]}, which is not in project "
                f"{self.project_id}; send the mask first"
            )
        data = document.to_json()
        name = content_name(data)
        path = self.revision_path(name)
        _write_once(path, data)
        with suppress(OSError):
            os.utime(path)
        return name

    def _known_names(self) -> set[str]:
        """Names of the label maps of all revisions that can be read."""
        names: set[str] = set()
        for revision in self._names("revisions", ".json"):
            with suppress(FormatError):
                names |= self.document(revision).mask_names
        return names

    def has_document(self, name: str) -> bool:
        """Whether a revision is there."""
        return path_kind(self.revision_path(name)) == "file"

    def document(self, name: str) -> Document:
        """A revision.

        Raises:
            FormatError: it is not there, or is damaged.
        """
        path = self.revision_path(name)
        data = read_file(path)
        if content_name(data) != name:
            raise FormatError(path, "is damaged; go back to another revision of the project")
        try:
            return parse_document(data)
        except InputError as error:
            raise FormatError(path, str(error)) from error

    def revisions(self) -> list[RevisionFacts]:
        """The revisions that can be read, the latest first."""
        found = [(name, self.revision_path(name)) for name in self._names("revisions", ".json")]
        found.sort(key=lambda one: (one[1].stat().st_mtime_ns, one[0]), reverse=True)
        counted: set[str] = set()
        return [facts for name, path in found if (facts := self._facts(name, path, counted))]

    @property
    def size_bytes(self) -> int:
        """Bytes of all label maps, revisions and adapted models."""
        return sum(path.stat().st_size for path in self._files())

    def sweep(self, keep: Iterable[str]) -> Swept:
        """Removes all revisions but these, and the label maps that none of these names.

        A label map that was kept in the last ten minutes stays: its revision may be on the way.

        Raises:
            InputError: none is to be kept, or one is not there; nothing is removed.
            FormatError: one of those to keep cannot be read; nothing is removed.
        """
        kept = set(keep)
        if not kept:
            raise InputError("no revision is named that stays; name at least the one shown")
        if missing := sorted(name for name in kept if not self.has_document(name)):
            raise InputError(f"revision {missing[0]} is not in project {self.project_id}")
        masks = {name for one in kept for name in self.document(one).mask_names}
        doomed = [self.revision_path(name) for name in self._names("revisions", ".json") - kept]
        old_before = time.time() - _NEW_SECONDS
        for name in self._names("masks", ".png") - masks:
            path = self.mask_path(name)
            if path.stat().st_mtime < old_before:
                doomed.append(path)
        return _removed(doomed)

    def mask_path(self, name: str) -> Path:
        """Where a label map lies; raises InputError for what is no name."""
        return self.folder / "masks" / f"{_checked(name)}.png"

    def revision_path(self, name: str) -> Path:
        """Where a revision lies; raises InputError for what is no name."""
        return self.folder / "revisions" / f"{_checked(name)}.json"

    def model_path(self, base: str) -> Path:
        """Where the model lies that was adapted to the shot; `base` names the one before it."""
        return self.folder / "adapted" / f"{_checked(base)}.safetensors"

    def _facts(self, name: str, path: Path, counted: set[str]) -> RevisionFacts | None:
        """The facts of a revision; None where it cannot be read."""
        try:
            document = self.document(name)
        except FormatError:
            return None
        own = document.mask_names - counted
        counted |= own
        sizes = [self.mask_path(mask).stat().st_size for mask in own if self.has_mask(mask)]
        facts = path.stat()
        saved = datetime.fromtimestamp(facts.st_mtime, UTC)
        return RevisionFacts(name, facts.st_size + sum(sizes), saved, len(document.frames))

    def _names(self, folder: str, suffix: str) -> set[str]:
        return {path.stem for path in self._listed(folder, suffix)}

    def _files(self) -> Iterator[Path]:
        yield from self._listed("masks", ".png")
        yield from self._listed("revisions", ".json")
        yield from self._listed("adapted", ".safetensors")

    def _listed(self, folder: str, suffix: str) -> Iterator[Path]:
        where = self.folder / folder
        if path_kind(where) != "folder":
            return
        for path in where.iterdir():
            if path.suffix == suffix and CONTENT_NAME.fullmatch(path.stem) and path.is_file():
                yield path


def _checked(name: str) -> str:
    if not CONTENT_NAME.fullmatch(name):
        raise InputError(
            f"{name[:60]!r} is no name of a file in a project; it has 40 digits 0-9a-f"
        )
    return name


def _write_once(path: Path, data: bytes) -> None:
    """Writes a file that is not there, or that is damaged."""
    if path_kind(path) == "file" and read_file(path) == data:
        return
    write_bytes(path, data, durable=True)


def _removed(paths: Iterable[Path]) -> Swept:
    count = size = 0
    for path in paths:
        with suppress(OSError):
            bytes_of_file = path.stat().st_size
            path.unlink()
            count, size = count + 1, size + bytes_of_file
    return Swept(count, size)
