"""PictureLibrary: all training pictures on the training device, and an index of their objects."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple

import cv2
import numpy as np
import torch
from torch import Tensor

from ..errors import InputError
from ..types import Size
from .sources import SourcePicture, SourceSet

_PLAIN_LEVELS = 6.0
_PLAIN_SHARE = 0.6
_IN_ORDER = ("video", "cutout_video")


class Box(NamedTuple):
    """Where an object is, in source pixels."""

    x: int
    y: int
    width: int
    height: int
    area_pixels: int

    @property
    def center(self) -> tuple[float, float]:
        """(x, y)"""
        return self.x + self.width / 2, self.y + self.height / 2


@dataclass(frozen=True)
class Entry:
    """What the index knows about one picture."""

    size: Size
    boxes: dict[int, Box]
    """By object id, only objects with a pixel; a cut-out with alpha is object 1."""
    has_matte: bool = False
    """Whether the fourth plane of the picture is alpha, not labels."""


@dataclass(frozen=True)
class Index:
    """The pictures by use; numbers are positions in the library."""

    entries: tuple[Entry, ...]
    sequences: tuple[tuple[int, ...], ...]
    """Frames of each sequence, in order."""
    stills: tuple[int, ...]
    """Pictures that can be a whole scene."""
    cutouts: tuple[int, ...]
    """Objects on a plain or transparent background, good only for pasting."""
    moving_cutouts: tuple[tuple[int, ...], ...] = ()
    """Frames of each object with alpha that moves, in order; good only for pasting."""
    backgrounds: tuple[int, ...] = ()
    """Scenes without an object."""

    @property
    def has_objects(self) -> bool:
        """Whether a scene has an object of its own."""
        return bool(self.sequences or self.stills)

    @property
    def has_cutouts(self) -> bool:
        """Whether there are objects good only for pasting."""
        return bool(self.cutouts or self.moving_cutouts)

    def object_ids(self, picture: int) -> list[int]:
        """Ids of the objects in a picture, ascending."""
        return sorted(self.entries[picture].boxes)


@dataclass(frozen=True, eq=False)
class PictureLibrary:
    """The pictures, and the index that clips are planned from."""

    pictures: Tensor
    """(P, 4, H, W) uint8: RGB and label, of cut-outs alpha; smaller pictures stand in the upper
    left corner."""
    index: Index

    @classmethod
    def build(cls, sets: Sequence[SourceSet], device: torch.device) -> PictureLibrary:
        """All pictures of the sets, moved to a device.

        Raises:
            InputError: no set can serve as the background of a clip.
        """
        every = [p for s in sets for p in s.pictures]
        height = max(p.labels.shape[0] for p in every)
        width = max(p.labels.shape[1] for p in every)
        pictures = torch.zeros(len(every), 4, height, width, dtype=torch.uint8)
        for position, picture in enumerate(every):
            h, w = picture.labels.shape
            pictures[position, :3, :h, :w] = torch.from_numpy(picture.rgb).permute(2, 0, 1)
            pictures[position, 3, :h, :w] = torch.from_numpy(picture.labels)
        return cls(pictures.to(device), _index(sets))


def _index(sets: Sequence[SourceSet]) -> Index:
    entries: list[Entry] = []
    sequences: list[tuple[int, ...]] = []
    moving: list[tuple[int, ...]] = []
    found: dict[str, list[int]] = {"still": [], "cutout": [], "background": []}
    for one in sets:
        positions = range(len(entries), len(entries) + len(one.pictures))
        entries += [_entry(p) for p in one.pictures]
        if one.kind in _IN_ORDER:
            (sequences if one.is_video else moving).append(tuple(positions))
            continue
        for i, picture in zip(positions, one.pictures, strict=True):
            if use := _use(one.kind, picture):
                found[use].append(i)
    index = Index(
        tuple(entries), tuple(sequences), tuple(found["still"]), tuple(found["cutout"]),
        tuple(moving), tuple(found["background"]),
    )  # fmt: skip
    _check_scenes(index)
    return index


def _use(kind: str, picture: SourcePicture) -> str | None:
    """What a single picture is good for: "still", "cutout", "background", or nothing."""
    if kind == "background":
        return kind
    if not picture.shows_object:
        return None
    return "cutout" if picture.has_matte or _is_plain(picture) else "still"


def _check_scenes(index: Index) -> None:
    if index.has_objects or (index.backgrounds and index.has_cutouts):
        return
    if index.backgrounds:
        raise InputError(
            "the training data holds only backgrounds; add objects: a sequence, photographs with "
            "masks or cut-outs"
        )
    raise InputError(
        "the training data holds only objects on plain backgrounds; "
        "add a sequence or photographs, with masks or as backgrounds"
    )


def _entry(picture: SourcePicture) -> Entry:
    labels = picture.labels
    boxes = _boxes((labels > 127).astype(np.uint8) if picture.has_matte else labels)
    return Entry(Size(*labels.shape), boxes, picture.has_matte)


def _boxes(labels: np.ndarray) -> dict[int, Box]:
    boxes = {}
    for object_id in np.unique(labels[labels > 0]):
        mask = (labels == object_id).astype(np.uint8)
        x, y, width, height = cv2.boundingRect(mask)
        boxes[int(object_id)] = Box(x, y, width, height, int(mask.sum()))
    return boxes


def _is_plain(picture: SourcePicture) -> bool:
    """Whether most of the border has one color: an object rendered on a plain background."""
    rgb = picture.rgb
    border = np.concatenate([rgb[0], rgb[-1], rgb[:, 0], rgb[:, -1]]).astype(np.float32)
    distance = np.abs(border - np.median(border, 0)).max(1)
    return float((distance < _PLAIN_LEVELS).mean()) > _PLAIN_SHARE
