"""What the stock mask editor leaves behind, read and checked."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import torch

if TYPE_CHECKING:
    from torch import Tensor


@dataclass(frozen=True)
class Drawn:
    """Objects that a preview draws over a frame."""

    object_ids: tuple[int, ...]
    colors: Mapping[int, tuple[int, int, int]]


PAINTED_BELOW = 128
"""Alpha under which a pixel is painted: the editor stores 0 there, 255 elsewhere, soft edges."""
SAME_LEVELS = 2
"""Grey levels by which a channel may differ on the same picture."""
OTHER_PICTURE = 0.02
"""Share of unpainted pixels that may differ: more, and it is another picture."""


def painted_mask(path: Path, frame: Tensor, drawn: Drawn, frame_index: int) -> Tensor:
    """(H, W) bool mask painted over a frame.

    Args:
        path: the RGBA picture that the mask editor saved.
        frame: (H, W, 3) uint8 of the frame.
        drawn: objects that may have been drawn over the frame while it was painted.
        frame_index: the frame, for messages.

    Raises:
        InputError: it was painted on another picture, or nothing is painted.
        FormatError: the file is no picture.
    """
    from ..xmempp_core import InputError

    colors, alpha = _read(path)
    height, width = frame.shape[:2]
    again = f"Empty the field image, run, and paint frame {frame_index} again"
    if tuple(alpha.shape) != (height, width):
        raise InputError(
            f"the paint {path.name} is {alpha.shape[1]}x{alpha.shape[0]}, but frame {frame_index} "
            f"is {width}x{height}: it belongs to another clip. {again}"
        )
    unpainted = alpha == 255
    foreign = unpainted & ~_shows(colors, frame, drawn)
    if foreign.sum() > OTHER_PICTURE * unpainted.sum():
        raise InputError(
            f"the paint {path.name} was made on another picture than frame {frame_index}: "
            f"set frame_index back to the frame that was painted, or: {again}"
        )
    mask = alpha < PAINTED_BELOW
    if not mask.any():
        raise InputError(
            f"nothing is painted in {path.name}. {again}; "
            "to say that the object is not on this frame, switch on absent"
        )
    return mask


def _read(path: Path) -> tuple[Tensor, Tensor]:
    """(H, W, 3) and (H, W) uint8: colors and alpha."""
    import numpy as np
    from PIL import Image, UnidentifiedImageError

    from ..xmempp_core import FormatError

    try:
        with Image.open(path) as picture:
            pixels = torch.from_numpy(np.array(picture.convert("RGBA")))
    except (UnidentifiedImageError, OSError) as error:
        raise FormatError(path, "is no picture; empty the field image and paint again") from error
    return pixels[..., :3], pixels[..., 3]


def _shows(colors: Tensor, frame: Tensor, drawn: Drawn) -> Tensor:
    """(H, W) bool: pixels that show the frame, bare or with one of the objects over it."""
    from ..xmempp_core import display_color, draw_overlay

    same = _near(colors, frame)
    for object_id in drawn.object_ids:
        everywhere = torch.full(frame.shape[:2], object_id, dtype=torch.uint8)
        tinted = draw_overlay(frame, everywhere, drawn.colors)
        line = torch.tensor(display_color(object_id, drawn.colors))
        same |= _near(colors, tinted) | _near(colors, line)
    return same


def _near(colors: Tensor, others: Tensor) -> Tensor:
    return (colors.int() - others.int()).abs().amax(-1) <= SAME_LEVELS
