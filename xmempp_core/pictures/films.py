"""Films of overlays, for viewing."""

from __future__ import annotations

from collections.abc import Mapping
from fractions import Fraction
from pathlib import Path
from types import TracebackType
from typing import Self

import av
import numpy as np
from av.video.reformatter import ColorRange, Colorspace
from torch import Tensor

from ..errors import FormatError, InputError, ShapeError
from ..formats.annotations.png_pixels import Color
from ..formats.film_file import FilmFile, FilmKind
from ..types import Size
from .overlays import draw_overlay, to_uint8

DEFAULT_FRAME_RATE = Fraction(24)

# The index goes to the front, so that a browser can start before it has everything. x264's
# macroblock tree reads beyond its own arrays with AVX-512, so that the same pictures gave other
# bytes from run to run.
_KIND = FilmKind(
    "mp4",
    "libx264",
    "yuv420p",
    {"crf": "18", "preset": "veryfast", "mbtree": "0"},
    {"movflags": "faststart"},
)


class OverlayVideo:
    """An H.264 film of overlays (mp4, 4:2:0, BT.709), written frame by frame.

    A context manager: the file appears under its name when the block ends without an error. Odd
    sides gain one line, a copy of the last, as 4:2:0 needs even ones. The same pictures give the
    same bytes.

    Args:
        path: of the film.
        frame_rate: frames per second; None = 24.
        colors: display colors by object id.
    """

    def __init__(
        self,
        path: str | Path,
        frame_rate: Fraction | None = None,
        *,
        colors: Mapping[int, Color] | None = None,
    ) -> None:
        self.path = Path(path)
        self.frame_rate = DEFAULT_FRAME_RATE if frame_rate is None else Fraction(frame_rate)
        if self.frame_rate <= 0:
            raise InputError(f"frame rate {self.frame_rate} is not above 0")
        self._colors = colors
        self._size: Size | None = None

    def __enter__(self) -> Self:
        self._film = FilmFile(self.path, _KIND, self.frame_rate).__enter__()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        if kind is None and self._size is None:
            error = FormatError(self.path, "would hold no frame; add at least one")
            self._film.__exit__(type(error), error, None)
            raise error
        self._film.__exit__(kind, error, trace)

    def add(self, frame: Tensor, labels: Tensor) -> None:
        """Append the overlay of a frame (H, W, 3) and its label map (H, W)."""
        self.add_picture(draw_overlay(frame, labels, self._colors))

    def add_picture(self, picture: Tensor) -> None:
        """Append a picture (H, W, 3) as it is.

        Raises:
            ShapeError: it has another size than the first.
        """
        size = Size(*picture.shape[:2])
        if self._size is None:
            self._film.start(size)
            self._size = size
        elif size != self._size:
            what = f"frame {self._film.count} of {self.path.name}"
            raise ShapeError(what, str(self._size), str(size))
        self._film.add(_encodable(picture))


def _encodable(picture: Tensor) -> av.VideoFrame:
    """The picture as 4:2:0 BT.709, odd sides padded."""
    pixels = to_uint8(picture).numpy()
    height, width = pixels.shape[:2]
    even = np.pad(pixels, ((0, height % 2), (0, width % 2), (0, 0)), mode="edge")
    frame = av.VideoFrame.from_ndarray(np.ascontiguousarray(even), format="rgb24")
    return frame.reformat(
        format="yuv420p", dst_colorspace=Colorspace.ITU709, dst_color_range=ColorRange.MPEG
    )
