"""Contact sheets: small pictures of a shot side by side, with their frame numbers."""

from __future__ import annotations

import math
from collections.abc import Collection, Iterable, Sequence

import cv2
import numpy as np
import torch
from numpy.typing import NDArray
from PIL import Image, ImageDraw, ImageFont
from torch import Tensor

from ..errors import InputError
from ..track.track import Track
from ..types import FrameSource
from .overlays import draw_overlay, to_uint8

_BACKGROUND = (24, 24, 26)
_FRAME_LINE = (58, 58, 62)
_TEXT = (236, 236, 238)
_MARK = (255, 178, 36)
_PLATE = (16, 16, 18, 200)
_TILE_WIDTH_PIXELS = 480
_GAP_PIXELS = 14
_MARK_TEXT = "annotated"


def track_contact_sheet(track: Track, source: FrameSource, *, count: int = 12) -> Tensor:
    """(H, W, 3) uint8 sheet of overlays spread over a track, annotated frames marked.

    Args:
        track: of the source.
        source: the frames.
        count: how many, at most; annotated frames come first.
    """
    annotated = [i for i in track.annotations.frame_indices if i in track.frame_indices]
    indices = spread_frames(track.frame_indices, annotated, count)
    colors = track.annotations.colors
    pictures = (draw_overlay(source.frame(i), track.label_map(i), colors) for i in indices)
    marked = [position for position, i in enumerate(indices) if i in annotated]
    return contact_sheet(pictures, [track.frame_names[i] for i in indices], marked=marked)


def spread_frames(frames: Sequence[int], wanted: Sequence[int], count: int) -> list[int]:
    """At most `count` of the frames (ascending), evenly spread, each wanted one in place of the
    nearest."""
    count = min(count, len(frames))
    steps = max(count - 1, 1)
    chosen = {frames[round(k * (len(frames) - 1) / steps)] for k in range(count)}
    for frame in wanted:
        others = sorted(chosen - set(wanted))
        if frame not in chosen and others:
            chosen.remove(min(others, key=lambda other: abs(other - frame)))
            chosen.add(frame)
    return sorted(chosen)


def contact_sheet(
    pictures: Iterable[Tensor],
    names: Sequence[str],
    *,
    marked: Collection[int] = (),
    columns: int | None = None,
) -> Tensor:
    """(H, W, 3) uint8 sheet of pictures (H, W, 3), row by row, on a dark ground.

    Args:
        pictures: one for each name; read one at a time.
        names: burnt into the pictures.
        marked: positions of the pictures to mark as annotated.
        columns: pictures in a row; None = about as wide as a screen.

    Raises:
        InputError: there is no picture.
    """
    tiles = [
        burn_in(_shrunk(picture), name, marked=position in marked).numpy()
        for position, (picture, name) in enumerate(zip(pictures, names, strict=True))
    ]
    if not tiles:
        raise InputError("a contact sheet needs at least one picture")
    height, width = (max(tile.shape[side] for tile in tiles) for side in (0, 1))
    columns = min(len(tiles), columns or math.ceil(math.sqrt(len(tiles) * height / width * 16 / 9)))
    rows = math.ceil(len(tiles) / columns)
    step_y, step_x = height + _GAP_PIXELS, width + _GAP_PIXELS
    shape = (rows * step_y + _GAP_PIXELS, columns * step_x + _GAP_PIXELS, 3)
    sheet = np.full(shape, _BACKGROUND, np.uint8)
    for position, tile in enumerate(tiles):
        top = _GAP_PIXELS + position // columns * step_y
        left = _GAP_PIXELS + position % columns * step_x
        sheet[top : top + tile.shape[0], left : left + tile.shape[1]] = tile
    return torch.from_numpy(sheet)


def burn_in(picture: Tensor, text: str, *, marked: bool = False) -> Tensor:
    """(H, W, 3) uint8: the picture with a text on a dark plate in its lower left corner.

    A marked picture has a colored border and says that it is annotated.
    """
    image = Image.fromarray(to_uint8(picture).numpy())
    draw = ImageDraw.Draw(image, "RGBA")
    unit = max(11, round(min(image.size) / 15))  # height of the letters
    line = max(1, round(unit / 6)) if marked else 1
    last_x, last_y = image.width - 1, image.height - 1
    draw.rectangle((0, 0, last_x, last_y), outline=_MARK if marked else _FRAME_LINE, width=line)
    bottom = last_y - line - unit // 3
    end = _plate(draw, (line + unit // 3, bottom), text, unit, (_PLATE, _TEXT))
    if marked:
        _plate(draw, (end + unit // 4, bottom), _MARK_TEXT, unit, (_MARK, _BACKGROUND))
    return torch.from_numpy(np.array(image))


def _plate(
    draw: ImageDraw.ImageDraw,
    corner: tuple[int, int],
    text: str,
    unit: int,
    colors: tuple[tuple[int, ...], tuple[int, ...]],
) -> int:
    """Draw a text on a plate whose lower left corner is given; returns its right end."""
    font = ImageFont.load_default(unit)
    left, bottom = corner
    right = left + round(draw.textlength(text, font)) + unit
    top = bottom - round(1.5 * unit)
    draw.rounded_rectangle((left, top, right, bottom), unit // 4, fill=colors[0])
    draw.text(((left + right) // 2, (top + bottom) / 2), text, colors[1], font, anchor="mm")
    return right


def _shrunk(picture: Tensor) -> Tensor:
    """The picture at the width of a tile; smaller ones stay as they are."""
    pixels: NDArray = to_uint8(picture).numpy()
    height, width = pixels.shape[:2]
    if width <= _TILE_WIDTH_PIXELS:
        return torch.from_numpy(pixels)
    size = (_TILE_WIDTH_PIXELS, max(1, round(height * _TILE_WIDTH_PIXELS / width)))
    return torch.from_numpy(cv2.resize(pixels, size, interpolation=cv2.INTER_AREA))
