"""Which image files make a sequence, in which order, and the number of each.

The number of a sequence is the number group of its names that varies; `names` says what a group is.
"""

from __future__ import annotations

import logging
import re
from collections.abc import Iterable, Iterator
from itertools import pairwise
from pathlib import Path
from typing import NamedTuple

from fileseq.constants import PAD_STYLE_HASH1
from fileseq.filesequence import FileSequence
from fileseq.frameset import FrameSet

from ...errors import FormatError, InputError
from ...paths import check_writable_text, names_in, path_kind
from .images import IMAGE_SUFFIXES, is_image
from .names import (
    NUMBER,
    likely_position,
    name_parts,
    number_position,
    varying_positions,
)
from .number_lists import parse_numbers

log = logging.getLogger(__name__)

# "####" and "@@@@" (a digit each), "%04d", "%d", "$F4": the last of them in a name counts
_PADDING = re.compile(r".*(?P<padding>(?<!#)#+|(?<!@)@+|%\d*d|\$F\d*)(?P<after>.*?)")
# "1001-1100", "1-9x2,20,30-40" right before the padding; a number alone belongs to the name
_SPAN = r"-?[0-9]+(?:[xy:][0-9]+)?"
_RANGE = re.compile(
    rf"(?P<before>.*?)(?P<range>{NUMBER}-{_SPAN}(?:,-?[0-9]+(?:-{_SPAN})?)*)", re.DOTALL
)
# a sign right before the number, unless a letter or a digit stands before it
_SIGNED = r"(?P<number>(?:(?<![^\W_])-)?[0-9]+)"


class NumberedFile(NamedTuple):
    """A file and the number of its frame."""

    number: int
    path: Path


class _Sequence(NamedTuple):
    """Files whose names differ in one number, or a single file."""

    files: list[Path]
    position: int | None
    """Which number group of the names counts the frames; None where they hold no number."""

    def numbered(self) -> list[NumberedFile]:
        return [NumberedFile(_number(path, self.position), path) for path in self.files]

    def described(self) -> str:
        """A pattern that names these files alone, or the name of the only one."""
        path = self.files[0]
        if self.position is None or len(self.files) == 1:
            return path.name
        widths = {len(name_parts(p.stem).numbers[self.position]) for p in self.files}
        mark = "#" * widths.pop() if len(widths) == 1 else "#"
        return name_parts(path.stem).with_marks({self.position: mark}) + path.suffix


def numbered(path: Path) -> NumberedFile:
    """A single file with the likely number in its name, 0 where there is none."""
    return NumberedFile(_number(path, number_position([name_parts(path.stem)])), path)


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
    sequences = [one for group in _group(images) for one in _sequences(folder, group)]
    if len(sequences) == 1:
        return _in_order(folder, sequences[0].numbered())
    if any(len(one.files) > 1 for one in sequences):
        raise FormatError(folder, _which_sequence(folder, sequences))
    return _stills(folder, images)


def list_pattern(pattern: Path) -> list[NumberedFile]:
    """The images that a pattern names, in order.

    Marks of the number's width: `####` or `@@@@` (a digit each), `%04d`, `$F4`; a single `#`, `@`,
    `%d` or `$F` take numbers of any width. A minus sign may count as one of the digits or not. A
    range before the mark (`plate.1001-1100####.png`) asks for exactly those frames. A `*` stands
    for any text.

    Raises:
        FormatError: no file matches, a frame of the range is missing, or the suffix is no image's.
    """
    split = _split_pattern(pattern)
    if path_kind(pattern.parent) != "folder":
        raise FormatError(pattern, f"there is no folder {pattern.parent}")
    files = list(_matching(pattern.parent, split))
    if split.suffix.lower() not in IMAGE_SUFFIXES:
        raise FormatError(pattern, _no_images(files, split.suffix))
    files = _in_order(pattern, files)
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
            numbers = frozenset(parse_numbers(ranged["range"], "range", steps=True))
        except InputError as error:
            raise FormatError(pattern, str(error)) from error
    # a letter in front, since Path(".png") has no suffix
    rest = Path("x" + match["after"])
    return _Pattern(before, digits, rest.stem[1:], rest.suffix, numbers)


def _matching(folder: Path, pattern: _Pattern) -> Iterator[NumberedFile]:
    before, after, suffix = (
        re.escape(text).replace(r"\*", ".*")
        for text in (pattern.before, pattern.after, pattern.suffix)
    )
    name = re.compile(rf"{before}{_SIGNED}{after}(?i:{suffix})", re.DOTALL)
    for file in _file_names(folder):
        match = name.fullmatch(file)
        if match and _has_width(match["number"], pattern.digits):
            check_writable_text(file, folder)
            yield NumberedFile(int(match["number"]), folder / file)


def _has_width(number: str, digits: int) -> bool:
    """Whether a number is written with zeros up to `digits`; 1 takes any width.

    printf counts the sign (-003 is %04d of -3), others pad the digits alone (-0003).
    """
    bare = number.removeprefix("-")
    is_longer = len(bare) > digits and bare[0] != "0"
    return digits <= 1 or digits in (len(number), len(bare)) or is_longer


def _no_images(files: list[NumberedFile], suffix: str) -> str:
    """Why a pattern cannot be read whose suffix is no image's."""
    kinds = ", ".join(IMAGE_SUFFIXES)
    if not files:
        return f"does not exist, nor do images it could name; they end in {kinds}"
    count = "1 file has" if len(files) == 1 else f"{len(files)} files have"
    return f"{count} such names, but {suffix} is not read; convert to one of {kinds}"


def _number(path: Path, position: int | None) -> int:
    return 0 if position is None else int(name_parts(path.stem).numbers[position])


def _file_names(folder: Path) -> Iterator[str]:
    return (
        name for name in names_in(folder) if not name.startswith(".") and (folder / name).is_file()
    )


def _group(images: Iterable[Path]) -> list[list[Path]]:
    """The files by the texts of their names and their suffixes."""
    groups: dict[tuple[tuple[str, ...], str], list[Path]] = {}
    for path in images:
        check_writable_text(path.name, path.parent)
        key = (name_parts(path.stem).texts, path.suffix.lower())
        groups.setdefault(key, []).append(path)
    return list(groups.values())


def _sequences(folder: Path, files: list[Path]) -> list[_Sequence]:
    """Files of equal texts as sequences in each of which one number varies.

    Raises:
        FormatError: two numbers vary together, so that either could be the frame's.
    """
    names = [name_parts(path.stem) for path in files]
    varying = varying_positions(names)
    if len(varying) < 2:
        return [_Sequence(files, number_position(names))]
    position = likely_position(names, varying)
    by_rest: dict[str, list[Path]] = {}
    for path, parts in zip(files, names, strict=True):
        by_rest.setdefault(parts.with_marks({position: "#"}), []).append(path)
    if len(by_rest) == len(files):
        raise FormatError(folder, _two_numbers(folder, files, varying, position))
    return [_Sequence(one, position) for one in by_rest.values()]


def _two_numbers(folder: Path, files: list[Path], varying: list[int], position: int) -> str:
    widths = {len(name_parts(path.stem).numbers[position]) for path in files}
    mark = "#" * widths.pop() if len(widths) == 1 else "#"
    marks = dict.fromkeys(varying, "*") | {position: mark}
    pattern = folder / (name_parts(files[0].stem).with_marks(marks) + files[0].suffix)
    return (
        f"holds {len(files)} images such as {files[0].name} and {files[-1].name}, in whose names "
        f"{len(varying)} numbers vary; write # for the frame's number and * for the rest, as in "
        f"'{pattern}'"
    )


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


def _which_sequence(folder: Path, sequences: list[_Sequence]) -> str:
    largest = sorted(sequences, key=lambda one: -len(one.files))
    shown = [one.described() for one in largest[:3]]
    more = f" and {len(largest) - 3} more" if largest[3:] else ""
    return (
        f"holds {len(largest)} sequences, {', '.join(shown)}{more}; "
        f"name one of them, as in {folder / shown[0]}"
    )


def _ranges(numbers: list[int]) -> str:
    return str(FrameSet(numbers).frameRange())
