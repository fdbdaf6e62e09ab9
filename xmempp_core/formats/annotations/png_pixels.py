"""The pixels of a label-map PNG as its file has them: nothing scaled, mixed or rounded."""

from __future__ import annotations

import io
import struct
from pathlib import Path
from typing import Any, NamedTuple

import cv2
import numpy as np
from numpy.typing import NDArray
from PIL import Image

from ...errors import FormatError

Color = tuple[int, int, int]

OPAQUE_FROM = 128
"""The least alpha, of 255, at which a pixel counts as painted."""
MAX_PIXELS = 1 << 27
"""Pixels of a map at most; a file of a few kilobytes can ask for any number."""

_SIGNATURE = b"\x89PNG\r\n\x1a\n"
_GRAY, _COLOR, _PALETTE, _GRAY_ALPHA, _COLOR_ALPHA = 0, 2, 3, 4, 6


class PngPixels(NamedTuple):
    """A decoded PNG."""

    values: NDArray[Any]
    """(H, W) unsigned grays or palette indices, or (H, W, 3) uint8 colors; 0 where transparent."""
    palette: tuple[Color, ...] | None
    """Color of each index; None where the values are no indices."""


def png_pixels(data: bytes, path: str | Path) -> PngPixels:
    """The pixels of a PNG file's bytes.

    Raises:
        FormatError: it is no PNG, is damaged, animated or too large, or its colors need 16 bits.
    """
    depth, kind = _header(data, path)
    if depth == 16 and kind != _GRAY:
        return PngPixels(_deep(data, path), None)
    pixels, palette, clear = _decoded(data, path)
    if kind == _PALETTE:
        return PngPixels(pixels, palette)
    if kind == _GRAY and depth in (2, 4):
        pixels = pixels // (255 // (2**depth - 1))  # Pillow spreads them over 0 to 255
    if kind in (_GRAY_ALPHA, _COLOR_ALPHA):
        pixels = _painted(pixels)
    elif clear is not None:
        is_clear = pixels == np.array(clear, pixels.dtype)
        pixels[is_clear.all(-1) if pixels.ndim == 3 else is_clear] = 0
    return PngPixels(pixels, None)


def _header(data: bytes, path: str | Path) -> tuple[int, int]:
    """Bits a sample and the kind of color."""
    if len(data) < 33 or not data.startswith(_SIGNATURE):
        raise FormatError(path, "is no PNG picture or is damaged; save the map again")
    width, height, depth, kind = struct.unpack(">IIBB", data[16:26])
    if width * height > MAX_PIXELS:
        problem = f"has {width} x {height} pixels; a map has at most {MAX_PIXELS}"
        raise FormatError(path, problem)
    return depth, kind


def _decoded(
    data: bytes, path: str | Path
) -> tuple[NDArray[Any], tuple[Color, ...] | None, int | Color | None]:
    """Pixels, palette, and the gray or color that counts as transparent."""
    try:
        with Image.open(io.BytesIO(data), formats=["PNG"]) as image:
            if getattr(image, "is_animated", False):
                raise FormatError(path, "is an animated PNG; save one picture for each frame")
            pixels, palette = np.array(image), None
            if image.mode == "P":
                channels = image.getpalette("RGB") or []
                palette = tuple(zip(*[iter(channels)] * 3, strict=True))
            clear = image.info.get("transparency")
    except (OSError, SyntaxError, ValueError) as error:
        if isinstance(error, FormatError):
            raise
        raise FormatError(path, "is no PNG picture or is damaged; save the map again") from error
    kind = np.uint8 if pixels.dtype == np.bool_ else pixels.dtype
    return pixels.astype(kind), palette, clear if isinstance(clear, (int, tuple)) else None


def _deep(data: bytes, path: str | Path) -> NDArray[Any]:
    """Pixels of 16 bits a channel, of which Pillow keeps the upper 8 alone."""
    pixels = cv2.imdecode(np.frombuffer(data, np.uint8), cv2.IMREAD_UNCHANGED)
    if pixels is None or pixels.dtype != np.uint16 or pixels.ndim != 3:
        raise FormatError(path, "is no PNG picture or is damaged; save the map again")
    channels = pixels[..., [2, 1, 0, *range(3, pixels.shape[2])]]
    if channels.shape[2] == 4:
        channels = np.where(channels[..., 3:] < OPAQUE_FROM * 257, 0, channels)[..., :3]
    if _kind(data) == _GRAY_ALPHA:
        return channels[..., 0]
    if (channels % 257).any():
        raise FormatError(path, "holds 16-bit colors that 8 bits cannot say; save it with 8 bits")
    return (channels // 257).astype(np.uint8)


def _kind(data: bytes) -> int:
    return data[25]


def _painted(pixels: NDArray[Any]) -> NDArray[Any]:
    """Grays or colors without their alpha, 0 where it is below half."""
    painted = np.where(pixels[..., -1:] < OPAQUE_FROM, 0, pixels[..., :-1])
    return painted[..., 0] if painted.shape[-1] == 1 else painted
