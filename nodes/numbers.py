"""Lists of numbers as the artist writes them."""

from __future__ import annotations

import re


def numbers_of(text: str, name: str) -> tuple[int, ...]:
    """Ascending numbers of a list such as "0, 24, 48-50"; empty text gives none.

    Raises:
        InputError: a part is no number and no range.
    """
    return tuple(
        sorted({i for first, last in ranges_of(text, name) for i in range(first, last + 1)})
    )


def ranges_of(text: str, name: str) -> list[tuple[int, int]]:
    """First and last number of each part of a list such as "0, 24, 48-50".

    Raises:
        InputError: a part is no number and no range, or a range runs backward.
    """
    from ..xmempp_core import InputError

    ranges = []
    for part in re.split(r"[,;\s]+", re.sub(r"\s*-\s*", "-", text.strip())):
        match = re.fullmatch(r"(\d+)(?:-(\d+))?", part)
        if part and (match is None or int(match[2] or match[1]) < int(match[1])):
            raise InputError(
                f"{name} is {text!r}; write numbers and ranges, for example 0, 24, 48-50"
            )
        if match:
            ranges.append((int(match[1]), int(match[2] or match[1])))
    return ranges
