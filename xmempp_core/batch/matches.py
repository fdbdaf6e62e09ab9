"""Shots that a star in a path stands for."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

from ..errors import InputError
from ..formats.frames.listing import is_pattern
from ..paths import names_in, path_kind
from .entries import STAR, ShotEntry


def matches_of(entry: ShotEntry) -> Iterator[ShotEntry]:
    """The shots of an entry whose frames hold a star, sorted by what it matched.

    What does not hold the rest of the path is no shot: with `shots/*/plates` a folder of
    `shots` without `plates` is passed over.

    Raises:
        InputError: there is more than one star, or nothing matches.
        FormatError: the folder cannot be read.
    """
    path = Path(entry.frames)
    if entry.frames.count(STAR) > 1:
        raise InputError(f"frames {entry.frames} hold more than one *; write one, and more shots")
    at = next(position for position, part in enumerate(path.parts) if STAR in part)
    folder, rest = Path(*path.parts[:at]), path.parts[at + 1 :]
    form = re.compile("(.+)".join(map(re.escape, path.parts[at].split(STAR))))
    found = [
        entry.matched(match[1], str(whole))
        for name in names_in(folder)
        if (match := form.fullmatch(name)) and not name.startswith(".")
        if _is_there(whole := folder.joinpath(name, *rest))
    ]
    kept = [one for one in found if one.name not in entry.exclude]
    if not kept:
        raise InputError(f"frames {entry.frames} match nothing; check the path")
    yield from kept


def _is_there(path: Path) -> bool:
    return path_kind(path.parent if is_pattern(path) else path) != "nothing"
