"""Validation during training: J&F on held-out sequences with one and with several annotations."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from fractions import Fraction

import numpy as np
import torch
from torch import Tensor

from ..evaluation.metrics import mean_score, score_frames
from ..network.lite import XMemLite
from ..propagation import propagate
from ..settings import PropagationSettings
from ..track import label_map_of
from ..types import Annotation, AnnotationSet, Size
from .sources import SourcePicture, SourceSet

MAX_FRAMES = 24
ANNOTATED = (1, 5)
"""Numbers of annotated frames."""


class PictureFrames:
    """The pictures of a sequence as a FrameSource."""

    def __init__(self, pictures: Sequence[SourcePicture]) -> None:
        self._pictures = pictures

    def __len__(self) -> int:
        return len(self._pictures)

    @property
    def size(self) -> Size:
        """Size of every frame."""
        return Size(*self._pictures[0].labels.shape)

    @property
    def frame_rate(self) -> Fraction | None:
        """Not known."""
        return None

    @property
    def fingerprint(self) -> str:
        """Name of the first picture, and how many there are."""
        return f"{self._pictures[0].name} {len(self)}"

    def frame(self, index: int) -> Tensor:
        """(H, W, 3) uint8 RGB."""
        return torch.from_numpy(self._pictures[index].rgb)

    def number(self, index: int) -> int:
        """The position."""
        return index

    def name(self, index: int) -> str:
        """The picture's name."""
        return self._pictures[index].name

    def __iter__(self) -> Iterator[Tensor]:
        return (self.frame(i) for i in range(len(self)))


def validate(network: XMemLite, sets: Sequence[SourceSet]) -> dict[str, float]:
    """{"jf_1": ..., "jf_5": ...}: mean J&F 0..1 over sequences, by annotated frames.

    Sequences are cut to their first 24 frames with one object or more at the start; annotations
    are evenly spaced from the first frame to the last.
    """
    scores: dict[str, list[float]] = {}
    for one in sets:
        pictures = _cut(one)
        for count in ANNOTATED:
            if len(pictures) > count:
                scores.setdefault(f"jf_{count}", []).append(_score(network, pictures, count))
    return {name: float(np.mean(values)) for name, values in scores.items()}


def _cut(one: SourceSet) -> list[SourcePicture]:
    pictures = list(one.pictures)
    first = next((i for i, picture in enumerate(pictures) if picture.labels.any()), 0)
    same = [p for p in pictures[first:] if p.labels.shape == pictures[first].labels.shape]
    return same[:MAX_FRAMES]


def _score(network: XMemLite, pictures: Sequence[SourcePicture], count: int) -> float:
    """J&F of one sequence with `count` annotated frames."""
    spread = np.linspace(0, len(pictures) - 1, count) if count > 1 else np.zeros(1)
    annotated = sorted({int(i) for i in spread.round()})
    labels = {i: picture.labels for i, picture in enumerate(pictures)}
    given = (Annotation.from_label_map(i, torch.from_numpy(labels[i])) for i in annotated)
    segmentations = propagate(
        network, PictureFrames(pictures), AnnotationSet(tuple(given)),
        PropagationSettings(internal_size=None),
    )  # fmt: skip
    predicted = {s.frame_index: label_map_of(s).cpu().numpy() for s in segmentations}
    return mean_score(score_frames(predicted, labels, annotated)).jf
