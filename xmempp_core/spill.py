"""SpillStore: bytes by name, in host memory within a budget, beyond it on disk within another.

Tracks, backward results, the feature cache and the keys of candidates keep what does not fit in
memory here. Every piece carries its length and checksum, so that damage is told from content.
A temporary folder goes with its store; those of killed processes go when the next one is made.
"""

from __future__ import annotations

import logging
import os
import shutil
import tempfile
import weakref
import zlib
from collections.abc import Hashable
from contextlib import suppress
from pathlib import Path

from filelock import FileLock, Timeout

from .errors import CapacityError, InputError

PREFIX = "xmempp-spill-"
"""Names of temporary folders begin with it."""
_LOCK = ".lock"
_HEADER_BYTES = 12

_log = logging.getLogger(__name__)


class SpillStore:
    """Pieces of bytes, each under a name of its own; safe to use from several threads.

    Args:
        what: the pieces, as a person knows them ("the backward results"); begins every message.
        remedy: what to do when there is no room, a clause ("use another direction").
        memory_bytes: host memory; beyond it pieces go to disk.
        disk_bytes: disk space; None = what the disk has.
        folder: where the files lie and stay; None = a temporary folder that goes with the store.
    """

    def __init__(
        self,
        what: str,
        remedy: str,
        *,
        memory_bytes: int = 0,
        disk_bytes: int | None = None,
        folder: Path | None = None,
    ) -> None:
        self._what, self._remedy = what, remedy
        self._memory_bytes, self._disk_bytes = memory_bytes, disk_bytes
        self._given, self._folder = folder, folder
        self._cleanup: weakref.finalize | None = None
        self._held: dict[Hashable, bytes] = {}
        self._spilled: dict[Hashable, int] = {}
        self.held_bytes = 0
        """Bytes in memory."""
        self.spilled_bytes = 0
        """Bytes on disk."""

    def has_room(self, size_bytes: int) -> bool:
        """Whether a piece of this size fits in one of the budgets."""
        on_disk = self._disk_bytes is None or self.spilled_bytes + size_bytes <= self._disk_bytes
        return on_disk or self.held_bytes + size_bytes <= self._memory_bytes

    def put(self, name: Hashable, data: bytes) -> None:
        """Keeps a piece, in place of an earlier one of that name.

        Args:
            name: a number or text that can be a file's name.
            data: the piece.

        Raises:
            CapacityError: there is no room; the store is as before but for that name.
        """
        self.remove(name)
        if self.held_bytes + len(data) <= self._memory_bytes:
            self._held[name] = data
            self.held_bytes += len(data)
            return
        if not self.has_room(len(data)):
            budget = self._disk_bytes or 0
            raise self._no_room(f"their budget of {budget / 2**20:.0f} MB on disk is used up")
        try:
            self._path(name, make=True).write_bytes(_header(data) + data)
        except OSError as error:
            with suppress(OSError):
                self._path(name).unlink(missing_ok=True)
            raise self._no_room(error.strerror or str(error)) from error
        self._spilled[name] = len(data)
        self.spilled_bytes += len(data)

    def get(self, name: Hashable) -> bytes:
        """A piece kept before, by this store or by an earlier one in the same given folder.

        Raises:
            InputError: it is not there, or its file is damaged.
        """
        held = self._held.get(name)
        if held is not None:
            return held
        where = self._folder or Path(tempfile.gettempdir())
        try:
            data = self._path(name).read_bytes()
        except OSError as error:
            reason = error.strerror or error
            raise InputError(
                f"{self._what} in {where}: {name} cannot be read ({reason}); start anew"
            ) from error
        header, content = data[:_HEADER_BYTES], data[_HEADER_BYTES:]
        if header != _header(content):
            raise InputError(f"{self._what} in {where}: {name} is damaged; start anew")
        return content

    def remove(self, name: Hashable) -> None:
        """Forgets a piece, if it is there."""
        self.held_bytes -= len(self._held.pop(name, b""))
        if name in self._spilled:
            self.spilled_bytes -= self._spilled.pop(name)
            with suppress(OSError):
                self._path(name).unlink(missing_ok=True)

    def clear(self) -> None:
        """Forgets everything; a temporary folder goes, files in a given one too."""
        for name in list(self._spilled):
            self.remove(name)
        self._held.clear()
        self.held_bytes = 0
        if self._cleanup is not None:
            self._cleanup()
            self._cleanup, self._folder = None, self._given

    def _path(self, name: Hashable, *, make: bool = False) -> Path:
        if self._folder is None and make:
            self._folder, lock = temporary_folder()
            self._cleanup = weakref.finalize(self, _remove, self._folder, lock, os.getpid())
        folder = self._folder or Path(tempfile.gettempdir())
        if make:
            folder.mkdir(parents=True, exist_ok=True)
        return folder / f"{name}.bin"

    def _no_room(self, reason: str) -> CapacityError:
        where = self._folder or tempfile.gettempdir()
        place = "there" if self._given else "there, set TMPDIR to another folder"
        return CapacityError(
            f"{self._what} cannot be kept in {where} ({reason}); free space {place} "
            f"or {self._remedy}"
        )


def temporary_folder() -> tuple[Path, FileLock]:
    """A new temporary folder and the lock that says that its process lives.

    Folders whose process was killed are removed first.
    """
    root = Path(tempfile.gettempdir())
    sweep(root)
    while True:
        folder = Path(tempfile.mkdtemp(prefix=PREFIX, dir=root))
        lock = FileLock(folder / _LOCK)
        with suppress(Timeout, OSError):
            lock.acquire(timeout=0)
            if (folder / _LOCK).exists():  # else another process took it for left over
                return folder, lock
            lock.release()


def sweep(root: Path) -> None:
    """Removes the temporary folders of this user's killed processes.

    A folder whose lock is held is in use; one without a lock is being made.
    """
    for folder in root.glob(f"{PREFIX}*"):
        if folder.is_symlink() or not (folder / _LOCK).is_file() or not _is_own(folder):
            continue
        lock = FileLock(folder / _LOCK)
        with suppress(Timeout, OSError):
            lock.acquire(timeout=0)
            _log.info("%s is left over from a run that was killed; removed", folder)
            _remove(folder, lock, os.getpid())


def _is_own(folder: Path) -> bool:
    with suppress(OSError):
        return not hasattr(os, "getuid") or folder.stat().st_uid == os.getuid()
    return False


def _remove(folder: Path, lock: FileLock, process: int) -> None:
    """Removes a folder, unless a forked process asks: it is its parent's."""
    if os.getpid() != process:
        return
    if os.name == "nt":  # a locked file cannot be removed there
        lock.release()
    shutil.rmtree(folder, ignore_errors=True)
    lock.release()


def _header(data: bytes) -> bytes:
    return len(data).to_bytes(8, "little") + zlib.crc32(data).to_bytes(4, "little")
