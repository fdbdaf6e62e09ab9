"""Which frame of a shot a name or number means."""

from __future__ import annotations

import logging
from bisect import bisect_left, bisect_right
from collections.abc import Callable, Iterable, Sequence
from functools import cached_property
from pathlib import Path
from typing import Protocol

from ...annotations import AbsenceRange
from ...errors import FormatError
from ...types import Size
from ..frames.names import NameParts, name_parts, varying_positions
from .notes import AbsenceNote

_MAX_SHOWN = 8

logger = logging.getLogger(__name__)


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
        self._names = [source.name(i) for i in range(count)]
        self._by_name = {name: i for i, name in enumerate(self._names)}
        self._by_number = {n: i for i, n in enumerate(self._numbers)}
        self._extent = f"{self._names[0]} to {self._names[-1]}" if count else "none"

    def assign(
        self, names: Iterable[str], where: Path, stem: Callable[[str], str]
    ) -> dict[int, str]:
        """The names by the frame that the stem of each means.

        A frame's whole name comes first. Else the number groups of the name are compared with the
        frames' numbers, as they are written, then by value; of names that form a sequence of their
        own, only the groups that vary among them. A line tells which frames were found by number.

        Raises:
            FormatError: a name means no frame or several, or two mean the same.
        """
        stems = {name: stem(name) for name in names}
        found: dict[int, str] = {}
        by_number: dict[str, int] = {}
        groups = _number_groups([one for one in stems.values() if one not in self._by_name])
        for name, one in stems.items():
            index = self._by_name.get(one)
            if index is None:
                index = by_number[name] = self._by_numbers(name, groups[one], where)
            if index in found:
                raise FormatError(
                    where, f"{found[index]} and {name} mean the same frame; remove one"
                )
            found[index] = name
        self._tell(by_number, where)
        return found

    def _by_numbers(self, name: str, numbers: Iterable[str], where: Path) -> int:
        """The one frame that a name's numbers mean."""
        written = {self._by_writing[n] for n in numbers if n in self._by_writing}
        valued = {self._by_number[int(n)] for n in numbers if int(n) in self._by_number}
        fitting = sorted(written or valued)
        if not fitting:
            problem = f"{name} matches no frame by name or number; the frames are {self._extent}"
            raise FormatError(where, problem)
        if len(fitting) > 1:
            frames = shortened([self._names[i] for i in fitting])
            problem = f"{name} matches {len(fitting)} frames by its numbers, {frames}"
            raise FormatError(where, f"{problem}; name it as the frame it belongs to")
        return fitting[0]

    @cached_property
    def _by_writing(self) -> dict[str, int]:
        """Frames by their numbers as their names have them, with signs and zeros."""
        parts = [name_parts(name).numbers for name in self._names]
        fits = [
            {place for place, text in enumerate(numbers) if int(text) == number}
            for numbers, number in zip(parts, self._numbers, strict=True)
        ]
        places = set.intersection(*fits) if fits else set()
        return {parts[i][place]: i for i in range(len(parts)) for place in places}

    def _tell(self, by_number: dict[str, int], where: Path) -> None:
        """Says which frames were found by number."""
        lines = [f"{name} -> frame {self._names[index]}" for name, index in by_number.items()]
        if lines:
            logger.info("%s: %s", where, shortened(lines))

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


def shortened(items: Sequence[str], separator: str = ", ") -> str:
    """The items in one line, the middle of a long list left out."""
    if len(items) > _MAX_SHOWN:
        left = len(items) - _MAX_SHOWN
        items = [*items[: _MAX_SHOWN - 1], f"{left} more", items[-1]]
    return separator.join(items)


def _number_groups(stems: Iterable[str]) -> dict[str, tuple[str, ...]]:
    """The numbers of each name that can tell its frame.

    Names of equal texts are a sequence of their own: what is equal in all of them tells nothing.
    """
    sequences: dict[tuple[str, ...], dict[str, NameParts]] = {}
    for one in stems:
        parts = name_parts(one)
        sequences.setdefault(parts.texts, {})[one] = parts
    groups = {}
    for sequence in sequences.values():
        places = varying_positions([*sequence.values()])
        for one, parts in sequence.items():
            groups[one] = tuple(parts.numbers[p] for p in places) if places else parts.numbers
    return groups
