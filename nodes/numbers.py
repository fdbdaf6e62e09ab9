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
        if not part:
            continue
        # no more digits: a slip of the keyboard would make a range that fills the memory
        match = re.fullmatch(r"(\d{1,6})(?:-(\d{1,6}))?", part)
        first, last = (int(match[1]), int(match[2] or match[1])) if match else (1, 0)
        if last < first:
            raise InputError(
                f"{name} is {text!r}; write numbers up to 999999 and ranges, "
                "for example 0, 24, 48-50"
            )
        ranges.append((first, last))
    return ranges
