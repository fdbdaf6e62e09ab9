"""The index of a video: which frames it shows, in which order, and where decoding may start."""

from __future__ import annotations

from bisect import bisect_right
from functools import cached_property
from typing import NamedTuple


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
    is_corrupt: bool
    """The container says that bytes of it are lost."""


class VideoIndex:
    """Frames of a video by position.

    Args:
        packets: of the video stream, in file order.
        times: presentation times of all frames, strictly ascending; None where the film has no
            usable ones: frames are then told apart by counting them from the start.
        shown_by: number of the packet that each frame comes from.
    """

    def __init__(
        self,
        packets: tuple[PacketInfo, ...],
        times: tuple[int, ...] | None,
        shown_by: tuple[int, ...],
    ) -> None:
        self.packets = packets
        self.times = times
        self.count = len(shown_by)
        self._shown_by = shown_by
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

    def spoiled_by(self, packet: int) -> range:
        """Positions of the frames that a damaged packet may spoil.

        Its own, those predicted from it up to the next keyframe in the file, and the frames behind
        that keyframe which are shown before it (an open group).
        """
        after = bisect_right(self._keyframes, packet)
        last = self._keyframes[after] if after < len(self._keyframes) else len(self.packets)
        numbers = [*range(packet, last), *self._leading(last)]
        positions = [self._position_of[n] for n in numbers if n in self._position_of]
        return range(min(positions), max(positions) + 1) if positions else range(0)

    def packet_of(self, position: int) -> int:
        """Number of the packet that a frame comes from."""
        return self._shown_by[position]

    def _leading(self, keyframe: int) -> list[int]:
        """Packets behind a keyframe whose pictures are shown before its own."""
        numbers: list[int] = []
        for number, packet in enumerate(self.packets[keyframe + 1 :], keyframe + 1):
            key_time = self.packets[keyframe].pts
            if packet.pts is None or key_time is None or packet.pts > key_time:
                break
            numbers.append(number)
        return numbers

    def _keyframe_before(self, position: int, skipped: int) -> int:
        if self.times is None:
            return 0
        time = self.times[position]
        place = bisect_right(self._keyframes, self._shown_by[position]) - 1
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
    def _position_of(self) -> dict[int, int]:
        return {packet: position for position, packet in enumerate(self._shown_by)}

    @cached_property
    def _numbers(self) -> dict[tuple[int | None, int | None], int | None]:
        numbers: dict[tuple[int | None, int | None], int | None] = {}
        for i, packet in enumerate(self.packets):
            key = (packet.pts, packet.pos)
            numbers[key] = None if key in numbers else i
        return numbers
