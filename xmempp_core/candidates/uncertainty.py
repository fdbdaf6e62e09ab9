"""Where a propagation is likely to be wrong, by its own confidence and by a pass the other way."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import replace

from torch import Tensor

from ..annotations import AbsenceRange, AnnotationSet
from ..formats.frames.chosen_frames import ChosenFrames
from ..propagation.propagation import propagate
from ..settings import PropagationSettings
from ..track.segmentation import label_map_of
from ..track.track import Track
from ..types import FrameSource, Network


def frame_uncertainty(network: Network, frames: FrameSource, track: Track) -> dict[int, float]:
    """Uncertainty 0..1 of each frame of a track, 0 where it is annotated.

    For each object it is 1 - confidence * agreement, averaged over the objects. Agreement is the
    intersection over union of the track's mask with that of a pass that comes from the other side:
    from the end of the shot back to the first annotated frame, and from its start up to it.
    """
    result = {}
    for index, labels in _opposite_pass(network, frames, track):
        own = track.label_map(index)
        confidences = zip(track.object_ids, track.confidence(index), strict=True)
        values = [
            1 - _certainty(confidence, own == object_id, labels == object_id)
            for object_id, confidence in confidences
            if not math.isnan(confidence)
        ]
        result[index] = sum(values) / len(values) if values else 0.0
    return result


def _certainty(confidence: float, own: Tensor, other: Tensor) -> float:
    union = int((own | other).sum())
    if union == 0:
        return 1.0
    return confidence * int((own & other).sum()) / union


def _opposite_pass(
    network: Network, frames: FrameSource, track: Track
) -> Iterator[tuple[int, Tensor]]:
    """Label maps of the track's frames, by frame index, from passes toward the first annotation."""
    held, annotations = track.frame_indices, track.annotations
    start = min(max(annotations.frame_indices[0], held[0]), held[-1] + 1)
    settings = replace(track.settings, direction="forward")
    if start > held[0]:
        before = range(held[0], start)
        for one in propagate(network, frames, annotations, settings, frame_range=before):
            yield one.frame_index, label_map_of(one)
    if start <= held[-1]:
        yield from _from_the_end(network, frames, annotations, settings, range(start, held[-1] + 1))


def _from_the_end(
    network: Network,
    frames: FrameSource,
    annotations: AnnotationSet,
    settings: PropagationSettings,
    part: range,
) -> Iterator[tuple[int, Tensor]]:
    last = len(frames) - 1
    mirrored = ChosenFrames(frames, range(last, -1, -1))
    mirrored_part = range(last - part[-1], last - part[0] + 1)
    mirrored_annotations = _mirrored(annotations, last)
    for one in propagate(
        network, mirrored, mirrored_annotations, settings, frame_range=mirrored_part
    ):
        yield last - one.frame_index, label_map_of(one)


def _mirrored(annotations: AnnotationSet, last: int) -> AnnotationSet:
    """The annotations of the shot played backward."""
    return replace(
        annotations,
        annotations=tuple(replace(a, frame_index=last - a.frame_index) for a in annotations),
        absences=tuple(
            AbsenceRange(r.object_id, max(last - r.last_frame, 0), last - r.first_frame)
            for r in annotations.absences
            if r.first_frame <= last
        ),
    )
