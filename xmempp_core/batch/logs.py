"""A log for each shot: what the core says while it works on the shot."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from pathlib import Path

from ..errors import FormatError

_FORM = "%(asctime)s %(levelname)s %(message)s"
# Threads that read ahead or write behind know no shot; what they say goes into every open log.
_current: ContextVar[str] = ContextVar("shot", default="")


@contextmanager
def shot_log(path: Path, shot: str) -> Iterator[None]:
    """Appends what is said within to a file.

    Args:
        path: the file; missing folders are made.
        shot: name of the shot that this thread works on.

    Raises:
        FormatError: the file cannot be written.
    """
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        handler = logging.FileHandler(path, encoding="utf-8")
    except OSError as error:
        raise FormatError(path, f"cannot be written: {error.strerror or error}") from error
    handler.setFormatter(logging.Formatter(_FORM))
    handler.addFilter(lambda record: _current.get() in ("", shot))
    logger = _package_logger()
    token = _current.set(shot)
    logger.addHandler(handler)
    try:
        yield
    finally:
        logger.removeHandler(handler)
        handler.close()
        _current.reset(token)


@contextmanager
def told_in_logs_alone() -> Iterator[None]:
    """Keeps what the core says of single shots out of the terminal, where they would mix."""
    logger = _package_logger()
    before = logger.propagate, logger.level
    logger.propagate = False
    logger.setLevel(logging.INFO)
    try:
        yield
    finally:
        logger.propagate, level = before
        logger.setLevel(level)


def _package_logger() -> logging.Logger:
    return logging.getLogger(__package__.partition(".")[0])
