"""What is known of a frame before it is looked at: one rule, for the pass and for its results."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import torch
from torch import Tensor

from ..annotations import Annotation, AnnotationSet
from .channels import ObjectChannels
from .encoding import ShotEncoder


@dataclass(frozen=True, eq=False)
class KnownFrame:
    """What the artist said about one frame, directly or by implication."""

    frame_index: int
    annotation: Annotation | None
    absent_ids: tuple[int, ...]
    """Objects absent here that the annotation does not list: declared so by an absence range, or
    implied by an exhaustive annotation; ascending"""

    @property
    def listed_ids(self) -> tuple[int, ...]:
        """Objects that the annotation lists, ascending."""
        return self.annotation.object_ids if self.annotation else ()


@dataclass(frozen=True, eq=False)
class GivenMasks:
    """What is known of a frame, as the network takes it, for some channels."""

    channels: tuple[int, ...]
    """ascending"""
    masks: Tensor
    """(n, H, W) float32 0 or 1 at internal size"""
    is_annotation: bool = True
    """False for a mere declaration of absence: it is no memory frame."""
    in_permanent: bool = True
    """Whether the frame is in permanent memory already, and so not stored again."""
    void: Tensor | None = None
    """(H, W) float32 0 or 1 at internal size: where nothing is said; None = nowhere"""
    open_channels: tuple[int, ...] = ()
    """Channels that are on the frame: there what is predicted of them stands in void pixels."""


def known_of(annotations: AnnotationSet, frame_index: int) -> KnownFrame:
    """What is known of a frame of the shot."""
    annotation = annotations.at(frame_index)
    listed = annotation.object_ids if annotation else ()
    absent = set(annotations.object_ids)
    if annotation is None or not annotation.exhaustive:
        absent &= set(annotations.absent_at(frame_index))
    return KnownFrame(frame_index, annotation, tuple(sorted(absent - set(listed))))


def masks_of(known: KnownFrame, object_ids: Sequence[int]) -> Tensor:
    """(n, H, W) float32 masks of some objects of an annotated frame, empty for unlisted ones."""
    annotation = known.annotation
    assert annotation is not None
    masks = torch.zeros(len(object_ids), *annotation.size)
    for place, object_id in enumerate(object_ids):
        if object_id in annotation.object_ids:
            masks[place] = annotation.mask(object_id).float()
    return masks


def given_masks(
    known: KnownFrame,
    channels: ObjectChannels,
    met_objects: int,
    encoder: ShotEncoder,
    *,
    in_permanent: bool,
) -> GivenMasks | None:
    """What a pass is given of a frame; None where it has to predict all.

    Args:
        known: of the frame.
        channels: of the pass.
        met_objects: objects that the pass has met so far: the first channels. Of others only
            what the annotation lists counts: their absence is no news.
        encoder: of the shot.
        in_permanent: whether the frame's annotation is in permanent memory.
    """
    met = {*channels.by_channel[:met_objects], *known.listed_ids}
    ids = channels.ordered(met & {*known.listed_ids, *known.absent_ids})
    if not ids:
        return None
    is_annotation = known.annotation is not None
    masks = masks_of(known, ids) if is_annotation else torch.zeros(len(ids), *encoder.size)
    given = GivenMasks(channels.channels(ids), encoder.masks(masks), is_annotation, in_permanent)
    if known.annotation is None or known.annotation.void is None:
        return given
    present = channels.channels(channels.ordered(known.annotation.present_ids))
    void = encoder.masks(known.annotation.void[None])[0]
    return replace(given, void=void, open_channels=present)
