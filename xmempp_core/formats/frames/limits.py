"""How large a picture may be: refused by its header, before memory is asked for."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import cv2

from ...errors import CapacityError, FormatError, is_out_of_memory
from ...types import Size

MAX_PIXELS = 178_956_970
"""Pixels of the largest picture that is read: 13,377 x 13,377, or 18,918 x 9,459.

Above it Pillow, too, takes a file for a decompression bomb.
"""


def check_pixels(path: Path, size: Size) -> None:
    """Raises FormatError unless a picture has a pixel and at most `MAX_PIXELS`."""
    if size.height < 1 or size.width < 1:
        raise FormatError(path, f"says that it is {size} pixels; it is damaged")
    if size.height * size.width > MAX_PIXELS:
        raise FormatError(
            path, f"is {size} pixels; more than {MAX_PIXELS:,} in all are not read; make it smaller"
        )


@contextmanager
def memory_for(path: Path) -> Iterator[None]:
    """Turns running out of memory while reading a file into a CapacityError that names it."""
    try:
        yield
    except (MemoryError, RuntimeError, OSError, cv2.error) as error:
        if not is_out_of_memory(error):
            raise
        raise CapacityError(
            f"{path}: there is not enough memory to read it; close other programs or make the "
            "pictures smaller"
        ) from error
