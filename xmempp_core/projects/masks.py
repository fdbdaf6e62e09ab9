"""The label maps of a project: gray PNGs whose values are object ids."""

from __future__ import annotations

import cv2
import numpy as np
from numpy.typing import NDArray

from ..errors import FormatError, InputError
from ..formats.annotations.png_pixels import png_pixels

MAX_MASK_BYTES = 64 * 2**20
"""Bytes of a picture from outside; a label map of 8K has a few."""

LabelPixels = NDArray[np.uint8]


def mask_from_png(data: bytes) -> LabelPixels:
    """(H, W) uint8 object ids of a PNG that a canvas or a program wrote.

    Gray, gray with alpha, or colors whose three channels agree, as of a canvas.

    Raises:
        InputError: it is no PNG, is damaged, too large, or colored.
    """
    if len(data) > MAX_MASK_BYTES:
        raise InputError(
            f"the mask has {len(data)} bytes, allowed is at most {MAX_MASK_BYTES}; "
            "send a PNG at the size of the frames"
        )
    try:
        values = png_pixels(data, "mask").values
    except FormatError as error:
        raise InputError(f"the mask {error.problem}") from error
    if values.ndim == 3:
        if (values != values[..., :1]).any():
            raise InputError("the mask is colored; send gray values, 0 = background, else the id")
        values = values[..., 0]
    if values.dtype != np.uint8:
        raise InputError("the mask has 16 bits a pixel; send 8 bits, the value is the object's id")
    return np.ascontiguousarray(values)


def mask_to_png(labels: LabelPixels) -> bytes:
    """The gray 8-bit PNG of a label map (H, W) uint8."""
    _, data = cv2.imencode(".png", labels, [cv2.IMWRITE_PNG_COMPRESSION, 4])
    return data.tobytes()
