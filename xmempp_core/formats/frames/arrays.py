"""Frames that are already in memory, as a FrameSource."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from fractions import Fraction
from functools import cached_property

import torch
from torch import Tensor

from ...errors import InputError, ShapeError
from ...types import Size
from .color import Colorspace, InputColorspace, check_colorspace, to_display
from .fingerprints import fingerprint_array
from .numbering import POSITION_DIGITS, check_position

log = logging.getLogger(__name__)


class ArrayFrames:
    """The frames of a tensor, numbered by position; they are not copied.

    Args:
        frames: (T, H, W, 3) uint8, uint16 or floating point (nominal 0..1) on any device; a fourth
            channel is taken for alpha and ignored.
        input_colorspace: what the values mean; "auto" is sRGB.

    Raises:
        ShapeError: the shape is another.
        InputError: there is no frame, or the type is another.
    """

    def __init__(self, frames: Tensor, input_colorspace: InputColorspace = "auto") -> None:
        check_colorspace(input_colorspace)
        if frames.ndim != 4 or frames.shape[-1] not in (3, 4):
            raise ShapeError("frames", "(T, H, W, 3)", tuple(frames.shape))
        if not all(frames.shape):
            raise InputError(
                f"frames of shape {tuple(frames.shape)} hold no pixel; give at least one"
            )
        if not (frames.dtype in (torch.uint8, torch.uint16) or frames.is_floating_point()):
            raise InputError(
                f"frames are of type {frames.dtype}; allowed are uint8, uint16 and floating point"
            )
        if frames.shape[-1] == 4:
            log.info("frames have an alpha channel; it is ignored")
        self._frames = frames.detach()
        self._colorspace: Colorspace = "srgb" if input_colorspace == "auto" else input_colorspace

    def __len__(self) -> int:
        return len(self._frames)

    def __iter__(self) -> Iterator[Tensor]:
        return (self.frame(i) for i in range(len(self)))

    @property
    def size(self) -> Size:
        """Size of every frame."""
        return Size(self._frames.shape[1], self._frames.shape[2])

    @property
    def frame_rate(self) -> Fraction | None:
        """None: an array does not say."""
        return None

    @cached_property
    def fingerprint(self) -> str:
        """Hash of the values, in large arrays of every n-th row (see `fingerprints`)."""
        return fingerprint_array(self._frames, facts=self._colorspace)

    def frame(self, index: int) -> Tensor:
        """(H, W, 3) RGB on the CPU: uint8 (a view of the array) or float32 display values 0..1."""
        check_position(index, len(self))
        return to_display(self._frames[index, :, :, :3].cpu(), self._colorspace)

    def number(self, index: int) -> int:
        """The position."""
        check_position(index, len(self))
        return index

    def name(self, index: int) -> str:
        """The position in five digits."""
        return f"{self.number(index):0{POSITION_DIGITS}d}"
