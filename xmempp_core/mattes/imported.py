"""Mattes of other programs as annotations, or as a track to be corrected."""

from __future__ import annotations

import logging
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import torch
from torch import Tensor

from ..annotations import MAX_OBJECT_ID, Annotation, AnnotationSet
from ..errors import InputError, ShapeError
from ..formats.frames.exr import ExrWindow
from ..formats.mattes.clips import MatteClip
from ..formats.mattes.reading import find_mattes
from ..settings import PropagationSettings
from ..track.segmentation import Segmentation
from ..track.track import Shot, Track
from ..types import FrameSource, ModelInfo, Size

log = logging.getLogger(__name__)

Matching = Literal["auto", "number", "order"]

_IMPORTED = ModelInfo(
    name="imported mattes",
    path=Path("mattes"),
    architecture="none",
    key_channels=0,
    value_channels=0,
    sensory_channels=0,
    parameter_count=0,
    sha256="",
    license="that of the mattes",
    note="made of mattes of another program, not of a network",
)


@dataclass(frozen=True)
class ImportedMattes:
    """Mattes that were found, each with its object and the frames of the shot they belong to."""

    clips: tuple[MatteClip, ...]
    object_ids: tuple[int, ...]
    """of each clip"""
    positions: tuple[tuple[int, int], ...]
    """position in the shot, and in the clips, of every frame that both have; ascending"""
    how: str
    """how frames were matched, a clause"""
    exr_window: ExrWindow = "display"
    """what of OpenEXR plates the frames are, and so of the mattes"""

    @property
    def frame_indices(self) -> tuple[int, ...]:
        """Frames of the shot that have mattes."""
        return tuple(frame for frame, _ in self.positions)


def open_mattes(
    path: Path,
    source: FrameSource,
    *,
    channel: str | None = None,
    matching: Matching = "auto",
    offset: int = 0,
) -> ImportedMattes:
    """Finds mattes and matches their frames with those of a shot; a line in the log says how.

    Args:
        path: file, pattern or folder, see `find_mattes`.
        source: the shot.
        channel: layer or channel to read.
        matching: "number": a matte is that of the frame of its number plus the offset; "order": the
            first matte is that of the first frame; "auto": by number where all numbers are the
            shot's, by order where there are as many mattes as frames.
        offset: added to the mattes' numbers, or their order.

    Raises:
        FormatError: there are no mattes.
        InputError: they do not fit the shot.
    """
    clips = find_mattes(path, channel)
    numbers, count = clips[0].numbers, clips[0].count
    if any((clip.numbers, clip.count) != (numbers, count) for clip in clips[1:]):
        raise InputError(
            f"{path}: the mattes of {clips[0].name} and of another object have other frames; "
            "give them one by one"
        )
    pairs, how = _matched(numbers, count, source, matching, offset)
    if not pairs:
        raise InputError(
            f"{path}: no matte belongs to a frame of the shot ({_extent(numbers)}, the shot has "
            f"frames {source.number(0)} to {source.number(len(source) - 1)}); match by order, "
            "or give an offset"
        )
    log.info("%s: %d mattes of %d objects, %s", path, len(pairs), len(clips), how)
    window: ExrWindow = getattr(source, "exr_window", "display")
    return ImportedMattes(tuple(clips), _object_ids(clips), tuple(pairs), how, window)


def label_maps(
    found: ImportedMattes, size: Size, frames: Sequence[int] | None = None
) -> Iterator[tuple[int, Tensor]]:
    """Position and label map (H, W) uint8 of each frame: the best of objects and background."""
    for frame_index, p in soft_frames(found, size, frames):
        ids = torch.tensor((0, *sorted(found.object_ids)), dtype=torch.uint8)
        yield frame_index, ids[p.argmax(0)]


def soft_frames(
    found: ImportedMattes, size: Size, frames: Sequence[int] | None = None
) -> Iterator[tuple[int, Tensor]]:
    """Position and probabilities (N + 1, H, W) of each frame; background is what is missing to 1.

    Where mattes add up to more than 1, they share.

    Raises:
        ShapeError: a matte has another size than the shot.
        FormatError: a matte cannot be read.
    """
    wanted = set(found.frame_indices if frames is None else frames)
    pairs = [(frame, place) for frame, place in found.positions if frame in wanted]
    order = sorted(range(len(found.clips)), key=lambda c: found.object_ids[c])
    places = [place for _, place in pairs]
    # Where frames are data windows, pixels lie as they are stored.
    placed = size if found.exr_window == "display" else None
    streams = [found.clips[c].alphas(places, placed) for c in order]
    for (frame_index, _), alphas in zip(pairs, zip(*streams, strict=True), strict=False):
        for c, alpha in zip(order, alphas, strict=True):
            _check_size(alpha, size, f"matte of {found.clips[c].name} at frame {frame_index}")
        objects = torch.stack([alpha[: size.height, : size.width] for alpha in alphas])
        total = objects.sum(0, keepdim=True)
        objects = objects / total.clamp(min=1)
        yield frame_index, torch.cat([(1 - total).clamp(min=0), objects])


def mattes_as_annotations(
    found: ImportedMattes, source: FrameSource, frames: Sequence[int] | None = None
) -> AnnotationSet:
    """Exhaustive annotations of some of the frames, all by default."""
    maps = label_maps(found, source.size, frames)
    annotations = tuple(_annotation(i, labels, found.object_ids) for i, labels in maps)
    named = zip(found.object_ids, (clip.name for clip in found.clips), strict=True)
    return AnnotationSet(annotations, {i: n for i, n in named if n != f"object{i}"})


def mattes_as_track(found: ImportedMattes, source: FrameSource, annotated: Sequence[int]) -> Track:
    """A track with the mattes as its results, to be corrected.

    Args:
        found: the mattes.
        source: the shot.
        annotated: frames whose mattes stand as annotations, too; at least one, since the objects
            of a track are those of its annotations.
    """
    annotations = mattes_as_annotations(found, source, annotated)
    ids = tuple(sorted(found.object_ids))
    track = Track(Shot.of(source), annotations, PropagationSettings(), _IMPORTED)
    for frame_index, p in soft_frames(found, source.size):
        annotation = annotations.at(frame_index)
        absent = () if annotation is None else annotation.absent_ids
        track.add(Segmentation.of(frame_index, ids, p, Size(*source.size), annotation, absent))
    return track


def every_nth_matte(found: ImportedMattes, step: int) -> tuple[int, ...]:
    """Every so many frames of those that have mattes, the first among them."""
    if step < 1:
        raise InputError(f"every {step}th frame cannot be taken; allowed is 1 and up")
    return found.frame_indices[::step]


def _annotation(frame_index: int, labels: Tensor, object_ids: Sequence[int]) -> Annotation:
    """All objects are listed, so that those without a pixel are absent for certain."""
    ids = tuple(sorted(object_ids))
    masks = torch.stack([labels == i for i in ids])
    return Annotation(frame_index, ids, masks, exhaustive=True)


def _matched(
    numbers: tuple[int, ...] | None,
    count: int,
    source: FrameSource,
    matching: Matching,
    offset: int,
) -> tuple[list[tuple[int, int]], str]:
    position_of = {source.number(i): i for i in range(len(source))}
    with_offset = f" plus {offset}" if offset else ""
    if matching != "order" and numbers is not None:
        pairs = [
            (position_of[n + offset], place)
            for place, n in enumerate(numbers)
            if n + offset in position_of
        ]
        is_all = len(pairs) == len(numbers)
        if matching == "number" or is_all or offset or len(numbers) != len(source):
            left = len(numbers) - len(pairs)
            rest = f"; {left} belong to no frame" if left else ""
            return sorted(pairs), f"by frame number{with_offset}{rest}"
    pairs = [(i + offset, i) for i in range(count) if 0 <= i + offset < len(source)]
    outside = f"; {count - len(pairs)} belong to no frame" if len(pairs) < count else ""
    return pairs, f"in order{with_offset}{outside}"


def _object_ids(clips: Sequence[MatteClip]) -> tuple[int, ...]:
    """Ids that a JSON or the names say ("3", "object3"); else the lowest free ones, in order."""
    if len(clips) > MAX_OBJECT_ID:
        raise InputError(
            f"there are {len(clips)} mattes, a track holds {MAX_OBJECT_ID} objects at most; "
            "choose some by their names as channel"
        )
    ids = [clip.object_id or _id_in(clip.name) for clip in clips]
    taken = [i for i in ids if i is not None]
    if len(set(taken)) < len(taken):
        ids = [None] * len(clips)
        taken = []
    free = (i for i in range(1, 256) if i not in taken)
    return tuple(next(free) if i is None else i for i in ids)


def _id_in(name: str) -> int | None:
    match = re.fullmatch(r"(?:object_?)?([0-9]{1,3})", name)
    return int(match[1]) if match and 1 <= int(match[1]) <= 255 else None


def _check_size(alpha: Tensor, size: Size, what: str) -> None:
    """Films of 4:2:0 have even sides and so may be a line larger."""
    got = Size(*alpha.shape)
    even = Size(size.height + size.height % 2, size.width + size.width % 2)
    if got not in (size, even):
        raise ShapeError(what, str(Size(*size)), str(got), "give mattes of the size of the frames")


def _extent(numbers: tuple[int, ...] | None) -> str:
    return "a film" if numbers is None else f"mattes {numbers[0]} to {numbers[-1]}"
