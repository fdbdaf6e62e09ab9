"""Reading OpenEXR pictures, half or float, as RGB in scene light."""

from __future__ import annotations

from fractions import Fraction
from pathlib import Path
from typing import Any, Literal, get_args

import numpy as np
import OpenEXR

from ...errors import FormatError, InputError
from ...paths import check_file
from ...types import Size
from .limits import check_pixels, memory_for
from .time_codes import TimeCode, of_exr

ExrWindow = Literal["display", "data"]
"""Which window of a file is the frame: the display window, or the data window with its overscan."""


def check_window(window: str) -> None:
    """Raises InputError unless it is a window."""
    if window not in get_args(ExrWindow):
        known = " or ".join(get_args(ExrWindow))
        raise InputError(f"the window of OpenEXR files is {window!r}; allowed is {known}")


def read_exr_header(path: Path, window: ExrWindow = "display") -> tuple[Size, bool]:
    """Size of a window and whether the file has an alpha channel.

    Raises:
        FormatError: the file is no OpenEXR file, or a window in it is too large.
    """
    header = exr_attributes(path)
    names = {channel.name for channel in header["channels"]}
    return _window(header[f"{window}Window"])[1], "A" in names


def exr_attributes(path: Path) -> dict[str, Any]:
    """The header of the part that is read.

    Raises:
        FormatError: the file is no OpenEXR file, or a window in it is too large.
    """
    parts = _open(path, header_only=True).parts
    if not parts:
        raise FormatError(path, "cannot be read as OpenEXR: it holds no part")
    channels = [{channel.name for channel in part.header["channels"]} for part in parts]
    for part in parts:  # reading a file reads all of its parts
        for window in ("dataWindow", "displayWindow"):
            check_pixels(path, _window(part.header[window])[1])
    chosen = _part_with_colors(channels) or (0, ())
    return dict(parts[chosen[0]].header)


def exr_data_window(path: Path) -> tuple[tuple[int, int], Size]:
    """(left, top) and size of the data window."""
    return _window(exr_attributes(path)["dataWindow"])


def exr_frame_rate(path: Path) -> Fraction | None:
    """Frames per second, where the file says."""
    rate = exr_attributes(path).get("framesPerSecond")
    try:
        return None if rate is None or rate <= 0 else Fraction(rate.numerator, rate.denominator)
    except ZeroDivisionError:  # as some programs write for unknown
        return None


def exr_time_code(path: Path) -> TimeCode | None:
    """The time code, where the file says."""
    value = exr_attributes(path).get("timeCode")
    return None if value is None else of_exr(value)


def read_exr(path: Path, window: ExrWindow = "display") -> np.ndarray[Any, np.dtype[np.float32]]:
    """(H, W, 3) float32 RGB of a window, black where the file holds no pixels.

    The first part that has R, G and B is read; only where none has, the first with Y (gray).

    Raises:
        FormatError: the file cannot be read or has neither R, G, B nor Y.
    """
    exr_attributes(path)
    with memory_for(path):
        parts = _open(path).parts
        if not any(part.channels for part in parts):  # the library only prints what went wrong
            raise FormatError(path, "cannot be read as OpenEXR: it is damaged or cut off")
        chosen = _part_with_colors([set(part.channels) for part in parts])
        if chosen is None:
            found = ", ".join(sorted(name for part in parts for name in part.channels))
            problem = f"has no channels R, G and B, only {found}; write the picture as RGB"
            raise FormatError(path, problem)
        part, names = parts[chosen[0]], chosen[1]
        pixels = [part.channels[name].pixels for name in names]
        return _in_window(path, pixels, part.header, window)


def _part_with_colors(parts: list[set[str]]) -> tuple[int, tuple[str, ...]] | None:
    """Number of the part to show and its three channels, from the channel names of all parts."""
    for number, names in enumerate(parts):
        if {"R", "G", "B"} <= names:
            return number, ("R", "G", "B")
    for number, names in enumerate(parts):
        if "Y" in names and not {"RY", "BY"} & names:
            return number, ("Y", "Y", "Y")
    return None


def _open(path: Path, *, header_only: bool = False) -> OpenEXR.File:
    check_file(path)
    try:
        return OpenEXR.File(str(path), separate_channels=True, header_only=header_only)
    except MemoryError:
        raise
    except Exception as error:  # the binding raises RuntimeError, ValueError and its own
        raise FormatError(path, f"cannot be read as OpenEXR ({error})") from error


def _window(box: tuple[Any, Any]) -> tuple[tuple[int, int], Size]:
    """(left, top) and size of an OpenEXR box, whose corners are both inside it."""
    (left, top), (right, bottom) = box
    return (int(left), int(top)), Size(int(bottom - top) + 1, int(right - left) + 1)


def _in_window(
    path: Path, pixels: list[np.ndarray[Any, Any]], header: dict[str, Any], window: ExrWindow
) -> np.ndarray[Any, np.dtype[np.float32]]:
    (data_left, data_top), data = _window(header["dataWindow"])
    (left, top), size = _window(header[f"{window}Window"])
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
