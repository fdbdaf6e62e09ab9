"""The index of a video: which frames it shows, in which order, and where decoding may start.

It is read off the packets without decoding a picture. Where packets do not tell (no or doubtful
timestamps, packets that show nothing), the film is decoded once instead.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Iterator
from contextlib import contextmanager
from fractions import Fraction
from functools import cached_property
from itertools import pairwise
from pathlib import Path
from typing import NamedTuple

import av
import av.error
from av.container import InputContainer
from av.video.stream import VideoStream

from ...errors import FormatError

_HIDING_CODECS = frozenset({"vp8"})
"""Codecs whose packets may hold a picture that is never shown."""


class PacketInfo(NamedTuple):
    """What the container says about one packet; times are in units of the stream's time base."""

    pts: int | None
    """When its picture is shown."""
    dts: int | None
    """When it is decoded."""
    pos: int | None
    """Byte in the file."""
    is_keyframe: bool
    is_discarded: bool
    """Decoded, but cut out of the film by an edit list."""


class VideoIndex:
    """Frames of a video by position.

    Args:
        packets: of the video stream, in file order.
        times: presentation times of all frames, strictly ascending; None where the film has no
            usable ones: frames are then told apart by counting them from the start.
        count: number of frames.
    """

    def __init__(
        self, packets: tuple[PacketInfo, ...], times: tuple[int, ...] | None, count: int
    ) -> None:
        self.packets = packets
        self.times = times
        self.count = count
        self._keyframes = [i for i, packet in enumerate(packets) if packet.is_keyframe]

    def position(self, pts: int | None) -> int | None:
        """Position of the frame shown at a time, None if there is none."""
        return None if pts is None else self._positions.get(pts)

    def entry(self, position: int) -> int:
        """The packet from which to decode for a frame.

        That is the last keyframe before it in the file that is not shown after it: the frames
        shown before a keyframe of an open group need the group before, too.
        """
        return self._keyframe_before(position, 0)

    def entries(self, position: int) -> list[int]:
        """Packets from which to decode for a frame, to be tried in turn; the last is the start.

        The second is for streams whose keyframes are none (gradual refresh).
        """
        keyframes = [self._keyframe_before(position, skipped) for skipped in (0, 1)]
        return list(dict.fromkeys([*keyframes, 0]))

    def find(self, pts: int | None, pos: int | None) -> int | None:
        """Number of a packet met after a seek, None if it is not known."""
        return self._numbers.get((pts, pos))

    def _keyframe_before(self, position: int, skipped: int) -> int:
        if self.times is None:
            return 0
        time = self.times[position]
        place = bisect_right(self._keyframes, self._packet_of[time]) - 1
        while place >= 0:
            pts = self.packets[self._keyframes[place]].pts
            if pts is not None and pts <= time:
                return self._keyframes[max(place - skipped, 0)]
            place -= 1
        return 0

    @cached_property
    def _positions(self) -> dict[int, int]:
        return {pts: i for i, pts in enumerate(self.times or ())}

    @cached_property
    def _packet_of(self) -> dict[int, int]:
        return {
            p.pts: i for i, p in enumerate(self.packets) if not p.is_discarded and p.pts is not None
        }

    @cached_property
    def _numbers(self) -> dict[tuple[int | None, int | None], int | None]:
        numbers: dict[tuple[int | None, int | None], int | None] = {}
        for i, packet in enumerate(self.packets):
            key = (packet.pts, packet.pos)
            numbers[key] = None if key in numbers else i
        return numbers


@contextmanager
def video_stream(path: Path) -> Iterator[tuple[InputContainer, VideoStream]]:
    """The opened file and its first video stream (cover pictures do not count).

    Raises:
        FormatError: the file is no video, or FFmpeg meets an error within the block.
    """
    try:
        with open_container(path) as container:
            yield container, first_video_stream(container, path)
    except av.error.FFmpegError as error:
        raise unreadable(path, error) from error


def open_container(path: Path) -> InputContainer:
    """The opened file; "file:" keeps FFmpeg from taking parts of a name for a protocol."""
    return av.open(f"file:{path}")


def first_video_stream(container: InputContainer, path: Path) -> VideoStream:
    """The first video stream that is no cover picture, set to decode on all cores."""
    cover = av.stream.Disposition.attached_pic
    for stream in container.streams.video:
        if not stream.disposition & cover:
            stream.thread_type = "AUTO"
            return stream
    kinds = ", ".join(sorted({stream.type for stream in container.streams})) or "nothing"
    raise FormatError(path, f"has no video stream, only {kinds}")


def unreadable(path: Path, error: av.error.FFmpegError) -> FormatError:
    """The error for a file that FFmpeg cannot read."""
    return FormatError(path, f"cannot be read as a video ({error.strerror}): damaged or no video")


class Scan(NamedTuple):
    """What reading a video tells without decoding."""

    packets: tuple[PacketInfo, ...]
    codec: str
    declared_rate: Fraction | None
    """Frames per second as the container has it."""
    time_base: Fraction
    """Seconds in a unit of the packets' times."""


def scan_packets(path: Path) -> Scan:
    """All packets of the video stream.

    Raises:
        FormatError: the file is no video, holds no frame or ends too early.
    """
    packets: list[PacketInfo] = []
    is_cut, end_seconds = False, 0.0
    with video_stream(path) as (container, stream):
        for packet in container.demux():
            end_seconds = max(end_seconds, _end_seconds(packet))
            if packet.stream_index == stream.index and packet.size:
                is_cut = is_cut or packet.is_corrupt
                packets.append(_info(packet))
        is_cut = is_cut or _ends_early(container, end_seconds)
        scan = Scan(
            tuple(packets),
            stream.codec_context.name,
            _fraction(stream.average_rate or stream.guessed_rate),
            _fraction(stream.time_base) or Fraction(1, av.time_base),
        )
    if all(packet.is_discarded for packet in packets):
        raise FormatError(path, "has a video stream without frames")
    if is_cut:
        raise FormatError(path, f"is cut off after {len(packets)} frames; copy or export it again")
    return scan


def index_by_packets(scan: Scan) -> VideoIndex | None:
    """The index without decoding; None where packets do not tell."""
    shown = [packet for packet in scan.packets if not packet.is_discarded]
    times = sorted(packet.pts for packet in shown if packet.pts is not None)
    first = next((packet.pts for packet in scan.packets if packet.is_keyframe), None)
    doubtful = (
        scan.codec in _HIDING_CODECS
        or len(set(times)) != len(shown)
        or not scan.packets[0].is_keyframe
        or first is None
        or times[0] < first
    )
    return None if doubtful else VideoIndex(scan.packets, tuple(times), len(times))


def index_by_decoding(path: Path, scan: Scan) -> VideoIndex:
    """The index of a film whose packets do not tell, from decoding all of it once.

    Raises:
        FormatError: the film cannot be decoded to the end, or shows nothing.
    """
    with video_stream(path) as (container, stream):
        shown = [frame.pts for frame in container.decode(stream)]
    if not shown:
        raise FormatError(path, "has a video stream, but no frame in it can be decoded")
    times = tuple(pts for pts in shown if pts is not None)
    ascending = all(a < b for a, b in pairwise(times))
    known = {packet.pts for packet in scan.packets if not packet.is_discarded}
    usable = len(times) == len(shown) and ascending and known.issuperset(times)
    return VideoIndex(scan.packets, times if usable else None, len(shown))


def average_rate(scan: Scan, index: VideoIndex) -> Fraction | None:
    """Frames per second: as declared, or measured where the frames' times say otherwise."""
    if index.times is None or index.count < 2:
        return scan.declared_rate
    seconds = (index.times[-1] - index.times[0]) * scan.time_base
    measured = (index.count - 1) / seconds
    if scan.declared_rate is None:
        return measured.limit_denominator(100_000)
    deviation = abs(seconds - (index.count - 1) / scan.declared_rate)
    rounding = 2 * scan.time_base + seconds / 100
    return scan.declared_rate if deviation <= rounding else measured.limit_denominator(100_000)


def _info(packet: av.Packet) -> PacketInfo:
    return PacketInfo(
        packet.pts, packet.dts, packet.pos, bool(packet.is_keyframe), bool(packet.is_discard)
    )


def _end_seconds(packet: av.Packet) -> float:
    if packet.pts is None or not packet.time_base:
        return 0.0
    return float((packet.pts + (packet.duration or 0)) * packet.time_base)


def _fraction(rate: Fraction | None) -> Fraction | None:
    """The rate as Python's own Fraction, None for none or zero."""
    return Fraction(rate.numerator, rate.denominator) if rate else None


def _ends_early(container: InputContainer, end_seconds: float) -> bool:
    """Whether a Matroska file ends before the length it declares, by more than rounding.

    Elsewhere a cut packet is marked as corrupt, or FFmpeg only guesses the length.
    """
    if "matroska" not in container.format.name or not container.duration:
        return False
    declared_seconds = container.duration / av.time_base
    return declared_seconds - end_seconds > max(0.25, 0.02 * declared_seconds)
