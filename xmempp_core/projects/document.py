"""A revision of an annotator project: which masks lie on which frames, and what they speak of."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Any

from ..annotations import AbsenceRange

DOCUMENT_VERSION = 1
MAX_PROJECT_OBJECT_ID = 254
"""255 marks the pixels of a mask of which nothing is said."""
VOID = 255


@dataclass(frozen=True)
class ProjectObject:
    """An object of the shot, as the artist's list shows it."""

    object_id: int
    """1..254"""
    name: str
    color: str
    """"#rrggbb", lower case"""
    locked: bool = False
    """Locked objects are not painted over."""
    visible: bool = True
    """Whether it is drawn; what is not drawn is delivered all the same."""

    @property
    def rgb(self) -> tuple[int, int, int]:
        """The color, RGB 0..255."""
        red, green, blue = bytes.fromhex(self.color[1:])
        return red, green, blue


@dataclass(frozen=True)
class FrameSaid:
    """What is said of one frame."""

    mask: str
    """Name of the label map; "" where no object is listed."""
    object_ids: tuple[int, ...]
    """Objects that the map speaks of, ascending; others are predicted."""
    absent_ids: tuple[int, ...] = ()
    """Objects that are said not to be here, ascending."""


@dataclass(frozen=True, eq=False)
class Document:
    """One revision; equal ones have the same JSON."""

    source: str
    """Key of the clip that it was painted on; "" = not known."""
    objects: tuple[ProjectObject, ...] = ()
    """In the order of the list."""
    frames: Mapping[int, FrameSaid] = field(default_factory=dict)
    """By frame index in the shot."""
    absences: tuple[AbsenceRange, ...] = ()
    frame_range: tuple[int, int] | None = None
    """First and last frame to propagate over; None = all."""
    parent: str = ""
    """Name of the revision before; "" = the first."""

    def __post_init__(self) -> None:
        ordered = {index: self.frames[index] for index in sorted(self.frames)}
        object.__setattr__(self, "frames", MappingProxyType(ordered))

    @property
    def mask_names(self) -> frozenset[str]:
        """Names of all label maps."""
        return frozenset(said.mask for said in self.frames.values() if said.mask)

    @property
    def object_ids(self) -> tuple[int, ...]:
        """Ids of the objects in the order of the list."""
        return tuple(one.object_id for one in self.objects)

    def to_dict(self) -> dict[str, Any]:
        """What JSON holds; `parse_document` reads it back."""
        return {
            "version": DOCUMENT_VERSION,
            "source": self.source,
            "parent": self.parent,
            "objects": [
                {
                    "id": one.object_id,
                    "name": one.name,
                    "color": one.color,
                    "locked": one.locked,
                    "visible": one.visible,
                }
                for one in self.objects
            ],
            "annotations": {
                str(index): {
                    "mask": said.mask,
                    "objects": list(said.object_ids),
                    "absent": list(said.absent_ids),
                }
                for index, said in self.frames.items()
            },
            "absent_ranges": [
                {"object": one.object_id, "first": one.first_frame, "last": one.last_frame}
                for one in self.absences
            ],
            "range": None if self.frame_range is None else list(self.frame_range),
        }

    def to_json(self) -> bytes:
        """UTF-8 JSON, the same bytes for the same content."""
        return json.dumps(self.to_dict(), ensure_ascii=False, separators=(",", ":")).encode()
