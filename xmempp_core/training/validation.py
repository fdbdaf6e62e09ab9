"""Validation during training: J&F on held-out sequences with one and with several annotations."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch

from ..annotations import Annotation, AnnotationSet
from ..evaluation.metrics import mean_score, score_frames
from ..formats.frames.open import open_frames
from ..propagation.propagation import propagate
from ..settings import PropagationSettings
from ..track.segmentation import label_map_of
from ..types import Network
from .sources import SourcePicture, SourceSet

MAX_FRAMES = 24
ANNOTATED = (1, 5)
"""Numbers of annotated frames."""


def validate(network: Network, sets: Sequence[SourceSet]) -> dict[str, float]:
    """{"jf_1": ..., "jf_5": ...}: mean J&F 0..1 over sequences, by number of annotated frames.

    A sequence starts at its first frame with an object and is cut to 24 frames; annotations are
    evenly spaced from the first frame to the last. Sequences that are too short, or show no object
    on any other frame, are left out.
    """
    scores: dict[str, list[float]] = {}
    for pictures in (_cut(one) for one in sets):
        for count in ANNOTATED:
            annotated = _spread(len(pictures), count)
            if any(p.labels.any() for i, p in enumerate(pictures) if i not in annotated):
                scores.setdefault(f"jf_{count}", []).append(_score(network, pictures, annotated))
    return {name: float(np.mean(values)) for name, values in scores.items()}


def _cut(one: SourceSet) -> list[SourcePicture]:
    pictures = list(one.pictures)
    first = next(i for i, picture in enumerate(pictures) if picture.labels.any())
    same = [p for p in pictures[first:] if p.labels.shape == pictures[first].labels.shape]
    return same[:MAX_FRAMES]


def _spread(frame_count: int, count: int) -> list[int]:
    """Frames evenly spaced from the first to the last; fewer where there are not so many."""
    return sorted({int(i) for i in np.linspace(0, frame_count - 1, count).round()})


def _score(network: Network, pictures: Sequence[SourcePicture], annotated: Sequence[int]) -> float:
    """J&F of the other frames of a sequence."""
    labels = {i: picture.labels for i, picture in enumerate(pictures)}
    given = [Annotation.from_label_map(i, torch.from_numpy(labels[i])) for i in annotated]
    source = open_frames(np.stack([picture.rgb for picture in pictures]))
    settings = PropagationSettings(internal_size=None)
    segmentations = propagate(network, source, AnnotationSet(tuple(given)), settings)
    predicted = {s.frame_index: label_map_of(s).cpu().numpy() for s in segmentations}
    return mean_score(score_frames(predicted, labels, annotated)).jf
