"""Files that are whole or not there: written under a temporary name, then renamed."""

from __future__ import annotations

import os
import re
import secrets
from collections.abc import Iterable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from .errors import FormatError, XMemError
from .paths import path_kind

# Independent of the file's name, so that a name as long as the system allows has room.
_TEMPORARY = re.compile(r"\..+\.[0-9a-f]{8}\.tmp")


@contextmanager
def replacing(path: str | Path, *, durable: bool = False) -> Iterator[Path]:
    """A temporary path beside `path` that takes its place when the block ends without an error.

    Missing folders are made. After an error the temporary file is gone and `path` is as before.

    Args:
        path: the file.
        durable: it has its name only once it lies on the disk, so that a power failure leaves the
            old file or the new one whole; for what cannot be made again.

    Raises:
        FormatError: the file cannot be written, or something else lies there: a folder, a FIFO, a
            device.
    """
    path = Path(path)
    if path_kind(path) == "folder":
        raise FormatError(path, "is a folder; give the name of a file")
    temporary = path.with_name(f".xmempp.{secrets.token_hex(4)}.tmp")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        yield temporary
        if durable:
            _sync(temporary)
        os.replace(temporary, path)
        if durable:
            _sync_folder(path.parent)
    except XMemError:
        raise
    except OSError as error:
        raise FormatError(path, f"cannot be written: {error.strerror or error}") from error
    finally:
        with suppress(OSError):
            temporary.unlink()


def write_bytes(path: str | Path, data: bytes | memoryview, *, durable: bool = False) -> None:
    """Write a file at once; see `replacing`."""
    with replacing(path, durable=durable) as temporary:
        temporary.write_bytes(data)


def make_durable(paths: Iterable[Path]) -> None:
    """Waits until files that are written already lie on the disk, names included.

    Raises:
        FormatError: the disk refuses one.
    """
    folders = set()
    for path in paths:
        try:
            _sync(path)
        except OSError as error:
            raise FormatError(path, f"cannot be written: {error.strerror or error}") from error
        folders.add(path.parent)
    for folder in folders:
        _sync_folder(folder)


def is_temporary(path: Path) -> bool:
    """Whether a file has the name of one that is not whole."""
    return bool(_TEMPORARY.fullmatch(path.name))


def sweep_temporaries(folder: Path) -> None:
    """Removes what killed writers left in a folder; for the one who alone writes there."""
    for path in folder.glob(".*.tmp"):
        if is_temporary(path):
            with suppress(OSError):
                path.unlink()


def _sync(path: Path) -> None:
    with path.open("r+b") as file:  # Windows syncs only what is open for writing
        os.fsync(file.fileno())


def _sync_folder(folder: Path) -> None:
    """Makes the names in a folder durable, where the system can (Windows cannot)."""
    with suppress(OSError):
        descriptor = os.open(folder, os.O_RDONLY)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)
