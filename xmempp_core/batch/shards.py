"""Every n-th piece of work, for machines that know of each other only how many they are."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TypeVar

from ..errors import InputError

Item = TypeVar("Item")

_FORM = re.compile(r"([0-9]{1,6})/([0-9]{1,6})")


@dataclass(frozen=True)
class Shard:
    """Which of how many parts."""

    number: int
    """1 to `count`."""
    count: int

    @classmethod
    def parse(cls, text: str) -> Shard:
        """The shard of "2/8".

        Raises:
            InputError: the text is no shard.
        """
        match = _FORM.fullmatch(text.strip())
        if match and 1 <= int(match[1]) <= int(match[2]):
            return cls(int(match[1]), int(match[2]))
        raise InputError(f"--shard {text!r} is not of the form i/n with i from 1 to n, such as 2/8")

    def of(self, items: list[Item]) -> list[Item]:
        """Its items: the same for the same list, whatever is finished already."""
        return items[self.number - 1 :: self.count]
