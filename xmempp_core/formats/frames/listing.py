"""Which image files make a sequence, in which order, and the number of each.

Names are read as text, number, text, suffix: `plate.1001.png`, `ComfyUI_00012_.png`. The number
is the last run of digits. A minus sign belongs to it only at the start or after a dot or an
underscore: `plate.-5.png` is -5, `shot-0005.png` is 5.
"""

from __future__ import annotations

import logging
import re
from collections.abc import Iterable, Iterator
from itertools import pairwise
from pathlib import Path
from typing import NamedTuple

from fileseq.constants import PAD_STYLE_HASH1
from fileseq.exceptions import FileSeqException
from fileseq.filesequence import FileSequence
from fileseq.frameset import FrameSet

from ...errors import FormatError
from .images import IMAGE_SUFFIXES, is_image

log = logging.getLogger(__name__)

_NUMBER = r"(?:(?:(?<=[._])|^)-)?\d+"
_NUMBERED_STEM = re.compile(rf"(?P<before>.*?)(?P<number>{_NUMBER})(?P<after>\D*)")
# "####" and "@@@@" (a digit each), "%04d", "%d", "$F4": the last of them in a name counts
_PADDING = re.compile(r".*(?P<padding>(?<!#)#+|(?<!@)@+|%\d*d|\$F\d*)(?P<after>.*?)")
# "1001-1100", "1-9x2,20,30-40" right before the padding; a number alone belongs to the name
_RANGE = re.compile(
    r"(?P<before>.*?)(?P<range>\d+-\d+(?:[xy:]\d+)?(?:,\d+(?:-\d+(?:[xy:]\d+)?)?)*)"
)


class NumberedFile(NamedTuple):
    """A file and the number of its frame."""

    number: int
    path: Path


def numbered(path: Path) -> NumberedFile:
    """A file with the number in its name, 0 where there is none."""
    match = _NUMBERED_STEM.fullmatch(path.stem)
    return NumberedFile(int(match["number"]) if match else 0, path)


def is_pattern(path: Path) -> bool:
    """Whether the last part of a path holds a padding mark, as in `plate.####.png`."""
    return _PADDING.fullmatch(path.name) is not None


def list_folder(folder: Path) -> list[NumberedFile]:
    """The images of a folder in order: one numbered sequence, or stills that are not numbered.

    Hidden files and files that are no images are passed over. Stills without numbers are sorted by
    name, numbers in it by value, and numbered by position.

    Raises:
        FormatError: the folder has no image, several sequences, or one number twice.
    """
    names = sorted(_file_names(folder))
    images = [folder / name for name in names if is_image(Path(name))]
    if not images:
        found = (
            f"only {', '.join(names[:3])}" + (", ..." if names[3:] else "") if names else "nothing"
        )
        kinds = ", ".join(IMAGE_SUFFIXES)
        raise FormatError(folder, f"has no images to read, {found}; images end in {kinds}")
    sequences = _group(images)
    if len(sequences) == 1:
        (files,) = sequences.values()
        return _in_order(folder, files)
    if any(len(files) > 1 for files in sequences.values()):
        raise FormatError(folder, _which_sequence(folder, sequences))
    return _stills(folder, images)


def list_pattern(pattern: Path) -> list[NumberedFile]:
    """The images that a pattern names, in order.

    Marks of the number's width: `####` or `@@@@` (a digit each), `%04d`, `$F4`; a single `#`, `@`,
    `%d` or `$F` take numbers of any width. A range before the mark (`plate.1001-1100####.png`)
    asks for exactly those frames.

    Raises:
        FormatError: no file matches, a frame of the range is missing, or the suffix is no image's.
    """
    split = _split_pattern(pattern)
    if split.suffix.lower() not in IMAGE_SUFFIXES:
        kinds = ", ".join(IMAGE_SUFFIXES)
        raise FormatError(
            pattern, f"does not exist, nor do images it could name; they end in {kinds}"
        )
    if not pattern.parent.is_dir():
        raise FormatError(pattern, f"there is no folder {pattern.parent}")
    files = _in_order(pattern, list(_matching(pattern.parent, split)))
    if not files:
        raise FormatError(pattern, f"no file in {pattern.parent} has such a name")
    if split.numbers is None:
        return files
    missing = sorted(split.numbers - {file.number for file in files})
    if missing:
        raise FormatError(pattern, f"frames {_ranges(missing)} of the range are missing")
    return [file for file in files if file.number in split.numbers]


class _Pattern(NamedTuple):
    before: str
    digits: int
    after: str
    suffix: str
    numbers: frozenset[int] | None


def _split_pattern(pattern: Path) -> _Pattern:
    match = _PADDING.fullmatch(pattern.name)
    if match is None:
        raise FormatError(pattern, "has no mark for the frame number, such as #### or %04d")
    digits = FileSequence.getPaddingNum(match["padding"], pad_style=PAD_STYLE_HASH1)
    before, numbers = pattern.name[: match.start("padding")], None
    if ranged := _RANGE.fullmatch(before):
        before = ranged["before"]
        try:
            numbers = frozenset(int(n) for n in FrameSet(ranged["range"]))
        except FileSeqException as error:
            raise FormatError(pattern, f"its range cannot be read ({error})") from error
    # a letter in front, since Path(".png") has no suffix
    rest = Path("x" + match["after"])
    return _Pattern(before, digits, rest.stem[1:], rest.suffix, numbers)


def _matching(folder: Path, pattern: _Pattern) -> Iterator[NumberedFile]:
    before, after, suffix = map(re.escape, (pattern.before, pattern.after, pattern.suffix))
    name = re.compile(rf"{before}(?P<number>-?\d+){after}(?i:{suffix})")
    for file in _file_names(folder):
        match = name.fullmatch(file)
        if match and _has_width(match["number"].lstrip("-"), pattern.digits):
            yield NumberedFile(int(match["number"]), folder / file)


def _has_width(number: str, digits: int) -> bool:
    """Whether a number is written with zeros up to `digits`; 1 takes any width."""
    return digits <= 1 or len(number) == digits or (len(number) > digits and number[0] != "0")


def _file_names(folder: Path) -> Iterator[str]:
    try:
        yield from (p.name for p in folder.iterdir() if not p.name.startswith(".") and p.is_file())
    except OSError as error:
        raise FormatError(folder, f"cannot be read ({error.strerror})") from error


def _group(images: Iterable[Path]) -> dict[tuple[str, str], list[NumberedFile]]:
    """Numbered files by the text before and after their number; a name without one is a group."""
    groups: dict[tuple[str, str], list[NumberedFile]] = {}
    for path in images:
        match = _NUMBERED_STEM.fullmatch(path.stem)
        before, after = (match["before"], match["after"]) if match else (path.stem, "")
        groups.setdefault((before, after + path.suffix.lower()), []).append(numbered(path))
    return groups


def _in_order(where: Path, files: list[NumberedFile]) -> list[NumberedFile]:
    files = sorted(files)
    for one, other in pairwise(files):
        if one.number == other.number:
            names = f"{one.path.name} and {other.path.name}"
            raise FormatError(where, f"has two files for frame {one.number}, {names}; remove one")
    numbers = {file.number for file in files}
    if files and len(numbers) != files[-1].number - files[0].number + 1:
        count = files[-1].number - files[0].number + 1 - len(numbers)
        log.info("%s: %d frame numbers are missing; their neighbors adjoin", where, count)
    return files


def _stills(folder: Path, images: list[Path]) -> list[NumberedFile]:
    by_name: dict[str, Path] = {}
    for path in images:
        other = by_name.setdefault(path.stem, path)
        if other != path:
            names = f"{other.name} and {path.name}"
            raise FormatError(folder, f"has two images of one name, {names}; remove one")
    return [NumberedFile(i, p) for i, p in enumerate(sorted(images, key=_natural_order))]


def _natural_order(path: Path) -> tuple[list[str | int], str]:
    """Sorts texts as texts and numbers by value; texts and numbers alternate, texts first."""
    parts = re.split(r"(\d+)", path.stem)
    return [int(p) if i % 2 else p for i, p in enumerate(parts)], path.name


def _which_sequence(folder: Path, sequences: dict[tuple[str, str], list[NumberedFile]]) -> str:
    largest = sorted(sequences.values(), key=lambda files: -len(files))
    shown = [_described(files) for files in largest[:3]]
    more = f" and {len(largest) - 3} more" if largest[3:] else ""
    example = folder / _described(largest[0])
    return (
        f"holds {len(largest)} sequences, {', '.join(shown)}{more}; "
        f"name one of them, as in {example}"
    )


def _described(files: list[NumberedFile]) -> str:
    """Pattern that names a group of files."""
    path = files[0].path
    match = _NUMBERED_STEM.fullmatch(path.stem)
    if match is None or len(files) == 1:
        return path.name
    widths = {len(m["number"]) for f in files if (m := _NUMBERED_STEM.fullmatch(f.path.stem))}
    padding = "#" * widths.pop() if len(widths) == 1 else "#"
    return f"{match['before']}{padding}{match['after']}{path.suffix}"


def _ranges(numbers: list[int]) -> str:
    return str(FrameSet(numbers).frameRange())
