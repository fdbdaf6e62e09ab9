"""Video files as a FrameSource: any frame by position, byte-equal to decoding from the start."""

from __future__ import annotations

import logging
import threading
from bisect import bisect_left
from collections import OrderedDict
from collections.abc import Iterator
from fractions import Fraction
from functools import cached_property
from pathlib import Path
from typing import Any

import av.error
import numpy as np
import torch
from av.sidedata.sidedata import SideDataContainer
from av.sidedata.sidedata import Type as SideDataType
from av.video.frame import VideoFrame
from av.video.reformatter import VideoReformatter
from torch import Tensor

from ...errors import FormatError
from ...types import Size
from .color import Colorspace, InputColorspace, check_colorspace, to_display
from .fingerprints import fingerprint_files
from .limits import memory_for
from .numbering import POSITION_DIGITS, check_position
from .time_codes import TimeCode, parsed
from .video_decoder import VideoDecoder
from .video_scan import indexed_film, packet_number, video_stream

log = logging.getLogger(__name__)

DECODED_BYTES = 256 << 20
"""Most memory for decoded frames: 86 of 1080p, so that reading backward decodes a group once."""
_BACKWARD_FRAMES = 16
"""Frames that reading backward decodes at once where the groups of pictures are shorter."""
_SAMPLE_BYTES = 64 << 10


class VideoFrames:
    """The frames of a video file, decoded when asked for.

    Reading forward decodes each frame once. Any other jump decodes from the keyframe before; the
    frames met on the way are kept up to `decoded_bytes`, so that reading backward costs a group of
    pictures once as far as it fits. One thread at a time reads.

    Args:
        path: the file.
        input_colorspace: what the values mean; "auto" is sRGB, that is the video as shown.
        decoded_bytes: most memory for decoded frames; one frame is always kept.

    Raises:
        FormatError: the file is no video, holds no frame or ends too early.
    """

    def __init__(
        self,
        path: Path,
        input_colorspace: InputColorspace = "auto",
        *,
        decoded_bytes: int = DECODED_BYTES,
    ) -> None:
        check_colorspace(input_colorspace)
        self._path = path
        self._colorspace: Colorspace = "srgb" if input_colorspace == "auto" else input_colorspace
        self._decoded_bytes = decoded_bytes
        self._lock = threading.RLock()
        self._reformatter = VideoReformatter()
        film = indexed_film(path)
        self._index, self._frame_rate, self._time_base = film.index, film.frame_rate, film.time_base
        self._spoiled = [
            self._index.spoiled_by(number)
            for number, packet in enumerate(self._index.packets)
            if packet.is_corrupt
        ]
        self._warned: set[range] = set()
        self._decoder = VideoDecoder(path, self._index)
        self._run: OrderedDict[int, VideoFrame] = OrderedDict()  # ascending positions
        self._last_read = 0
        height, width = self._pixels(0).shape[:2]
        self._size = Size(height, width)
        if any(component.is_alpha for component in self._run[0].format.components):
            log.info("%s: the alpha channel is ignored", path)

    def __len__(self) -> int:
        return self._index.count

    def __iter__(self) -> Iterator[Tensor]:
        return (self.frame(i) for i in range(len(self)))

    @property
    def size(self) -> Size:
        """Size of every frame, after the rotation that the file asks for."""
        return self._size

    @property
    def frame_rate(self) -> Fraction | None:
        """Frames per second, the average where the rate varies."""
        return self._frame_rate

    @cached_property
    def fingerprint(self) -> str:
        """Hash of the file's length and sampled bytes (see `fingerprints`)."""
        facts = (self._colorspace, len(self))
        return fingerprint_files([("", self._path)], facts=facts, sample_bytes=_SAMPLE_BYTES)

    def frame(self, index: int) -> Tensor:
        """(H, W, 3) RGB, rotated as the file asks for.

        uint8, or float32 display values 0..1 for more than 8 bits or another color space.

        Raises:
            FormatError: the frame cannot be decoded or has another size than the first.
        """
        check_position(index, len(self))
        pixels = self._pixels(index)
        size = Size(*pixels.shape[:2])
        if size != self._size:
            raise FormatError(
                self._path,
                f"frame {self.name(index)} is {size}, the first is {self._size}; "
                "all frames of a shot must have one size",
            )
        return to_display(torch.from_numpy(pixels), self._colorspace)

    def number(self, index: int) -> int:
        """The position."""
        check_position(index, len(self))
        return index

    def name(self, index: int) -> str:
        """The position in five digits."""
        return f"{self.number(index):0{POSITION_DIGITS}d}"

    def time_code(self, index: int) -> TimeCode | None:
        """The time code of a frame, where the file says that of its first."""
        check_position(index, len(self))
        rate = self._frame_rate
        if rate is None or self._first_time_code is None or not self._first_time_code.fits(rate):
            return None
        return self._first_time_code.later(index, rate)

    @cached_property
    def _first_time_code(self) -> TimeCode | None:
        """From the video's own description, the file's, or that of its track of time codes."""
        with video_stream(self._path) as (container, stream):
            every = (stream.metadata, container.metadata, *(s.metadata for s in container.streams))
            texts = [one["timecode"] for one in every if "timecode" in one]
        return parsed(texts[0]) if texts else None

    def window(self, start_seconds: float, end_seconds: float | None = None) -> range:
        """Positions of the frames whose time lies in [start, end), by the file's time stamps.

        Times count as the file has them, which need not begin at 0. None = to the end.
        """
        times = self._index.times
        if times is None:
            rate = self._frame_rate or Fraction(1)
            times = tuple(round(i / rate / self._time_base) for i in range(len(self)))
        first = bisect_left(times, int(start_seconds / self._time_base))
        if end_seconds is None:
            return range(first, len(self))
        return range(first, max(first, bisect_left(times, int(end_seconds / self._time_base))))

    def close(self) -> None:
        """Frees the decoder and the decoded frames; reading on opens the file again."""
        with self._lock:
            self._run.clear()
            self._decoder.close()

    def _pixels(self, index: int) -> np.ndarray[Any, Any]:
        """(H, W, 3) uint8, or uint16 for more than 8 bits."""
        with self._lock, memory_for(self._path):
            frame = self._decoded(index)
            self._last_read = index
            self._warn_if_spoiled(index)
            return np.ascontiguousarray(_upright(self._rgb(frame), frame))

    def _warn_if_spoiled(self, index: int) -> None:
        """Says once of each damage which frames it reaches, when the first of them is read."""
        for frames in self._spoiled:
            if index in frames and frames not in self._warned:
                self._warned.add(frames)
                names = " to ".join(dict.fromkeys([self.name(frames[0]), self.name(frames[-1])]))
                log.warning(
                    "%s: the file is damaged at frame %s; what is read there, up to the next "
                    "keyframe, is the decoder's guess",
                    self._path,
                    names,
                )

    def _note_damage(self, packet: int) -> None:
        """Keeps the frames that a packet reaches of which the decoder could not make everything."""
        frames = self._index.spoiled_by(packet)
        if not any(set(frames) <= set(known) for known in self._spoiled):
            self._spoiled.append(frames)

    def _decoded(self, index: int) -> VideoFrame:
        if index in self._run:
            return self._run[index]
        try:
            if self._decoder.leads_to(index) and self._decode_to(index):
                return self._run[index]
            for entry in self._entries(index):
                self._decoder.start(entry)
                if self._decode_to(index):
                    return self._run[index]
        except av.error.MemoryError:
            raise
        except av.error.FFmpegError as error:
            raise FormatError(
                self._path,
                f"frame {self.name(index)} cannot be decoded ({error.strerror}): damaged there",
            ) from error
        raise FormatError(self._path, f"frame {self.name(index)} cannot be decoded: damaged there")

    def _entries(self, index: int) -> list[int]:
        """Packets from which to decode for a frame, to be tried in turn."""
        entries = self._index.entries(index)
        if index == self._last_read - 1 and self._run:
            frame_bytes = _decoded_bytes(next(reversed(self._run.values())))
            count = min(_BACKWARD_FRAMES, self._decoded_bytes // frame_bytes)
            earlier = self._index.entry(max(index + 1 - count, 0)) if count else entries[0]
            entries.insert(0, min(earlier, entries[0]))
        return entries

    def _decode_to(self, index: int) -> bool:
        """Decodes into the run until a position is reached; False if it is passed by."""
        self._run.clear()
        used_bytes, expected = 0, None
        for position, frame in self._decoder:
            for lost in range(position if expected is None else expected, position):
                self._note_damage(self._index.packet_of(lost))
            expected = position + 1
            if frame.is_corrupt:
                self._note_damage(packet_number(frame, self._index.packet_of(position)))
            self._run[position] = frame
            used_bytes += _decoded_bytes(frame)
            while used_bytes > self._decoded_bytes and len(self._run) > 1:
                used_bytes -= _decoded_bytes(self._run.popitem(last=False)[1])
            if position >= index:
                return position == index
        return False

    def _rgb(self, frame: VideoFrame) -> np.ndarray[Any, Any]:
        """(H, W, 3) uint8, or uint16 for more than 8 bits; a YUV matrix not named is BT.601."""
        is_deep = any(component.bits > 8 for component in frame.format.components)
        rgb = self._reformatter.reformat(frame, format="rgb48le" if is_deep else "rgb24")
        pixels = rgb.to_ndarray()
        return pixels.copy() if rgb is frame else pixels  # a kept frame is not handed out


def _decoded_bytes(frame: VideoFrame) -> int:
    return sum(plane.buffer_size for plane in frame.planes)


def _upright(pixels: np.ndarray[Any, Any], frame: VideoFrame) -> np.ndarray[Any, Any]:
    """Pixels turned and mirrored by the nearest right angle to the file's display matrix.

    The matrix sends (x, y) to (a x + c y, b x + d y), in 16.16 fixed point (ISO 14496-12, 8.2.2).
    """
    # frame.side_data would stay in the frame and hold it in turn, until garbage is collected
    side_data: Any = SideDataContainer(frame)  # type: ignore[call-arg]
    try:
        matrix = side_data[SideDataType.DISPLAYMATRIX]
    except KeyError:
        return pixels
    a, b, _, c, d = (int(v) for v in np.frombuffer(matrix, np.int32)[:5])
    if abs(a) + abs(d) < abs(b) + abs(c):
        pixels, a, d = pixels.swapaxes(0, 1), c, b
    return pixels[:: -1 if d < 0 else 1, :: -1 if a < 0 else 1]
