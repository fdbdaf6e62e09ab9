"""Reading the index of a video off its packets, without decoding a picture.

Where packets do not tell (no or doubtful timestamps, packets that show nothing, lost bytes), the
film is decoded once instead. A film is indexed once in a process.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from fractions import Fraction
from functools import lru_cache
from itertools import islice, pairwise
from pathlib import Path
from typing import NamedTuple

import av
import av.error
import av.logging
from av.codec.context import Flags
from av.container import InputContainer
from av.packet import Packet
from av.video.frame import VideoFrame
from av.video.stream import VideoStream

from ...errors import FormatError
from ...paths import check_file
from ...types import Size
from .limits import check_pixels, memory_for
from .video_index import PacketInfo, VideoIndex

_HIDING_CODECS = frozenset({"vp8"})
"""Codecs whose packets may hold a picture that is never shown."""
_STREAM_FORMAT = "mpegts"
"""A format that is made to go on after lost bytes; elsewhere they mean that the file is cut off."""
_PROBED_FRAMES = 8
_KEPT_FILMS = 8
# What FFmpeg says of a codec: "Unknown/unsupported AVCodecID V_NAME.", "Video: none (CODE / 0x..)"
_CODEC_NAMES = (
    re.compile(r"AVCodecID (\S+?)\.?$", re.MULTILINE),
    re.compile(r"Video: \w+ \((\S+) / 0x"),
    re.compile(r"Video: (\w+)"),
)


@dataclass(frozen=True, eq=False)
class IndexedFilm:
    """What is known of a film before a picture is asked for."""

    index: VideoIndex
    frame_rate: Fraction | None
    """Frames per second, the average where the rate varies."""
    time_base: Fraction
    """Seconds in a unit of the packets' times."""


def indexed_film(path: Path) -> IndexedFilm:
    """The index of a film, from memory if the file was indexed before and has not changed since.

    Safe to call from several threads.

    Raises:
        FormatError: the file is no video, holds no frame or ends too early.
        CapacityError: memory ran out.
    """
    check_file(path)
    try:
        facts = path.stat()
        return _index(path.absolute(), facts.st_size, facts.st_mtime_ns)
    except FormatError as error:
        raise FormatError(path, error.problem) from error  # as the caller wrote the path
    except OSError as error:
        raise FormatError(path, f"cannot be read ({error.strerror or error})") from error


@lru_cache(maxsize=_KEPT_FILMS)
def _index(path: Path, size_bytes: int, modified_ns: int) -> IndexedFilm:
    del size_bytes, modified_ns  # they are here to be part of the key
    scan = _scan_packets(path)
    index = _checked_index(path, scan)
    return IndexedFilm(index, _average_rate(scan, index), scan.time_base)


@contextmanager
def video_stream(path: Path) -> Iterator[tuple[InputContainer, VideoStream]]:
    """The opened file and its first video stream (cover pictures do not count).

    Raises:
        FormatError: the file is no video, or FFmpeg meets an error within the block.
        CapacityError: memory ran out.
    """
    try:
        with memory_for(path), open_container(path) as container:
            yield container, first_video_stream(container, path)
    except av.error.FFmpegError as error:
        problem = f"cannot be read as a video ({error.strerror}): damaged or no video"
        raise FormatError(path, problem) from error


def open_container(path: Path) -> InputContainer:
    """The opened file; "file:" keeps FFmpeg from taking parts of a name for a protocol.

    Its title and comments may be in any encoding: they are not read.
    """
    return av.open(f"file:{path}", metadata_errors="replace")


def first_video_stream(container: InputContainer, path: Path) -> VideoStream:
    """The first video stream that is no cover picture, set to decode on all cores.

    Frames carry the number that their packet was given as `opaque`.

    Raises:
        FormatError: there is none, none that can be decoded, or its pictures are too large.
    """
    cover = av.stream.Disposition.attached_pic
    # not container.streams.video, which leaves out what cannot be decoded
    streams = [s for s in container.streams if s.type == "video" and not s.disposition & cover]
    if not streams:
        kinds = ", ".join(sorted({stream.type for stream in container.streams})) or "nothing"
        raise FormatError(path, f"has no video stream, only {kinds}")
    stream = streams[0]
    if not isinstance(stream, VideoStream) or stream.codec_context is None:
        raise FormatError(
            path,
            f"is a video of codec {_codec_name(path)}, which cannot be decoded here; "
            "export it in another, such as ProRes, H.264 or PNG files",
        )
    if stream.codec_context.width and stream.codec_context.height:
        check_pixels(path, Size(stream.codec_context.height, stream.codec_context.width))
    stream.thread_type = "AUTO"
    stream.codec_context.flags |= Flags.copy_opaque
    return stream


def decode_packet(packet: Packet, number: int, *, passed_over: bool) -> list[VideoFrame]:
    """Frames that decoding a packet gives, each with the number of its own packet as `opaque`.

    Args:
        packet: the packet.
        number: its number in the index.
        passed_over: whether a packet that cannot be decoded gives no frame instead of an error.
    """
    packet.opaque = number
    try:
        return packet.decode()
    except av.error.InvalidDataError:
        if passed_over:
            return []
        raise


def packet_number(frame: VideoFrame, last_number: int) -> int:
    """Number of the packet that a frame comes from; that decoded last where FFmpeg lost it."""
    return frame.opaque if isinstance(frame.opaque, int) else last_number


def _codec_name(path: Path) -> str:
    """What FFmpeg calls a codec that it has no decoder for, out of what it says when opening."""
    level = av.logging.get_level()
    try:
        av.logging.set_level(av.logging.INFO)
        with av.logging.Capture(local=False) as messages, open_container(path) as container:
            text = str(getattr(container, "dumps_format", str)())
    finally:
        av.logging.set_level(level)
    said = "\n".join([*(message for _, _, message in messages), text])
    found = (pattern.search(said) for pattern in _CODEC_NAMES)
    return next((match[1] for match in found if match), "unknown")


class _Scan(NamedTuple):
    """What reading a video tells without decoding."""

    packets: tuple[PacketInfo, ...]
    codec: str
    declared_rate: Fraction | None
    """Frames per second as the container has it."""
    time_base: Fraction
    """Seconds in a unit of the packets' times."""


def _scan_packets(path: Path) -> _Scan:
    """All packets of the video stream.

    Raises:
        FormatError: the file is no video, holds no frame or ends too early.
    """
    packets: list[PacketInfo] = []
    end_seconds = 0.0
    with video_stream(path) as (container, stream):
        for packet in container.demux():
            end_seconds = max(end_seconds, _end_seconds(packet))
            if packet.stream_index == stream.index and packet.size:
                packets.append(_info(packet))
        is_cut = _is_cut(container, stream, packets) or _ends_early(container, end_seconds)
        scan = _Scan(
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


def _checked_index(path: Path, scan: _Scan) -> VideoIndex:
    """The index by packets if the first decoded frames bear it out, else by decoding."""
    index = _index_by_packets(scan)
    if index is None or index.times is None:
        return _index_by_decoding(path, scan)
    with video_stream(path) as (container, stream):
        times = tuple(frame.pts for frame in islice(container.decode(stream), _PROBED_FRAMES))
    if times != index.times[:_PROBED_FRAMES]:
        return _index_by_decoding(path, scan)
    return index


def _index_by_packets(scan: _Scan) -> VideoIndex | None:
    """The index without decoding; None where packets do not tell."""
    shown = [
        (packet.pts, number)
        for number, packet in enumerate(scan.packets)
        if not packet.is_discarded and packet.pts is not None
    ]
    shown.sort()
    times = tuple(time for time, _ in shown)
    first = next((packet.pts for packet in scan.packets if packet.is_keyframe), None)
    doubtful = (
        scan.codec in _HIDING_CODECS
        or any(packet.is_corrupt for packet in scan.packets)
        or len(set(times)) != sum(not packet.is_discarded for packet in scan.packets)
        or not scan.packets[0].is_keyframe
        or first is None
        or times[0] < first
    )
    return None if doubtful else VideoIndex(scan.packets, times, tuple(n for _, n in shown))


def _index_by_decoding(path: Path, scan: _Scan) -> VideoIndex:
    """The index of a film whose packets do not tell, from decoding all of it once.

    Raises:
        FormatError: the film cannot be decoded to the end, or shows nothing.
    """
    shown: list[tuple[int | None, int]] = []  # time and packet
    with video_stream(path) as (container, stream):
        for number, packet in enumerate(container.demux(stream)):
            is_corrupt = number < len(scan.packets) and scan.packets[number].is_corrupt
            for frame in decode_packet(packet, number, passed_over=is_corrupt):
                shown.append((frame.pts, packet_number(frame, number)))
    if not shown:
        raise FormatError(path, "has a video stream, but no frame in it can be decoded")
    times = tuple(pts for pts, _ in shown if pts is not None)
    ascending = all(a < b for a, b in pairwise(times))
    known = {packet.pts for packet in scan.packets if not packet.is_discarded}
    usable = len(times) == len(shown) and ascending and known.issuperset(times)
    return VideoIndex(scan.packets, times if usable else None, tuple(n for _, n in shown))


def _average_rate(scan: _Scan, index: VideoIndex) -> Fraction | None:
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
        packet.pts,
        packet.dts,
        packet.pos,
        bool(packet.is_keyframe),
        bool(packet.is_discard),
        bool(packet.is_corrupt),
    )


def _end_seconds(packet: av.Packet) -> float:
    if packet.pts is None or not packet.time_base:
        return 0.0
    return float((packet.pts + (packet.duration or 0)) * packet.time_base)


def _fraction(rate: Fraction | None) -> Fraction | None:
    """The rate as Python's own Fraction, None for none or zero."""
    return Fraction(rate.numerator, rate.denominator) if rate else None


def _is_cut(container: InputContainer, stream: VideoStream, packets: list[PacketInfo]) -> bool:
    """Whether a packet lacks bytes that lie beyond the end, or MP4 and MOV list such packets."""
    if _STREAM_FORMAT in container.format.name:
        return False
    listed = getattr(stream, "index_entries", ()) if "mov" in container.format.name else ()
    return any(p.is_corrupt for p in packets) or any(
        entry.pos + entry.size > container.size for entry in listed
    )


def _ends_early(container: InputContainer, end_seconds: float) -> bool:
    """Whether a Matroska file ends before the length it declares, by more than rounding.

    Elsewhere a cut packet is marked as corrupt, or FFmpeg only guesses the length.
    """
    if "matroska" not in container.format.name or not container.duration:
        return False
    declared_seconds = container.duration / av.time_base
    return declared_seconds - end_seconds > max(0.25, 0.02 * declared_seconds)
