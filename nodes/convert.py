"""IMAGE and VIDEO as frames of the core, and back."""

from __future__ import annotations

from collections.abc import Callable, Hashable, Iterator
from fractions import Fraction
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch

from . import files, host
from .identity import SameObject, file_facts

if TYPE_CHECKING:
    from torch import Tensor

    from ..xmempp_core import FrameSource, Size

PICTURES = "pictures:"
"""Before the fingerprint of frames that came as IMAGE."""


def frames_of(frames: Any) -> LinkedFrames:
    """The frames of an IMAGE (N, H, W, C) or of a VIDEO, whose file is read piece by piece.

    A trimmed video holds the frames of its window, a video made in the graph its pictures.

    Raises:
        InputError: it is neither, or it holds no frame.
        FormatError: the video cannot be read.
    """
    from ..xmempp_core import InputError, open_frames

    if hasattr(frames, "get_components"):
        return _frames_of_video(frames)
    if getattr(frames, "ndim", 0) != 4 or frames.shape[0] == 0:
        raise InputError(
            f"frames is {_kind(frames)}; link an IMAGE batch or a VIDEO with at least one frame"
        )
    return LinkedFrames(open_frames(_colors(frames)), kind=PICTURES, identity=SameObject(frames))


def file_link(frames: Any) -> Hashable | None:
    """What tells the same part of the same file, without opening it; None for what is no file."""
    stream = host.stream_of_video(frames) if hasattr(frames, "get_components") else None
    if not isinstance(stream, str) or not Path(stream).is_file():
        return None
    return file_facts(Path(stream)), frames.get_active_trim_window()


def _frames_of_video(video: Any) -> LinkedFrames:
    from ..xmempp_core import open_frames

    stream = host.stream_of_video(video)
    if stream is None:
        components = video.get_components()
        rate = Fraction(components.frame_rate)
        pictures = open_frames(_colors(components.images))
        same = (SameObject(components.images), rate)
        return LinkedFrames(pictures, frame_rate=rate, kind=PICTURES, identity=same)
    is_file = isinstance(stream, str)
    path = Path(stream) if is_file else files.temporary_copy(stream.getbuffer())
    title = path.name if is_file else ""
    source, facts = open_frames(path), file_facts(path)
    start_seconds, duration_seconds = video.get_active_trim_window()
    if not start_seconds and not duration_seconds:
        return LinkedFrames(source, identity=facts, title=title)
    window = _window(source, start_seconds, duration_seconds)
    return LinkedFrames(source, window=window, identity=(facts, window), title=title)


def _window(source: FrameSource, start_seconds: float, duration_seconds: float) -> range:
    """Positions of the frames whose time lies in [start, start + duration); 0 = to the end."""
    from ..xmempp_core import InputError

    end_seconds = start_seconds + duration_seconds if duration_seconds else None
    # only films can be trimmed: a still picture has one frame and no times
    positions = getattr(source, "window", lambda *_: range(len(source)))
    window: range = positions(start_seconds, end_seconds)
    if not window:
        raise InputError(
            f"the trimmed video holds no frame: it starts at {start_seconds:g} s for "
            f"{duration_seconds:g} s, and the file has {len(source)} frames; widen the trim"
        )
    return window


class LinkedFrames:
    """A FrameSource as ComfyUI shows it: counted from 0, perhaps a part of the file.

    Args:
        source: the frames.
        window: positions to show; None = all.
        frame_rate: frames per second; None = the source's.
        kind: put before the fingerprint, as pictures and files cannot be told apart otherwise.
        identity: equal for the very same frames alone, while the process lasts; costs nothing,
            where the fingerprint reads them. None = like no other.
        title: name of the file, for reading; "" = none.
    """

    def __init__(
        self,
        source: FrameSource,
        *,
        window: range | None = None,
        frame_rate: Fraction | None = None,
        kind: str = "",
        identity: Hashable = None,
        title: str = "",
    ) -> None:
        self._source = source
        self.title = title
        self.identity = object() if identity is None else identity
        self._window = range(len(source)) if window is None else window
        self._kind = kind
        self.frame_rate = source.frame_rate if frame_rate is None else frame_rate
        self.size: Size = source.size

    def __len__(self) -> int:
        return len(self._window)

    @property
    def fingerprint(self) -> str:
        """That of the whole clip, with the part of it that is shown."""
        part = f"[{self._window.start}:{self._window.stop}]"
        whole = len(self._window) == len(self._source)
        return self.whole_fingerprint + ("" if whole else part)

    @property
    def whole_fingerprint(self) -> str:
        """The source's, with the kind, whatever part of it is shown."""
        return self._kind + self._source.fingerprint

    def position(self, index: int) -> int:
        """Where a frame lies in the whole clip."""
        return self._window[index]

    def index_of(self, position: int) -> int | None:
        """The frame at a position of the whole clip; None where it is not shown."""
        return self._window.index(position) if position in self._window else None

    def frame(self, index: int) -> Tensor:
        """Frame at a 0-based position in the window."""
        return self._source.frame(self._window[index])

    def number(self, index: int) -> int:
        """The position: a trimmed clip counts from 0, as ComfyUI does."""
        return index

    def name(self, index: int) -> str:
        """Five digits."""
        return f"{index:05d}"

    def __iter__(self) -> Iterator[Tensor]:
        return (self.frame(i) for i in range(len(self)))


class Watched(LinkedFrames):
    """A FrameSource that says when a frame is read, so that Cancel is heard in a long search.

    Args:
        source: the frames.
        on_frame: called before a frame is read.
        fingerprint: in place of the source's.
    """

    def __init__(
        self, source: FrameSource, on_frame: Callable[[], None], fingerprint: str | None = None
    ) -> None:
        super().__init__(source)
        self._on_frame = on_frame
        self._fingerprint = fingerprint

    @property
    def fingerprint(self) -> str:
        """The one that was given, else the source's."""
        return super().fingerprint if self._fingerprint is None else self._fingerprint

    def frame(self, index: int) -> Tensor:
        """The frame."""
        self._on_frame()
        return super().frame(index)


def check_frame_index(frame_index: int, source: FrameSource) -> None:
    """Raises InputError when the clip has no such frame."""
    from ..xmempp_core import InputError

    if frame_index >= len(source):
        raise InputError(
            f"frame_index is {frame_index}, but the clip has {len(source)} frames; "
            f"choose 0 to {len(source) - 1}"
        )


def image_of(frames: list[Tensor]) -> Tensor:
    """An IMAGE (N, H, W, 3) float32 0..1 of frames (H, W, 3)."""
    scaled = [f.float() / 255 if f.dtype == torch.uint8 else f.float() for f in frames]
    return host.to_output(torch.stack(scaled))


def _colors(images: Tensor) -> Tensor:
    """The three color channels as float; a gray picture is repeated."""
    colors = images[..., :3] if images.shape[-1] >= 3 else images[..., :1].expand(-1, -1, -1, 3)
    return colors.float()


def _kind(value: Any) -> str:
    shape = getattr(value, "shape", None)
    return type(value).__name__ if shape is None else f"a tensor of shape {tuple(shape)}"
