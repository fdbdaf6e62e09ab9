"""Channels of OpenEXR mattes, laid where the frames have them."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import OpenEXR
from numpy.typing import NDArray

from ...errors import FormatError
from ...paths import check_file
from ...types import Size
from ..frames.limits import check_pixels, memory_for

Box = tuple[tuple[int, int], tuple[int, int]]
"""Left and top, right and bottom pixel; both are inside."""


@dataclass(frozen=True, eq=False)
class ExrChannel:
    """A channel and its place in the picture."""

    path: Path
    """of the file"""
    name: str
    pixels: NDArray[Any]
    """(H, W) of the data window"""
    data: Box
    """the data window"""
    display: Box
    """the display window"""

    def placed(self, size: Size | None) -> NDArray[Any]:
        """The channel as frames of a size have it.

        Where the size is that of the display window, pixels lie in it, and what the file does not
        store is 0; else they are those of the data window.

        Raises:
            FormatError: the channel is subsampled.
        """
        if self.pixels.shape != tuple(size_of(self.data)):
            raise FormatError(self.path, f"has a subsampled channel {self.name}; write it in full")
        if size_of(self.display) != size or self.data == self.display:
            return self.pixels
        (left, top), (right, bottom) = self.display
        (own_left, own_top), _ = self.data
        picture = np.zeros(size, self.pixels.dtype)
        height, width = self.pixels.shape
        rows = slice(max(top, own_top), min(bottom + 1, own_top + height))
        columns = slice(max(left, own_left), min(right + 1, own_left + width))
        if rows.start < rows.stop and columns.start < columns.stop:
            own = self.pixels[_moved(rows, own_top), _moved(columns, own_left)]
            picture[_moved(rows, top), _moved(columns, left)] = own
        return picture


def read_header(path: Path) -> list[dict[str, Any]]:
    """The headers of a file's parts.

    Raises:
        FormatError: it is no OpenEXR file, or a window in it is too large.
    """
    return [part.header for part in _open(path, header_only=True).parts]


def channel_names(headers: list[dict[str, Any]]) -> list[str]:
    """Names of the channels of all parts."""
    return [channel.name for header in headers for channel in header["channels"]]


def read_channels(path: Path) -> dict[str, ExrChannel]:
    """Channels of all parts by name.

    Raises:
        FormatError: the file cannot be read.
        CapacityError: there is not enough memory.
    """
    read_header(path)  # refuses what is too large before memory is asked for
    with memory_for(path):
        channels = {}
        for part in _open(path).parts:
            data, display = (box_of(part.header[n]) for n in ("dataWindow", "displayWindow"))
            for name, channel in part.channels.items():
                channels[name] = ExrChannel(path, name, channel.pixels, data, display)
        return channels


def window_size(window: tuple[Any, Any]) -> Size:
    """Height and width of a window of a header."""
    return size_of(box_of(window))


def size_of(box: Box) -> Size:
    """Height and width of a window."""
    (left, top), (right, bottom) = box
    return Size(bottom - top + 1, right - left + 1)


def box_of(window: tuple[Any, Any]) -> Box:
    """A window of a header."""
    (left, top), (right, bottom) = window
    return (int(left), int(top)), (int(right), int(bottom))


def _open(path: Path, *, header_only: bool = False) -> OpenEXR.File:
    check_file(path)
    try:
        file = OpenEXR.File(str(path), separate_channels=True, header_only=header_only)
    except MemoryError:
        raise
    except Exception as error:  # the binding raises RuntimeError, ValueError and its own
        raise FormatError(path, f"cannot be read as OpenEXR ({error})") from error
    for part in file.parts:
        for window in ("dataWindow", "displayWindow"):
            check_pixels(path, size_of(box_of(part.header[window])))
    return file


def _moved(part: slice, origin: int) -> slice:
    return slice(part.start - origin, part.stop - origin)
