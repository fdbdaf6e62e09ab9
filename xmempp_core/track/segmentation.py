"""The result of one frame, and what is made of it at source resolution, annotations laid over."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import overload

import torch
import torch.nn.functional as F
from torch import Tensor

from ..annotations import Annotation
from ..errors import ShapeError
from ..types import Size


class PendingConfidence(Sequence[float]):
    """Confidences that stay on the device until one of them is asked for.

    Args:
        means: (N,), for each object.
        known: for each object what stands in place of it; None = nothing.
    """

    def __init__(self, means: Tensor, known: tuple[float | None, ...]) -> None:
        self._means, self._known = means, known

    @cached_property
    def _values(self) -> tuple[float, ...]:
        pairs = zip(self._means.tolist(), self._known, strict=True)
        return tuple(mean if known is None else known for mean, known in pairs)

    @overload
    def __getitem__(self, place: int) -> float: ...
    @overload
    def __getitem__(self, place: slice) -> tuple[float, ...]: ...
    def __getitem__(self, place: int | slice) -> float | tuple[float, ...]:
        return self._values[place]

    def __len__(self) -> int:
        return len(self._known)

    def __repr__(self) -> str:
        return repr(self._values)


@dataclass(frozen=True, eq=False)
class Segmentation:
    """The result for one frame, soft, before annotations are laid over it."""

    frame_index: int
    object_ids: tuple[int, ...]
    """All objects of the annotation set, ascending."""
    probabilities: Tensor
    """(N + 1, H, W) float32 at internal resolution, channel 0 background, sum 1."""
    size: Size
    """Source resolution."""
    confidence: Sequence[float]
    """For each object 0..1, NaN where the frame is annotated for it, 0 where it has no pixel."""
    annotation: Annotation | None = None
    """What the artist said about this frame; stands above the probabilities for its objects."""
    absent_ids: tuple[int, ...] = ()
    """Objects that are absent here by declaration or implication."""

    @classmethod
    def of(
        cls,
        frame_index: int,
        object_ids: tuple[int, ...],
        probabilities: Tensor,
        size: Size,
        annotation: Annotation | None,
        absent_ids: tuple[int, ...],
    ) -> Segmentation:
        """A result with its confidence: for each object the mean of 2p - 1 where p > 0.5."""
        objects = probabilities[1:]
        inside = objects > 0.5
        total = torch.where(inside, 2 * objects - 1, 0).flatten(1).sum(1)
        means = total / inside.flatten(1).sum(1).clamp(min=1)
        listed = annotation.object_ids if annotation else ()
        known = {**dict.fromkeys(absent_ids, 0.0), **dict.fromkeys(listed, math.nan)}
        confidence = PendingConfidence(means, tuple(known.get(i) for i in object_ids))
        return cls(frame_index, object_ids, probabilities, size, confidence, annotation, absent_ids)


def label_map_of(segmentation: Segmentation) -> Tensor:
    """(H, W) uint8 object ids at source resolution, 0 = background, on the CPU.

    The most probable channel after resizing, the first on ties. Annotated objects stand exactly as
    annotated; what was predicted as one of them outside its mask, or as an absent object, goes to
    the best of the remaining channels. In void pixels the prediction stands.
    """
    annotation = segmentation.annotation
    _check_annotation_size(annotation, segmentation.size)
    silent = {*segmentation.absent_ids, *(annotation.object_ids if annotation else ())}
    labels = _best_ids(segmentation, silent)
    if annotation and annotation.void is not None:
        predicted = _best_ids(segmentation, _absent_ids(segmentation))
        labels = torch.where(annotation.void.to(labels.device), predicted, labels)
    if annotation:
        lay_over(labels, annotation)
    return labels.cpu()


def lay_over(labels: Tensor, annotation: Annotation) -> None:
    """Writes the masks of an annotation into a label map (H, W)."""
    masks = annotation.masks.to(labels.device)
    for object_id, mask in zip(annotation.object_ids, masks, strict=True):
        labels.masked_fill_(mask, object_id)


def probabilities_of(segmentation: Segmentation) -> Tensor:
    """(N + 1, H, W) float32 at source resolution, background first, on their own device.

    They sum to 1. Annotated objects are 1 in their mask and 0 elsewhere, but in void pixels as
    predicted; absent ones are 0.
    """
    annotation = segmentation.annotation
    _check_annotation_size(annotation, segmentation.size)
    p = _resized(segmentation.probabilities.float(), segmentation.size)
    listed = annotation.object_ids if annotation else ()
    channel_of = {i: c for c, i in enumerate(segmentation.object_ids, 1)}
    silent = [channel_of[i] for i in {*segmentation.absent_ids, *listed} if i in channel_of]
    if silent:
        if annotation and annotation.void is not None:
            p[silent] *= annotation.void.to(p.device)
            silent = [channel_of[i] for i in _absent_ids(segmentation) if i in channel_of]
        p[silent] = 0
        total = p.sum(0)
        p[0].masked_fill_(total == 0, 1)
        p /= total.masked_fill_(total == 0, 1)
    if annotation:
        masks = annotation.masks.to(p.device)
        p.masked_fill_(masks.any(0), 0)
        for object_id, mask in zip(listed, masks, strict=True):
            p[channel_of[object_id]].masked_fill_(mask, 1)
    return p


def _absent_ids(segmentation: Segmentation) -> set[int]:
    """Objects that are absent from the whole frame, its void pixels included."""
    annotation = segmentation.annotation
    return {*segmentation.absent_ids, *(annotation.absent_ids if annotation else ())}


def _best_ids(segmentation: Segmentation, silent: set[int]) -> Tensor:
    """(H, W) uint8 id of the best channel, silent objects left out.

    Resized one channel at a time, so that a 4K frame needs two maps and not N + 1.
    """
    planes = segmentation.probabilities.float()
    best = _resized(planes[:1], segmentation.size)[0]
    labels = torch.zeros_like(best, dtype=torch.uint8)
    for object_id, plane in zip(segmentation.object_ids, planes[1:].split(1), strict=True):
        if object_id not in silent:
            p = _resized(plane, segmentation.size)[0]
            labels.masked_fill_(p > best, object_id)
            torch.maximum(best, p, out=best)
    return labels


def _resized(planes: Tensor, size: Size) -> Tensor:
    """New planes (C, H, W): bilinear, corners not aligned, no antialiasing."""
    if planes.shape[-2:] == tuple(size):
        return planes.clone()
    return F.interpolate(planes[None], size=tuple(size), mode="bilinear", align_corners=False)[0]


def _check_annotation_size(annotation: Annotation | None, size: Size) -> None:
    if annotation and annotation.size != size:
        what = f"annotation of frame {annotation.frame_index}: masks"
        raise ShapeError(what, str(size), str(annotation.size))
