"""Sets of annotations: fitted to a clip, read from a folder, joined."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable

    from ..xmempp_core import Annotation, AnnotationSet, FrameSource, Size

MAX_POSITIONS = 100_000
"""Frames that a clip not at hand is taken to have at most."""


def fit_annotations(annotations: AnnotationSet, source: FrameSource) -> AnnotationSet:
    """Annotations at the size of the frames, checked against the length of the clip.

    Raises:
        InputError: a frame is past the end.
        ShapeError: masks of another aspect ratio.
    """
    for annotation in annotations:
        check_annotated(annotation, source)
    return _resized(annotations, source.size)


def check_annotated(annotation: Annotation, source: FrameSource) -> None:
    """Raises InputError when an annotation lies past the end of the clip."""
    from ..xmempp_core import InputError

    if annotation.frame_index >= len(source):
        raise InputError(
            f"frame {annotation.frame_index} is annotated, but the clip has {len(source)} frames "
            f"(0 to {len(source) - 1}); take it out with Remove Permanent Annotation, or link the "
            "clip it was made for"
        )


def with_fitted(annotations: AnnotationSet, newer: Iterable[Annotation]) -> AnnotationSet:
    """The set with more annotations, all at the largest of the sizes.

    Raises:
        ShapeError: masks of another aspect ratio.
    """
    newer = tuple(newer)
    size = max((one.size for one in (*annotations, *newer)), default=None)
    if size is None:
        return annotations
    return _resized(annotations, size).with_annotations(_fit(one, size) for one in newer)


def _resized(annotations: AnnotationSet, size: Size) -> AnnotationSet:
    if all(a.size == size for a in annotations):
        return annotations
    return replace(annotations, annotations=tuple(_fit(a, size) for a in annotations))


def _fit(annotation: Annotation, size: Size) -> Annotation:
    from ..xmempp_core import fit_masks

    what = f"masks of frame {annotation.frame_index}"
    void = None if annotation.void is None else fit_masks(annotation.void, size, what)
    if not len(annotation.masks):
        masks = annotation.masks.new_zeros(0, *size)
    else:
        masks = fit_masks(annotation.masks, size, what)
    return replace(annotation, masks=masks, void=void)


class Positions:
    """The frames of a clip that is not at hand: numbered and named by position.

    Args:
        size: size of the masks.
        count: number of frames.
    """

    def __init__(self, size: Size, count: int) -> None:
        self.size = size
        self._count = count

    def __len__(self) -> int:
        return self._count

    def number(self, index: int) -> int:
        """The position."""
        return index

    def name(self, index: int) -> str:
        """Five digits."""
        return f"{index:05d}"


def annotations_in(folder: Path) -> AnnotationSet:
    """The annotations of a folder of label maps whose file names number the frames from 0.

    Raises:
        FormatError: the folder holds no label map, or one cannot be read.
    """
    from ..xmempp_core import FormatError, Size, load_annotations, read_label_map

    try:
        files = sorted(folder.iterdir()) if folder.is_dir() else []
    except OSError as error:  # closed, or a name longer than the system allows
        raise FormatError(folder, f"cannot be read ({error.strerror or error})") from error
    # hidden files are none of ours: macOS leaves ._00012.png beside 00012.png
    maps = (f for f in files if f.suffix.lower() == ".png" and not f.name.startswith("."))
    first = next(maps, None)
    if first is None:
        raise FormatError(folder, "is no folder of label maps (PNG named by frame number)")
    size = Size(*read_label_map(first).shape)
    return load_annotations(folder, Positions(size, MAX_POSITIONS))


def with_all(annotations: AnnotationSet, newer: AnnotationSet) -> AnnotationSet:
    """A set with everything that a newer one says."""
    return replace(
        with_fitted(annotations, newer),
        names={**annotations.names, **newer.names},
        colors={**annotations.colors, **newer.colors},
        absences=(*annotations.absences, *newer.absences),
    )
