"""The numbers that users know frames by, against positions in the shot."""

from __future__ import annotations

from bisect import bisect_left
from typing import Protocol

from ...errors import InputError
from .number_lists import parse_span, shown

POSITION_DIGITS = 5
"""Digits of a frame's name where the source has none of its own."""


class Numbered(Protocol):
    """Frames with numbers: a source of frames, or what a track keeps of it."""

    def __len__(self) -> int:
        """Number of frames."""
        ...

    def number(self, index: int) -> int:
        """The source's own number of a frame; ascending."""
        ...


def check_position(index: int, count: int) -> None:
    """Raises InputError unless a frame position lies in a shot of `count` frames."""
    if not 0 <= index < count:
        raise InputError(
            f"frame position {index} is outside the shot; its {count} frames are 0 to {count - 1}"
        )


def index_of_number(source: Numbered, number: int) -> int:
    """Position of the frame that the source itself gives this number.

    Raises:
        InputError: no frame has the number; names the numbers there are.
    """
    count = len(source)
    index = bisect_left(range(count), number, key=source.number)
    if index < count and source.number(index) == number:
        return index
    first, last = source.number(0), source.number(count - 1)
    gap = ", where this one is missing" if first < number < last else ""
    raise InputError(f"there is no frame {number}: the shot has frames {first} to {last}{gap}")


def parse_range(text: str, source: Numbered) -> range:
    """Positions of the frames "FIRST-LAST", both included, or of the single frame "FIRST".

    The numbers are the source's own, as in its file names.

    Raises:
        InputError: the text is no range, or its frames are not in the shot.
    """
    span = parse_span(text)
    if span is None:
        raise InputError(f"range {shown(text)} is not of the form FIRST-LAST, such as 1001-1050")
    first, last = span
    if last < first:
        raise InputError(f"range {text!r} ends before it starts; write {last}-{first}")
    return range(index_of_number(source, first), index_of_number(source, last) + 1)
