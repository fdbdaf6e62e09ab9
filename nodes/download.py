"""Model files from the web: streamed to a temporary name, checked, then renamed.

Knows nothing of ComfyUI; the caller gives the folder, the check of the content and the progress.
"""

from __future__ import annotations

import errno
import hashlib
import os
import shutil
import urllib.error
import urllib.request
from collections.abc import Callable
from dataclasses import dataclass
from http.client import HTTPException
from pathlib import Path
from typing import BinaryIO

CHUNK_BYTES = 1 << 20
TIMEOUT_SECONDS = 30
RELEASE = "https://github.com/hkchengrex/XMem/releases/download/v1.0/"

Check = Callable[[Path], object]
"""Raises XMemError when a file is not the wanted model."""
ShowProgress = Callable[[int, int], None]
"""Takes the bytes received and the bytes expected (0 = unknown); may raise to stop."""


@dataclass(frozen=True)
class RemoteModel:
    """A model file on the web."""

    name: str
    """Name of the file in models/xmem."""
    url: str
    sha256: str = ""
    """SHA-256 of the released file; empty where it is not known."""


MODELS = tuple(
    RemoteModel(name, RELEASE + name)
    for name in ("XMem.pth", "XMem-s012.pth", "XMem-s2.pth", "XMem-no-sensory.pth")
)
"""The files of the XMem v1.0 release; their hashes are not known to us."""


def download(
    model: RemoteModel, folder: Path, check: Check, show: ShowProgress = lambda _done, _all: None
) -> Path:
    """The downloaded model file; nothing half-written ever has its final name.

    Args:
        model: what to fetch.
        folder: where it goes, made if missing.
        check: looks at the finished temporary file.
        show: told about every received piece.

    Raises:
        FormatError: the server, the connection, the space or the content is at fault.
    """
    target = folder / model.name
    _make_folder(folder)
    temporary = folder / f".download-{os.getpid()}-{model.name}"
    try:
        digest = _fetch(model, temporary, show)
        if model.sha256 and digest != model.sha256:
            raise _failed(target, model, f"its SHA-256 is {digest}, expected {model.sha256}")
        check(temporary)
        _hash_file(target).write_text(f"{digest}  {model.name}\n", encoding="ascii")
        temporary.replace(target)
    finally:
        temporary.unlink(missing_ok=True)
    return target


def verify(path: Path) -> None:
    """Compares a model file with the SHA-256 that was written when it was downloaded.

    A file without one was put there by hand and is taken as it is.

    Raises:
        FormatError: the file has changed since.
    """
    from ..xmempp_core import FormatError

    note = _hash_file(path)
    if not note.is_file():
        return
    words = note.read_text(encoding="ascii", errors="replace").split()
    expected = words[0].lower() if words else "nothing"
    with path.open("rb") as file:
        got = hashlib.file_digest(file, "sha256").hexdigest()
    if got != expected:
        raise FormatError(
            path,
            f"has changed since it was downloaded (SHA-256 {got[:12]}..., expected "
            f"{expected[:12]}...); delete it and {note.name}, then download it again",
        )


def _hash_file(path: Path) -> Path:
    return path.with_name(path.name + ".sha256")


def _make_folder(folder: Path) -> None:
    from ..xmempp_core import FormatError

    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise FormatError(folder, f"cannot be made ({error.strerror}); make it by hand") from error


def _fetch(model: RemoteModel, temporary: Path, show: ShowProgress) -> str:
    """Streams the file to `temporary`; the result is its SHA-256."""
    target = temporary.with_name(model.name)
    try:
        request = urllib.request.Request(model.url, headers={"User-Agent": "xmempp"})
        with urllib.request.urlopen(request, timeout=TIMEOUT_SECONDS) as reply:
            expected_bytes = int(reply.headers.get("Content-Length") or 0)
            if expected_bytes > shutil.disk_usage(temporary.parent).free:
                raise _no_space(target, model, expected_bytes)
            with temporary.open("wb") as file:
                return _copy(reply, file, expected_bytes, show)
    except urllib.error.HTTPError as error:
        raise _failed(target, model, f"the server answered {error.code} {error.reason}") from error
    except _TruncatedError as error:
        raise _failed(target, model, str(error)) from error
    except HTTPException as error:  # a reply that is no HTTP, or breaks off between its pieces
        raise _failed(target, model, f"the connection failed ({error!r})") from error
    except OSError as error:  # URLError, time-outs and broken connections are OSErrors too
        from ..xmempp_core import FormatError

        if isinstance(error, FormatError):
            raise
        if error.errno in (errno.ENOSPC, errno.EDQUOT, errno.EFBIG):
            raise _no_space(target, model, 0) from error
        reason = getattr(error, "reason", None) or error
        raise _failed(target, model, f"the connection failed ({reason})") from error


class _TruncatedError(Exception):
    """The connection ended early."""


def _copy(reply: BinaryIO, file: BinaryIO, expected_bytes: int, show: ShowProgress) -> str:
    digest = hashlib.sha256()
    done_bytes = 0
    while piece := reply.read(CHUNK_BYTES):
        file.write(piece)
        digest.update(piece)
        done_bytes += len(piece)
        show(done_bytes, expected_bytes)
    if expected_bytes and done_bytes != expected_bytes:
        raise _TruncatedError(f"only {done_bytes} of {expected_bytes} bytes came")
    return digest.hexdigest()


def _failed(target: Path, model: RemoteModel, problem: str) -> Exception:
    from ..xmempp_core import FormatError

    return FormatError(
        target,
        f"was not downloaded: {problem}; try again, or fetch {model.url} with a browser "
        f"and put it into {target.parent}",
    )


def _no_space(target: Path, model: RemoteModel, expected_bytes: int) -> Exception:
    size = f" of {expected_bytes / 1e6:.0f} MB" if expected_bytes else ""
    return _failed(target, model, f"there is no space for the file{size} on this disk")
