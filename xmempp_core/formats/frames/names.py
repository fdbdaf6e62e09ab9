"""File names as texts and number groups, and which of the groups numbers a sequence.

`plate_v02.1001` is the texts `plate_v`, `.`, `` and the numbers `02`, `1001`. A minus sign belongs
to a number only at the start or after a dot or an underscore: `plate.-5` is -5, `shot-0005` is 5.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import NamedTuple

NUMBER = r"(?:(?:(?<=[._])|^)-)?[0-9]+"

_NUMBER = re.compile(NUMBER)
# "v02", "_v3": a version, and not the number of a frame where another group can be it
_VERSION = re.compile(r"(?:.*[^A-Za-z])?[vV]", re.DOTALL)


class NameParts(NamedTuple):
    """A name without its suffix, cut at its numbers."""

    texts: tuple[str, ...]
    """What stands between the numbers: one more than there are numbers, some may be empty."""
    numbers: tuple[str, ...]
    """The number groups as they are written, with their signs and zeros."""

    def with_marks(self, marks: Mapping[int, str]) -> str:
        """The name with marks in the places of some of its numbers."""
        numbers = (marks.get(i, number) for i, number in enumerate((*self.numbers, "")))
        return "".join(text + number for text, number in zip(self.texts, numbers, strict=True))


def name_parts(stem: str) -> NameParts:
    """The texts and numbers of a name without its suffix."""
    return NameParts(tuple(_NUMBER.split(stem)), tuple(_NUMBER.findall(stem)))


def varying_positions(names: Sequence[NameParts]) -> list[int]:
    """Which number groups have several values among names of equal texts."""
    values = [{int(n) for n in group} for group in zip(*(p.numbers for p in names), strict=True)]
    return [position for position, one in enumerate(values) if len(one) > 1]


def likely_position(names: Sequence[NameParts], positions: Sequence[int]) -> int:
    """Which of several number groups most likely counts the frames.

    No version (`v02`) if there is another; then the one with most values, closest together, last.
    """

    def rank(position: int) -> tuple[bool, int, int, int]:
        values = {int(parts.numbers[position]) for parts in names}
        is_version = _VERSION.fullmatch(names[0].texts[position]) is not None
        return not is_version, len(values), min(values) - max(values), position

    return max(positions, key=rank)


def number_position(names: Sequence[NameParts]) -> int | None:
    """The number group of names of equal texts that numbers them; None without any number.

    It is the group that varies, or the likely one where none does, as in a single name.
    """
    if not names[0].numbers:
        return None
    varying = varying_positions(names)
    return likely_position(names, varying or range(len(names[0].numbers)))
