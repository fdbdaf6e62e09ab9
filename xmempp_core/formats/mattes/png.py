"""Mattes as PNG: gray, cut-outs, label maps. Values are data: never gamma-encoded."""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray
from torch import Tensor

from ...atomic import write_bytes
from ...errors import FormatError, InputError
from ..annotations.label_maps import write_label_map
from .fill import filled
from .picture import MattePicture, PictureOptions

_COMPRESSION_LEVEL = 4


def write_matte(path: str | Path, alpha: Tensor) -> None:
    """Write an alpha (H, W) float 0..1 as a 16-bit grey PNG, 65535 = 1."""
    write_bytes(path, _png(quantized(alpha.detach().cpu().double().numpy(), 16)))


def write_gray(path: Path, picture: MattePicture, options: PictureOptions) -> None:
    """One matte as gray of 8 or 16 bits."""
    alpha = picture.alpha.detach().cpu().double().numpy()
    write_bytes(path, _png(quantized(alpha, options.bits)))


def write_cutout(path: Path, picture: MattePicture, options: PictureOptions) -> None:
    """RGBA; straight alpha unless the options say otherwise, which PNG itself does not provide."""
    bgra = filled(picture, options)[..., [2, 1, 0, 3]]
    write_bytes(path, _png(quantized(bgra, options.bits)))


def write_labels(path: Path, picture: MattePicture, options: PictureOptions) -> None:
    """A palette PNG, index = object id."""
    if picture.labels is None:
        raise InputError("a label map needs the object ids of every pixel")
    write_label_map(path, picture.labels, picture.colors)


def quantized(values: NDArray[np.float64], bits: int) -> NDArray[np.uint8] | NDArray[np.uint16]:
    """Whole levels of values 0..1, the highest level = 1."""
    levels = np.rint(values.clip(0, 1) * (2**bits - 1))
    return levels.astype(np.uint8 if bits == 8 else np.uint16)


def _png(pixels: NDArray[np.uint8] | NDArray[np.uint16]) -> bytes:
    options = [cv2.IMWRITE_PNG_COMPRESSION, _COMPRESSION_LEVEL]
    done, data = cv2.imencode(".png", np.ascontiguousarray(pixels), options)
    if not done:
        raise FormatError("", f"a picture of {pixels.shape} cannot be written as PNG")
    return data.tobytes()
