"""From the results of a shot to mattes: soft or hard, by object or several objects joined."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace

import torch
import torch.nn.functional as F
from torch import Tensor

from ..annotations import Annotation
from ..errors import InputError
from ..track.segmentation import Segmentation, probabilities_of
from ..track.track import Track
from ..types import FrameSource
from .steady import REACH_FRAMES, SoftFrame, steadied


@dataclass(frozen=True)
class MatteObject:
    """One matte of a shot: an object, or several joined."""

    name: str
    """As the artist named it."""
    object_ids: tuple[int, ...]
    """Objects whose mattes are added, ascending."""


def soft_masks(
    track: Track, frames: Sequence[int], source: FrameSource | None, rounds: int
) -> Iterator[Segmentation]:
    """The results of some frames as the track kept them, or steadied along motion.

    Args:
        track: of the shot.
        frames: positions, ascending, all held by the track.
        source: the shot's frames, needed to steady.
        rounds: of steadying; 0 = off.

    Raises:
        InputError: steadying without frames.
    """
    if not rounds:
        yield from map(track.segmentation, frames)
        return
    if source is None:
        raise InputError("masks are steadied along the motion of the frames: give them (--frames)")
    # Neighbors outside the range have their say, so that a part of a shot is what the whole gives.
    margin = rounds * REACH_FRAMES
    held = set(track.frame_indices)
    wanted = set(frames)
    wide = range(max(frames[0] - margin, 0), min(frames[-1] + margin + 1, len(track.shot)))
    kept = [index for index in wide if index in held]
    results = steadied((_soft_frame(track.segmentation(i), source) for i in kept), rounds)
    for index, probabilities in zip(kept, results, strict=True):
        if index in wanted:
            yield replace(track.segmentation(index), probabilities=probabilities)


def alphas(
    segmentation: Segmentation, objects: Sequence[MatteObject], labels: Tensor | None = None
) -> list[Tensor]:
    """(H, W) float32 0..1 of each matte at source resolution.

    Args:
        segmentation: of the frame.
        objects: the mattes.
        labels: (H, W) uint8 object ids for hard edges; None = soft ones.
    """
    if labels is not None:
        return [_joined_labels(labels, one.object_ids) for one in objects]
    soft = probabilities_of(segmentation).cpu()
    channel = {object_id: c for c, object_id in enumerate(segmentation.object_ids, 1)}
    return [soft[[channel[i] for i in one.object_ids]].sum(0).clamp(0, 1) for one in objects]


def matte_objects(
    track: Track, wanted: Iterable[int] = (), joined: Sequence[MatteObject] = ()
) -> list[MatteObject]:
    """A matte for each wanted object (none named = all), then the joined ones.

    Raises:
        InputError: the track has no such object.
    """
    chosen = tuple(wanted)
    if not chosen and not joined:
        chosen = track.object_ids
    single = [MatteObject(_name_of(track, i), (i,)) for i in sorted(set(chosen))]
    every = [*single, *joined]
    for one in every:
        for object_id in one.object_ids:
            if object_id not in track.object_ids:
                known = ", ".join(map(str, track.object_ids)) or "none"
                raise InputError(f"there is no object {object_id}; the track's objects are {known}")
    return every


def _name_of(track: Track, object_id: int) -> str:
    return track.annotations.names.get(object_id) or f"object{object_id}"


def _joined_labels(labels: Tensor, object_ids: tuple[int, ...]) -> Tensor:
    return torch.isin(labels, torch.tensor(object_ids, dtype=labels.dtype)).float()


def _soft_frame(segmentation: Segmentation, source: FrameSource) -> SoftFrame:
    """A frame for steadying: what annotations and absences say stands, at internal size."""
    annotation = segmentation.annotation
    listed = annotation.object_ids if annotation else ()
    known = {*listed, *segmentation.absent_ids}
    p = segmentation.probabilities.float().clone()
    ids = segmentation.object_ids
    silent = [c for c, i in enumerate(ids, 1) if i in known]
    if silent:
        p[silent] = p[silent] * _unsaid(annotation, ids, p)[silent] if annotation else 0
        total = p.sum(0)
        p[0].masked_fill_(total == 0, 1)
        p /= total.masked_fill_(total == 0, 1)
    if annotation:
        p = _laid_over(p, annotation, ids)
    picture = source.frame(segmentation.frame_index)
    return SoftFrame(segmentation.frame_index, picture, p, tuple(i in known for i in ids))


def _unsaid(annotation: Annotation, ids: tuple[int, ...], p: Tensor) -> Tensor:
    """(N + 1, h, w) share of each pixel in which the objects on the frame are left as predicted."""
    unsaid = torch.zeros_like(p)
    if annotation.void is not None:
        present = [1 + ids.index(i) for i in annotation.present_ids]
        void = annotation.void.to(p)[None, None]
        height, width = p.shape[1:]
        unsaid[present] = F.adaptive_avg_pool2d(void, (height, width))[0]
    return unsaid


def _laid_over(p: Tensor, annotation: Annotation, ids: tuple[int, ...]) -> Tensor:
    """Probabilities with the annotation's masks, reduced to their size by area."""
    channels = [1 + ids.index(i) for i in annotation.object_ids]
    if not channels:
        return p
    height, width = p.shape[1:]
    masks = F.adaptive_avg_pool2d(annotation.masks.float()[None], (height, width))[0]
    masks = masks / masks.sum(0).clamp(min=1)  # where masks overlap they share
    p = p * (1 - masks.sum(0))
    p[channels] += masks
    return p
