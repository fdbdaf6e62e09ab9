"""Label maps drawn over frames.

Frames are (H, W, 3) RGB, uint8 or float 0..1; label maps (H, W) uint8 object ids.
"""

from __future__ import annotations

from collections.abc import Mapping

import cv2
import numpy as np
import torch
from torch import Tensor

from ..errors import ShapeError
from ..formats.annotations.label_maps import PALETTE
from ..formats.annotations.png_pixels import Color
from ..formats.annotations.soft_edges import Pixels
from ..types import Size

_FILL_OPACITY = 0.42


def display_color(object_id: int, colors: Mapping[int, Color] | None = None) -> Color:
    """RGB color in which an object is shown: its own, else the palette's, lifted.

    The palette's darker half would drown in a picture; the lift keeps its colors apart.
    """
    if colors and object_id in colors:
        return colors[object_id]
    red, green, blue = (round(255 * (channel / 255) ** 0.3) for channel in PALETTE[object_id])
    return red, green, blue


def draw_overlay(
    frame: Tensor, labels: Tensor, colors: Mapping[int, Color] | None = None
) -> Tensor:
    """(H, W, 3) uint8: the frame with each object filled translucently and outlined crisply.

    Args:
        frame: (H, W, 3).
        labels: (H, W) object ids.
        colors: by id, in place of `display_color`.

    Raises:
        ShapeError: frame and labels differ in size.
    """
    if frame.shape[:2] != labels.shape:
        raise ShapeError("label map", str(Size(*frame.shape[:2])), str(Size(*labels.shape)))
    picture, ids = to_uint8(frame).numpy().copy(), labels.cpu().numpy()
    line_pixels = max(1, round(min(ids.shape) / 360))
    left, top, width, height = cv2.boundingRect(ids)
    # One more line around the objects, so that their outermost pixels have a neighbor.
    rows = slice(max(top - line_pixels, 0), top + height + line_pixels)
    columns = slice(max(left - line_pixels, 0), left + width + line_pixels)
    if width:
        table = np.array([display_color(i, colors) for i in range(256)], np.uint8)
        _draw(picture[rows, columns], ids[rows, columns], table, line_pixels)
    return torch.from_numpy(picture)


def _draw(picture: Pixels, ids: Pixels, table: Pixels, line_pixels: int) -> None:
    """Fill and outline the objects in a picture, in place."""
    paint = table[ids]
    filled = cv2.addWeighted(picture, 1 - _FILL_OPACITY, paint, _FILL_OPACITY, 0)
    box = cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (2 * line_pixels + 1,) * 2)
    # Beyond the picture nothing counts: an object cut by its border has no line there.
    line = cv2.dilate(ids, box) != cv2.erode(ids, box)
    np.copyto(picture, np.where(line[..., None], paint, filled), where=(ids > 0)[..., None])


def to_uint8(frame: Tensor) -> Tensor:
    """(H, W, 3) uint8 on the CPU of a frame that is uint8 or float 0..1."""
    frame = frame.detach().cpu()
    if frame.dtype == torch.uint8:
        return frame
    return (frame.float().clamp(0, 1) * 255).round().to(torch.uint8)
