"""Lists of numbers as people write them: `0, 24, 48-50`, read by fileseq."""

from __future__ import annotations

import re
from collections.abc import Iterable
from itertools import groupby

from fileseq.exceptions import FileSeqException
from fileseq.frameset import FrameSet

from ...errors import InputError

MAX_NUMBERS = 1_000_000
"""Numbers that a list may hold at most: a slip of the keyboard must not fill the memory."""

# no more digits: nobody counts frames further, and fileseq raises whatever comes for more
_PART = re.compile(r"(?P<first>-?[0-9]{1,9})(?:-(?P<last>-?[0-9]{1,9})(?P<step>[xy:][0-9]{1,9})?)?")
_MAX_SHOWN = 60


def parse_numbers(
    text: str, what: str, *, least: int | None = None, steps: bool = False
) -> tuple[int, ...]:
    """The numbers of a list such as "0, 24, 48-50", ascending, each once; empty text gives none.

    Args:
        text: numbers and ranges between commas, semicolons or spaces.
        what: the thing, as the user knows it, for messages.
        least: the smallest number allowed; None = any, negative ones too.
        steps: whether a range may run backward or have a step as in "1-9x2".

    Raises:
        InputError: a part is no number and no range, a range runs backward, a number is below
            `least`, or there are more than MAX_NUMBERS.
    """
    parts = [part for part in re.split(r"[,;\s]+", _tidy(text)) if part]
    count = sum(_length(part, text, what, steps) for part in parts)
    if count > MAX_NUMBERS:
        raise InputError(
            f"{what} {shown(text)} holds {count} numbers, at most {MAX_NUMBERS} are allowed"
        )
    try:
        numbers = sorted(int(number) for number in FrameSet(",".join(parts)))
    except FileSeqException as error:
        raise _unreadable(text, what) from error
    if least is not None and numbers and numbers[0] < least:
        raise InputError(f"{what} {shown(text)} holds {numbers[0]}, allowed is {least} and up")
    return tuple(numbers)


def parse_span(text: str) -> tuple[int, int] | None:
    """First and last of "FIRST-LAST", twice the same of "FIRST"; None where the text is neither."""
    match = _PART.fullmatch(_tidy(text))
    if match is None or match["step"]:
        return None
    return int(match["first"]), int(match["last"] or match["first"])


def runs_of(numbers: Iterable[int]) -> list[range]:
    """Ascending numbers as ranges without gaps."""
    groups = groupby(enumerate(numbers), key=lambda pair: pair[1] - pair[0])
    runs = ([number for _, number in group] for _, group in groups)
    return [range(run[0], run[-1] + 1) for run in runs]


def shown(text: str) -> str:
    """What a user wrote, quoted, for a message; the end of a long text left out."""
    return repr(text if len(text) <= _MAX_SHOWN else f"{text[:_MAX_SHOWN]}...")


def _tidy(text: str) -> str:
    return re.sub(r"\s*-\s*", "-", text.strip())


def _length(part: str, text: str, what: str, steps: bool) -> int:
    """How many numbers a part holds, its step left out of account."""
    match = _PART.fullmatch(part)
    if match is None or (match["step"] and not steps):
        raise _unreadable(text, what)
    first, last = int(match["first"]), int(match["last"] or match["first"])
    if last < first and not steps:
        raise InputError(f"{what} {shown(text)}: {part} runs backward; write {last}-{first}")
    return abs(last - first) + 1


def _unreadable(text: str, what: str) -> InputError:
    return InputError(f"{what} {shown(text)} is not a list of numbers such as 0, 24, 48-50")
