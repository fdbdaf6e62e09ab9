"""The colors under a matte: the plate, white or black; straight or premultiplied."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from torch import Tensor

from ...errors import InputError
from .picture import MattePicture, PictureOptions

FILLS = ("plate", "white", "black")


def filled(picture: MattePicture, options: PictureOptions) -> NDArray[np.float64]:
    """(H, W, 4) RGBA 0..1: colors as the options say, the matte beside them."""
    alpha = picture.alpha.detach().cpu().double().clamp(0, 1).numpy()
    rgba = np.empty((*alpha.shape, 4))
    rgba[..., :3] = _colors(picture, options)
    if options.premultiplied:
        rgba[..., :3] *= alpha[..., None]
    rgba[..., 3] = alpha
    return rgba


def _colors(picture: MattePicture, options: PictureOptions) -> NDArray[np.float64] | float:
    if options.fill != "plate":
        return {"white": 1.0, "black": 0.0}[options.fill]
    if picture.plate is None:
        raise InputError("the fill is the plate, but there are no frames; give them with --frames")
    return _display(picture.plate)


def _display(plate: Tensor) -> NDArray[np.float64]:
    pixels = plate.detach().cpu().numpy()
    return pixels.astype(np.float64) / (255.0 if pixels.dtype == np.uint8 else 1.0)
