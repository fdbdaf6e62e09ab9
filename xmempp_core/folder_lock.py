"""One writer at a time in a folder of results."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from filelock import FileLock, Timeout

from .errors import FormatError
from .paths import path_kind

LOCK_NAME = ".lock"


@contextmanager
def locked_folder(folder: Path) -> Iterator[None]:
    """Makes the folder if needed and keeps other writers out until the block ends.

    A block that leaves no file behind leaves no folder behind that was not there before. The lock
    file of others stays: removing it would let two writers in.

    Raises:
        FormatError: it is no folder, cannot be made, or is being written to.
    """
    if path_kind(folder) == "file":
        raise FormatError(folder, "is a file; give a folder as --output")
    missing = [path for path in (folder, *folder.parents) if not path.exists()]
    try:
        folder.mkdir(parents=True, exist_ok=True)
        lock = FileLock(folder / LOCK_NAME)
        lock.acquire(timeout=0)
    except Timeout as error:
        raise FormatError(
            folder, "is being written to by another run; wait or choose another"
        ) from error
    except OSError as error:
        raise FormatError(folder, f"cannot be written to: {error.strerror or error}") from error
    try:
        yield
    finally:
        if missing and not holds_files(folder):
            with suppress(OSError):  # Windows keeps the lock file while it is locked
                (folder / LOCK_NAME).unlink()
                for path in missing:
                    path.rmdir()
        lock.release()


def holds_files(folder: Path, *but: str) -> bool:
    """Whether a folder holds anything beside its lock and the named files."""
    return any(path.name not in (LOCK_NAME, *but) for path in folder.iterdir())
