"""Decoding a video from any packet of its index on."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import av.error
from av.container import InputContainer
from av.packet import Packet
from av.video.frame import VideoFrame
from av.video.stream import VideoStream

from .video_index import VideoIndex
from .video_scan import decode_packet, first_video_stream, open_container


class VideoDecoder:
    """Yields (position, frame) in order, from where `start` put it.

    The frame of a packet that cannot be decoded is left out.

    Args:
        path: the file.
        index: its index.
    """

    def __init__(self, path: Path, index: VideoIndex) -> None:
        self._path = path
        self._index = index
        self._opened: tuple[InputContainer, VideoStream] | None = None
        self._frames: Iterator[tuple[int, VideoFrame]] = iter(())
        self._next_packet = 0
        self._position: int | None = None

    def __iter__(self) -> Iterator[tuple[int, VideoFrame]]:
        return self

    def __next__(self) -> tuple[int, VideoFrame]:
        self._position, frame = next(self._frames)
        return self._position, frame

    def leads_to(self, position: int) -> bool:
        """Whether decoding on reaches a frame without decoding more than from its keyframe."""
        if self._position is None or position <= self._position:
            return False
        return position == self._position + 1 or self._index.entry(position) <= self._next_packet

    def start(self, entry: int) -> None:
        """Puts the decoder at a packet; frames shown before it are passed over."""
        self._position = None
        packets = self._seek(entry) if entry else None
        if packets is None:
            packets = self._read_from_start(entry)
        self._next_packet = entry
        self._frames = self._decode(packets, self._index.packets[entry].pts if entry else None)

    def close(self) -> None:
        """Closes the file; `start` opens it again."""
        self._frames = iter(())
        self._position = None
        if self._opened is not None:
            self._opened[0].close()
            self._opened = None

    def _open(self) -> tuple[InputContainer, VideoStream]:
        if self._opened is None:
            container = open_container(self._path)
            self._opened = container, first_video_stream(container, self._path)
        return self._opened

    def _seek(self, entry: int) -> Iterator[Packet] | None:
        """Packets from an entry on, if the container can be sent there; None if it cannot."""
        container, stream = self._open()
        wanted = self._index.packets[entry]
        time = wanted.dts if wanted.dts is not None else wanted.pts
        if time is None:
            return None
        try:
            container.seek(time, stream=stream)
        except av.error.FFmpegError:
            return None  # a format without seeking is read from the start
        packets = container.demux(stream)
        for packet in packets:
            number = self._index.find(packet.pts, packet.pos)
            if number == entry:
                return _chain(packet, packets)
            if number is not None and number > entry:
                return None
        return None

    def _read_from_start(self, entry: int) -> Iterator[Packet]:
        """Packets from an entry on in a file opened anew."""
        self.close()
        container, stream = self._open()
        packets = (packet for packet in container.demux(stream))
        for _ in range(entry):
            next(packets)
        return packets

    def _decode(
        self, packets: Iterator[Packet], first_time: int | None
    ) -> Iterator[tuple[int, VideoFrame]]:
        count = 0
        for packet in packets:
            number = self._next_packet
            self._next_packet += 1
            for frame in decode_packet(packet, number, passed_over=True):
                if self._index.times is None:
                    yield count, frame
                    count += 1
                elif first_time is None or (frame.pts is not None and frame.pts >= first_time):
                    position = self._index.position(frame.pts)
                    if position is not None:
                        yield position, frame


def _chain(packet: Packet, packets: Iterator[Packet]) -> Iterator[Packet]:
    yield packet
    yield from packets
