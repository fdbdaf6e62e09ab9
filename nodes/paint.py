"""What the stock mask editor leaves behind: read, and held to the frame it was painted on."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import torch

from .painted_on import PaintedOn, clip_bytes, read_mark

if TYPE_CHECKING:
    from torch import Tensor

    from .convert import LinkedFrames


@dataclass(frozen=True)
class Drawn:
    """Objects that a preview draws over a frame."""

    object_ids: tuple[int, ...]
    colors: Mapping[int, tuple[int, int, int]]


@dataclass(frozen=True)
class Canvas:
    """The frame that is to be painted on."""

    clip: LinkedFrames
    frame_index: int
    object_id: int
    """The object that the paint is of."""
    drawn: Drawn
    """Objects that may have been drawn over the frame while it was painted."""

    @property
    def mark(self) -> PaintedOn:
        """What is written into the picture that is shown for painting."""
        position = self.clip.position(self.frame_index)
        return PaintedOn(clip_bytes(self.clip.whole_fingerprint), position, self.object_id)


@dataclass(frozen=True)
class Painted:
    """Paint that is of its frame."""

    mask: Tensor
    """(H, W) bool at the size of the frames."""
    notice: str
    """What the artist must know: the plate has changed, ...; "" where there is nothing to say."""


PAINTED_BELOW = 128
"""Alpha under which a pixel is painted: the editor stores 0 there, 255 elsewhere, soft edges."""
SAME_LEVELS = 2
"""Levels by which a channel may differ on the same picture."""
OTHER_PICTURE = 0.02
"""Share of unpainted pixels that may differ: more, and it is another picture."""


def painted_mask(path: Path, canvas: Canvas) -> Painted:
    """The mask painted over a frame, scaled where the plate has another size by now.

    Args:
        path: the RGBA picture that the mask editor saved.
        canvas: the frame that it is to annotate.

    Raises:
        InputError: it was painted on another frame, or nothing is painted.
        ShapeError: the frames have other proportions.
        FormatError: the file is no picture.
    """
    from ..xmempp_core import InputError, fit_masks

    colors, alpha = _read(path)
    mask = alpha < PAINTED_BELOW
    if not mask.any():
        raise InputError(
            f"nothing is painted in {path.name}. {_again(canvas)}; "
            "to say that the object is not on this frame, switch on absent"
        )
    notice = _checked(_Paint(path.name, colors, alpha == 255), canvas)
    what = f"the paint {path.name} on frame {canvas.frame_index}"
    return Painted(fit_masks(mask, canvas.clip.size, what), notice)


@dataclass(frozen=True, eq=False)
class _Paint:
    """A painted picture."""

    name: str
    colors: Tensor
    """(H, W, 3) uint8, under the paint too."""
    unpainted: Tensor
    """(H, W) bool: pixels without any paint."""

    @property
    def size(self) -> str:
        """Width and height."""
        height, width = self.unpainted.shape
        return f"{width}x{height}"

    def shows(self, canvas: Canvas, frame_index: int) -> bool:
        """Whether it was made on this picture of the clip, bare or with objects drawn over it."""
        from ..xmempp_core import to_uint8

        if tuple(self.unpainted.shape) != tuple(canvas.clip.size):
            return False
        frame = to_uint8(canvas.clip.frame(frame_index))
        foreign = self.unpainted & ~_shows(self.colors, frame, canvas.drawn)
        return bool(foreign.sum() <= OTHER_PICTURE * self.unpainted.sum())


def _checked(paint: _Paint, canvas: Canvas) -> str:
    """What is to be said about paint that is kept; raises InputError for that of another frame."""
    made, here = read_mark(paint.colors), canvas.mark
    if made is None:
        return _unmarked(paint, canvas)
    said = []
    if made.clip != here.clip:
        said.append(_of_other_clip(paint, made, canvas))
    elif made.position != here.position:
        raise _of_other_frame(paint, made, canvas)
    if made.object_id != here.object_id:
        said.append(
            f"the paint {paint.name} was made while object_id was {made.object_id}; "
            f"it is now object {here.object_id}."
        )
    return " ".join(filter(None, said))


def _unmarked(paint: _Paint, canvas: Canvas) -> str:
    """Paint of version 0.1.0, or of a browser that changes pictures: nothing says its frame."""
    if paint.shows(canvas, canvas.frame_index):
        return ""
    return (
        f"the paint {paint.name} ({paint.size}) was made on another picture than frame "
        f"{canvas.frame_index} shows ({_size(canvas)}), and does not say which: another version of "
        f"the clip, or another frame. It is kept as it is. To drop it: {_again(canvas)}."
    )


def _of_other_clip(paint: _Paint, made: PaintedOn, canvas: Canvas) -> str:
    """Paint of another version of the clip: kept, unless its frame is plainly another one."""
    same_picture = paint.shows(canvas, canvas.frame_index)
    if made.position == canvas.mark.position:
        if same_picture:
            return ""
        scaled = "" if paint.size == _size(canvas) else f", scaled from {paint.size}"
        return (
            f"frame {canvas.frame_index} looks different from when {paint.name} was painted on it: "
            f"the clip is another version or another clip. The paint is kept{scaled}. "
            f"To drop it: {_again(canvas)}."
        )
    index = canvas.clip.index_of(made.position)
    if not same_picture or (index is not None and paint.shows(canvas, index)):
        raise _of_other_frame(paint, made, canvas)
    return (
        f"the paint {paint.name} was made on frame {made.position} of another clip, which shows "
        f"what frame {canvas.frame_index} shows here. It is kept."
    )


def _of_other_frame(paint: _Paint, made: PaintedOn, canvas: Canvas) -> Exception:
    from ..xmempp_core import InputError

    index = canvas.clip.index_of(made.position)
    if index is None:
        return InputError(
            f"the paint {paint.name} was made on frame {made.position} of the whole clip, which "
            f"is not in frames: link the part that was painted, or: {_again(canvas)}"
        )
    return InputError(
        f"the paint {paint.name} was made on frame {index}, and frame_index is "
        f"{canvas.frame_index}: set frame_index to {index}, or: {_again(canvas)}"
    )


def _again(canvas: Canvas) -> str:
    return f"empty the field image, run this node, and paint frame {canvas.frame_index} again"


def _size(canvas: Canvas) -> str:
    return str(canvas.clip.size)


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
