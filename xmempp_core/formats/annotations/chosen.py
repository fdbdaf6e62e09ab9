"""The annotations of a shot as people choose them in words: some frames only, absences more."""

from __future__ import annotations

from collections.abc import Sequence

from ...annotations import AbsenceRange, AnnotationSet
from ...errors import InputError
from ...types import FrameSource
from ..frames.number_lists import parse_numbers, shown
from ..frames.numbering import index_of_number, parse_range


def chosen_annotations(
    annotations: AnnotationSet,
    source: FrameSource,
    *,
    use: str,
    absent: Sequence[str],
    words: tuple[str, str],
) -> AnnotationSet:
    """A set with only some of its frames, and with more absences.

    Args:
        annotations: all of the shot.
        source: its frames.
        use: numbers of annotated frames, such as "0,20,40"; empty = all.
        absent: absences such as "2:100-140".
        words: what users call `use` and `absent`, for messages.

    Raises:
        InputError: a text cannot be understood, or names what is not there.
    """
    if use:
        annotations = _used(annotations, use, source, words[0])
    for text in absent:
        annotations = annotations.with_absence(_absence(text, source, annotations, words[1]))
    return annotations


def _used(annotations: AnnotationSet, text: str, source: FrameSource, word: str) -> AnnotationSet:
    """Only the annotated frames of "0,20,40"."""
    chosen = [index_of_number(source, number) for number in parse_numbers(text, word)]
    missing = sorted({*chosen} - {*annotations.frame_indices})
    if missing or not chosen:
        known = ", ".join(str(source.number(t)) for t in annotations.frame_indices)
        problem = f"frame {source.number(missing[0])} is not annotated" if missing else "no frame"
        raise InputError(f"{word} {shown(text)}: {problem}; annotated are {known}")
    return annotations.only(chosen)


def _absence(text: str, source: FrameSource, annotations: AnnotationSet, word: str) -> AbsenceRange:
    """The absence of "2:100-140"."""
    object_text, colon, frames = text.partition(":")
    if not colon:
        raise InputError(f"{word} {text!r} is not of the form ID:A-B, such as 2:100-140")
    ids = parse_numbers(object_text, f"{word}: object")
    unknown = sorted({*ids} - {*annotations.object_ids})
    if unknown or len(ids) != 1:
        known = ", ".join(map(str, annotations.object_ids))
        problem = f"there is no object {unknown[0]}" if unknown else "name one object"
        raise InputError(f"{word} {shown(text)}: {problem}; objects are {known}")
    positions = parse_range(frames.strip(), source)
    return AbsenceRange(ids[0], positions.start, positions.stop - 1)
