"""A small track with soft edges, several objects and annotations."""

from __future__ import annotations

import math
from dataclasses import replace
from fractions import Fraction

import torch
from drawn import NamedShot, disk, model_info, soft_segmentation

from xmempp_core.annotations import AbsenceRange, Annotation, AnnotationSet
from xmempp_core.settings import PropagationSettings
from xmempp_core.track.track import Shot, Track
from xmempp_core.types import Size

INTERNAL = Size(24, 42)
SIZE = Size(61, 107)
IDS = (2, 5, 9)
NAMES = {2: "Hat: left/right", 5: "5", 9: "hat_ left_right"}
COUNT = 6
FIRST = 1001
FRAME_NAMES = [f"plate.{FIRST + i}" for i in range(COUNT)]


def annotation_set() -> AnnotationSet:
    """Frame 0 as a label map without object 9, frame 3 with object 5 alone."""
    masks = torch.stack([disk(SIZE, 0.5, x, 0.3) for x in (0.3, 0.6)])
    first = Annotation(0, (2, 5), masks, exhaustive=True)
    later = Annotation(3, (5, 9), torch.stack([masks[1], masks[1] & ~masks[1]]))
    return AnnotationSet((first, later), NAMES, {5: (9, 8, 7)}, (AbsenceRange(2, 5, 5),))


def make_track(
    names: list[str] | None = None,
    frame_rate: Fraction | None = Fraction(24000, 1001),
    held: range = range(COUNT),
) -> Track:
    """A track of six frames; object 2 is absent on the last."""
    annotations = annotation_set()
    shot = Shot.of(NamedShot(names or FRAME_NAMES, SIZE, frame_rate))
    track = Track(shot, annotations, PropagationSettings(), model_info())
    for index in held:
        annotation = annotations.at(index)
        listed = annotation.object_ids if annotation else ()
        absent = {*annotations.absent_at(index), *(annotation.absent_ids if annotation else ())}
        if annotation and annotation.exhaustive:
            absent |= set(IDS) - set(listed)
        track.add(
            replace(
                soft_segmentation(index, IDS, INTERNAL, SIZE),
                annotation=annotation,
                absent_ids=tuple(sorted(absent)),
                confidence=tuple(math.nan if i in listed else 0.5 for i in IDS),
            )
        )
    return track
