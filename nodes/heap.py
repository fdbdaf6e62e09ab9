"""Freed memory, given back to the system.

The C library of most Linux systems (glibc) keeps what is freed for the next request: hundreds of MB
after a pass, which other programs lack. It gives them back when it is asked; others do so unasked.
"""

from __future__ import annotations

import ctypes
import platform
from collections.abc import Callable
from functools import cache


def give_back() -> None:
    """Gives all freed memory back to the system, where its C library would keep it."""
    trim = _trim()
    if trim is not None:
        trim(0)


@cache
def _trim() -> Callable[[int], int] | None:
    """glibc's `malloc_trim`; None with any other C library."""
    if platform.libc_ver()[0] != "glibc":
        return None
    return ctypes.CDLL(None).malloc_trim
