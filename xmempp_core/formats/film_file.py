"""Films written frame by frame: whole or absent, BT.709, the same bytes for the same frames."""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import ExitStack
from dataclasses import dataclass, field
from fractions import Fraction
from pathlib import Path
from types import TracebackType
from typing import Self

import av
from av.video.reformatter import ColorRange

from ..atomic import replacing
from ..types import Size


@dataclass(frozen=True)
class FilmKind:
    """Container and encoder of a film."""

    container: str
    encoder: str
    pixel_format: str
    options: Mapping[str, str]
    """of the encoder"""
    container_options: Mapping[str, str] = field(default_factory=dict)
    thread_count: int = 0
    """of the encoder; 0 = its own choice. With several the bytes of some depend on their number."""

    def stream_size(self, size: Size) -> Size:
        """Size of the pictures in the film: 4:2:0 needs even sides."""
        odd = 0 if "444" in self.pixel_format else 1
        return Size(size.height + odd * (size.height % 2), size.width + odd * (size.width % 2))


class FilmFile:
    """The file of a film.

    A context manager: the film appears under its name when the block ends without an error.

    Args:
        path: of the film.
        kind: container and encoder.
        frame_rate: frames per second.
    """

    def __init__(self, path: Path, kind: FilmKind, frame_rate: Fraction) -> None:
        self._path, self._kind, self._frame_rate = path, kind, frame_rate
        self.count = 0
        """Frames so far."""

    def __enter__(self) -> Self:
        with ExitStack() as stack:
            temporary = stack.enter_context(replacing(self._path))
            kind = self._kind
            options = dict(kind.container_options)
            self.container = stack.enter_context(
                av.open(str(temporary), "w", format=kind.container, options=options)
            )
            self._exits = stack.pop_all()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        if kind is not None:
            self._exits.__exit__(kind, error, trace)
            return
        with self._exits:
            self.container.mux(self.stream.encode(None))

    def start(self, size: Size) -> None:
        """Opens the stream, before the first frame.

        Args:
            size: of the frames; odd sides gain a line where the pixel format needs it.
        """
        kind = self._kind
        stream = self.container.add_stream(
            kind.encoder, rate=self._frame_rate, options=dict(kind.options)
        )
        assert isinstance(stream, av.VideoStream)
        stream.height, stream.width = kind.stream_size(size)
        stream.pix_fmt = kind.pixel_format
        context = stream.codec_context
        if kind.thread_count:
            context.thread_count = kind.thread_count
        # Number 1 of each table is BT.709; unmarked films are guessed at by their size.
        context.colorspace = context.color_primaries = context.color_trc = 1
        context.color_range = ColorRange.MPEG
        self.stream = stream

    def add(self, frame: av.VideoFrame) -> None:
        """Append a frame of the stream's size and pixel format."""
        frame.pts, frame.time_base = self.count, 1 / self._frame_rate
        self.count += 1
        self.container.mux(self.stream.encode(frame))
