"""Which frame of a shot a name or number means."""

from __future__ import annotations

import re
from bisect import bisect_left, bisect_right
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Protocol

from ...annotations import AbsenceRange
from ...errors import FormatError
from ...types import Size
from .notes import AbsenceNote


class NamedFrames(Protocol):
    """What annotations need to know of a shot; every FrameSource offers it."""

    def __len__(self) -> int: ...

    @property
    def size(self) -> Size: ...

    def number(self, index: int) -> int: ...

    def name(self, index: int) -> str: ...


class FrameFinder:
    """Finds frames of a shot by name, else by number."""

    def __init__(self, source: NamedFrames) -> None:
        count = len(source)
        self._numbers = [source.number(i) for i in range(count)]
        self._by_name = {source.name(i): i for i in range(count)}
        self._by_number = {n: i for i, n in enumerate(self._numbers)}
        self._extent = f"{source.name(0)} to {source.name(count - 1)}" if count else "none"

    def index_of(self, name: str) -> int | None:
        """0-based position of the frame that a name means."""
        if name in self._by_name:
            return self._by_name[name]
        digits = re.findall(r"\d+", name)
        return self._by_number.get(int(digits[-1])) if digits else None

    def assign(
        self, names: Iterable[str], where: Path, stem: Callable[[str], str]
    ) -> dict[int, str]:
        """The names by the frame that the stem of each means.

        Raises:
            FormatError: a name means no frame, or two mean the same.
        """
        found: dict[int, str] = {}
        for name in names:
            index = self.index_of(stem(name))
            if index is None:
                problem = (
                    f"{name} matches no frame by name or number; the frames are {self._extent}"
                )
                raise FormatError(where, problem)
            if index in found:
                raise FormatError(
                    where, f"{found[index]} and {name} mean the same frame; remove one"
                )
            found[index] = name
        return found

    def absence(self, note: AbsenceNote) -> AbsenceRange | None:
        """The range by position; None where the shot has no such frame."""
        first = self._past_end(note.first)
        last = self._past_end(note.last)
        first = bisect_left(self._numbers, note.first) if first is None else first
        last = bisect_right(self._numbers, note.last) - 1 if last is None else last
        return AbsenceRange(note.object_id, first, last) if 0 <= first <= last else None

    def _past_end(self, number: int) -> int | None:
        """Position of a number beyond the last frame, counted on; None before that."""
        beyond = number - self._numbers[-1] if self._numbers else number + 1
        return len(self._numbers) - 1 + beyond if beyond > 0 else None


def number_of(source: NamedFrames, index: int) -> int:
    """The source's own number of a frame, counted on beyond its end."""
    last = len(source) - 1
    return source.number(min(index, last)) + max(index - last, 0) if last >= 0 else index
