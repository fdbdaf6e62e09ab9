"""SMPTE time codes: of a frame number, of a film's later frame, of an OpenEXR file."""

from __future__ import annotations

import re
from dataclasses import dataclass
from fractions import Fraction
from typing import Any

_TEXT = re.compile(r"(\d{2}):(\d{2}):(\d{2})([:;.])(\d{2,3})")
_DROP_RATES = {Fraction(30000, 1001): 2, Fraction(60000, 1001): 4}
"""Numbers that are left out each minute but every tenth."""


@dataclass(frozen=True)
class TimeCode:
    """Hours, minutes, seconds and frames."""

    hours: int
    minutes: int
    seconds: int
    frames: int
    is_drop_frame: bool = False
    """Whether numbers are left out, so that 29.97 frames a second keep to the clock."""

    def __str__(self) -> str:
        mark = ";" if self.is_drop_frame else ":"
        return f"{self.hours:02d}:{self.minutes:02d}:{self.seconds:02d}{mark}{self.frames:02d}"

    def fits(self, rate: Fraction) -> bool:
        """Whether there is such a time code at a rate."""
        is_drop_right = not self.is_drop_frame or rate in _DROP_RATES
        return self.frames < _nominal(rate) and is_drop_right

    def later(self, frames: int, rate: Fraction) -> TimeCode:
        """The time code some frames later; midnight follows the last of the day."""
        per_second = _nominal(rate)
        minutes = 60 * self.hours + self.minutes
        count = (60 * minutes + self.seconds) * per_second + self.frames
        if self.is_drop_frame:
            count -= _DROP_RATES[rate] * (minutes - minutes // 10)
        return of_count(count + frames, rate, is_drop_frame=self.is_drop_frame)


def of_count(count: int, rate: Fraction, *, is_drop_frame: bool = False) -> TimeCode:
    """The time code of a number of frames after midnight; numbers below 0 are those at 0.

    Args:
        count: frames since midnight.
        rate: frames per second; time codes count in the nearest whole number.
        is_drop_frame: for 30000/1001 and 60000/1001 frames a second alone.
    """
    per_second, count = _nominal(rate), max(count, 0)
    if is_drop_frame:
        dropped = _DROP_RATES[rate]
        tens, rest = divmod(count, 600 * per_second - 9 * dropped)
        # The first minute of ten is whole, the other nine lack some numbers.
        after_first = max(rest - 60 * per_second, -1) // (60 * per_second - dropped) + 1
        count += dropped * (9 * tens + after_first)
    seconds, frames = divmod(count, per_second)
    minutes, seconds = divmod(seconds, 60)
    hours, minutes = divmod(minutes, 60)
    return TimeCode(hours % 24, minutes, seconds, frames, is_drop_frame)


def parsed(text: str) -> TimeCode | None:
    """The time code of a text such as 01:00:00:00; None where it is none."""
    match = _TEXT.fullmatch(text.strip())
    if match is None:
        return None
    hours, minutes, seconds, frames = (int(match[i]) for i in (1, 2, 3, 5))
    if hours > 23 or minutes > 59 or seconds > 59:
        return None
    return TimeCode(hours, minutes, seconds, frames, match[4] != ":")


def of_exr(value: Any) -> TimeCode | None:
    """The time code of an OpenEXR attribute; None where it is none."""
    whole = (int(value.hours), int(value.minutes), int(value.seconds), int(value.frame))
    if any(not 0 <= n < end for n, end in zip(whole, (24, 60, 60, 60), strict=True)):
        return None
    return TimeCode(*whole, bool(value.dropFrame))


def _nominal(rate: Fraction) -> int:
    return max(round(rate), 1)
