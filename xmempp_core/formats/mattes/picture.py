"""What a writer of mattes is given for one frame."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from fractions import Fraction
from typing import Any

from torch import Tensor

from ...types import Size
from ..frames.time_codes import TimeCode

Color = tuple[int, int, int]


@dataclass(frozen=True, eq=False)
class MattePicture:
    """The mattes of one frame, as they go into one file or into one frame of a film."""

    alphas: Mapping[str, Tensor]
    """(H, W) float32 0..1 by layer name; one entry where the file is that of one matte."""
    labels: Tensor | None = None
    """(H, W) uint8 object ids, for label maps"""
    colors: Mapping[int, Color] = field(default_factory=dict)
    """RGB 0..255 by object id, for label maps"""
    plate: Tensor | None = None
    """(H, W, 3) uint8 or float32 display values 0..1, where the fill is the plate"""
    exr_header: Mapping[str, Any] = field(default_factory=dict)
    """windows, pixel aspect, time code and rate of the plate"""

    @property
    def alpha(self) -> Tensor:
        """The matte of a file that holds one."""
        (alpha,) = self.alphas.values()
        return alpha


@dataclass(frozen=True)
class PictureOptions:
    """How a format writes; each looks at what concerns it."""

    bits: int
    """of a value"""
    compression: str
    """of OpenEXR: a key of COMPRESSIONS there"""
    fill: str
    """colors under the matte: plate, white or black"""
    premultiplied: bool
    """whether the colors are multiplied by the matte"""


@dataclass(frozen=True)
class FilmFacts:
    """What a film is told before its first frame."""

    size: Size
    frame_rate: Fraction
    start_time_code: TimeCode
    """of the first frame"""
