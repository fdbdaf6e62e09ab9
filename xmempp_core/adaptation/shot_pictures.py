"""The annotated frames of a shot as training pictures, at the size at which a pass sees them."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, replace

import torch
from torch import Tensor

from ..annotations import Annotation, AnnotationSet
from ..errors import InputError
from ..resize import internal_size, resize_frame, resize_masks, to_planes
from ..training.library import PictureLibrary
from ..training.sources import SourcePicture, SourceSet
from ..types import FrameSource, Size


@dataclass(frozen=True, eq=False)
class ShotPictures:
    """Pictures of one shot, and of which objects each of them speaks."""

    library: PictureLibrary
    known_ids: tuple[frozenset[int], ...]
    """For each picture the objects of which it says where they are, or that they are not there."""

    @property
    def object_ids(self) -> tuple[int, ...]:
        """Objects with a pixel in any picture, ascending."""
        return tuple(sorted({i for e in self.library.index.entries for i in e.boxes}))

    def pictures_about(self, object_id: int) -> list[int]:
        """The pictures that speak about an object, ascending."""
        return [place for place, ids in enumerate(self.known_ids) if object_id in ids]

    @property
    def short_side(self) -> int:
        """Pixels."""
        return min(self.library.index.entries[0].size)


@dataclass(frozen=True)
class PictureSize:
    """How frames become pictures."""

    short_side: int | None
    """As `PropagationSettings.internal_size`."""
    antialias: bool
    device: torch.device


def shot_pictures(
    source: FrameSource,
    annotations: AnnotationSet,
    how: PictureSize,
    labels: Iterable[Annotation] = (),
) -> ShotPictures:
    """The annotated frames as training pictures.

    Args:
        source: the shot.
        annotations: what the artist said.
        how: the size of the pictures.
        labels: further frames, exhaustively labeled.

    Raises:
        InputError: no object has a pixel at that size.
    """
    size = internal_size(source.size, how.short_side)
    pictures, known = [], []
    for annotation in (*annotations, *labels):
        frame = _picture(source.frame(annotation.frame_index), size, how)
        label_map = _label_map(annotation, size)
        pictures.append(
            SourcePicture(str(annotation.frame_index), frame.numpy(), label_map.numpy())
        )
        known.append(_known_ids(annotation, annotations, label_map))
    library = PictureLibrary.build([SourceSet("video/shot", "", tuple(pictures))], how.device)
    shot = ShotPictures(library, tuple(known))
    if not shot.object_ids:
        raise InputError(
            f"no annotated frame shows an object at the internal size {size}; there is nothing "
            "to adapt to: annotate a frame that shows one, or raise internal_size"
        )
    return shot


def _picture(frame: Tensor, size: Size, how: PictureSize) -> Tensor:
    """(H, W, 3) uint8 of a frame, resized as in a pass."""
    resized = resize_frame(to_planes(frame, how.device), size, how.antialias)
    return (resized.clamp(0, 1) * 255).round().to(torch.uint8).permute(1, 2, 0).cpu()


def _label_map(annotation: Annotation, size: Size) -> Tensor:
    """(H, W) uint8 of object ids; where masks overlap the lowest id stands."""
    resized = resize_masks(annotation.masks.cpu(), size) > 0.5
    return replace(annotation, masks=resized, void=None).label_map()


def _known_ids(
    annotation: Annotation, annotations: AnnotationSet, label_map: Tensor
) -> frozenset[int]:
    """Objects that the picture shows, or of which it is known that they are not there.

    An object too small to keep a pixel in the picture is none of them.
    """
    spoken = {*annotation.object_ids, *annotations.absent_at(annotation.frame_index)}
    if annotation.exhaustive:
        spoken.update(annotations.object_ids)
    shown = {int(i) for i in label_map.unique()}
    return frozenset(spoken - (set(annotation.present_ids) - shown))
