"""Reading OpenEXR pictures, half or float, as RGB in scene light."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import OpenEXR

from ...errors import FormatError
from ...types import Size


def read_exr_header(path: Path) -> tuple[Size, bool]:
    """Size of the display window and whether the file has an alpha channel.

    Raises:
        FormatError: the file is no OpenEXR file.
    """
    header = _open(path, header_only=True).header()
    names = {channel.name for channel in header["channels"]}
    return _window(header["displayWindow"])[1], "A" in names


def read_exr(path: Path) -> np.ndarray[Any, np.dtype[np.float32]]:
    """(H, W, 3) float32 RGB of the display window, black where the file holds no pixels.

    The first part that has R, G and B is read, or else Y (grey) alone.

    Raises:
        FormatError: the file cannot be read or has neither R, G, B nor Y.
    """
    parts = _open(path).parts
    for part in parts:
        channels = part.channels
        names = ("Y", "Y", "Y") if "Y" in channels and "RY" not in channels else ("R", "G", "B")
        if all(name in channels for name in names):
            pixels = [channels[name].pixels for name in names]
            return _in_display_window(path, pixels, part.header)
    if not any(part.channels for part in parts):  # the library only prints what went wrong
        raise FormatError(path, "cannot be read as OpenEXR: it is damaged or cut off")
    found = ", ".join(sorted(name for part in parts for name in part.channels))
    raise FormatError(path, f"has no channels R, G and B, only {found}; write the picture as RGB")


def _open(path: Path, *, header_only: bool = False) -> OpenEXR.File:
    try:
        return OpenEXR.File(str(path), separate_channels=True, header_only=header_only)
    except Exception as error:  # the binding raises RuntimeError, ValueError and its own
        raise FormatError(path, f"cannot be read as OpenEXR ({error})") from error


def _window(box: tuple[Any, Any]) -> tuple[tuple[int, int], Size]:
    """(left, top) and size of an OpenEXR box, whose corners are both inside it."""
    (left, top), (right, bottom) = box
    return (int(left), int(top)), Size(int(bottom - top) + 1, int(right - left) + 1)


def _in_display_window(
    path: Path, pixels: list[np.ndarray[Any, Any]], header: dict[str, Any]
) -> np.ndarray[Any, np.dtype[np.float32]]:
    (data_left, data_top), data = _window(header["dataWindow"])
    (left, top), size = _window(header["displayWindow"])
    if any(channel.shape != tuple(data) for channel in pixels):
        raise FormatError(path, "has subsampled color channels; write it with full R, G and B")
    rgb = np.stack(pixels, axis=-1).astype(np.float32)
    if (data_left, data_top, data) == (left, top, size):
        return rgb
    picture = np.zeros((*size, 3), np.float32)
    rows = _overlap(data_top - top, data.height, size.height)
    columns = _overlap(data_left - left, data.width, size.width)
    picture[rows[1], columns[1]] = rgb[rows[0], columns[0]]
    return picture


def _overlap(offset: int, length: int, total: int) -> tuple[slice, slice]:
    """Where `length` pixels that start at `offset` meet 0..total: in themselves, in the total."""
    first, last = max(offset, 0), max(min(offset + length, total), max(offset, 0))
    return slice(first - offset, last - offset), slice(first, last)
