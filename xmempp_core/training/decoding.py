"""One training picture out of its file: decoded, and shrunk."""

from __future__ import annotations

import zipfile
import zlib

import cv2
import numpy as np
from PIL import Image

from ..errors import FormatError
from ..types import STRIDE
from .folders import Place

_UNREADABLE = (
    *(OSError, ValueError, SyntaxError, Image.DecompressionBombError, cv2.error),
    *(zipfile.BadZipFile, zlib.error),
)
"""What reading and decoding a broken file raises."""

_EDGE_PIXELS = 3.0
"""Spread of the colors at the edge of a cut-out into its transparent pixels."""

_MATTE_MODES = {"P", "1", "L", "I;16", "I;16B", "I"}

_MOST_VALUES = 32
"""Values of a label map with white in it; beyond them its grays are soft edges, not objects."""


def read_bgr(picture: Place) -> np.ndarray:
    """(H, W, 3) uint8 color, an alpha channel dropped."""
    try:
        encoded = np.frombuffer(picture.read_bytes(), np.uint8)
        bgr = cv2.imdecode(encoded, cv2.IMREAD_COLOR) if encoded.size else None
    except _UNREADABLE as error:
        raise FormatError(picture.name, _undecoded("picture", error)) from error
    if bgr is None:
        raise FormatError(picture.name, "the picture cannot be decoded")
    return bgr


def read_rgba(picture: Place) -> tuple[np.ndarray, np.ndarray | None]:
    """Color, and the alpha channel where there is one."""
    try:
        with picture.open("rb") as file:
            image = Image.open(file)
            has_alpha = image.has_transparency_data
            four = np.array(image.convert("RGBA"))
    except _UNREADABLE as error:
        raise FormatError(picture.name, _undecoded("picture", error)) from error
    return four[..., :3], four[..., 3] if has_alpha else None


def read_matte(mask: Place) -> np.ndarray:
    """(H, W) uint8 alpha of a matte of 8 or 16 bits; label maps become black and white."""
    try:
        with mask.open("rb") as file:
            image = Image.open(file)
            mode = image.mode
            matte = np.array(image if mode in _MATTE_MODES else image.convert("L"))
    except _UNREADABLE as error:
        raise FormatError(mask.name, _undecoded("matte", error)) from error
    if matte.dtype.itemsize > 1:
        matte = matte // 257
    if mode == "P" or matte.max(initial=0) <= 1:
        matte = (matte > 0) * 255
    return matte.astype(np.uint8)


def read_labels(mask: Place) -> np.ndarray:
    """(H, W) uint8 label map; black and white becomes 0 and 1."""
    try:
        with mask.open("rb") as file:
            image = Image.open(file)
            labels = np.array(image if image.mode in ("P", "L", "1") else image.convert("L"))
    except _UNREADABLE as error:
        raise FormatError(mask.name, _undecoded("mask", error)) from error
    labels = labels.astype(np.uint8)
    values = set(np.unique(labels).tolist())
    if 255 in values and len(values) > _MOST_VALUES:
        wanted = "expected a label map, or black and white without soft edges"
        raise FormatError(mask.name, f"the mask has {len(values)} levels of gray; {wanted}")
    return labels // 255 if values <= {0, 255} else labels


def shrink_cutout(
    rgb: np.ndarray, alpha: np.ndarray, size: tuple[int, int]
) -> tuple[np.ndarray, np.ndarray]:
    """Color and alpha at (width, height); transparent pixels take the color of the nearest edge.

    Interpolated colors at the edge are then the object's, without a fringe of what lay behind it.
    """
    coverage = (alpha / np.float32(255))[..., None]
    premultiplied = np.concatenate([rgb * coverage, coverage], 2, dtype=np.float32)  # (H, W, 4)
    four: np.ndarray = cv2.resize(premultiplied, size, interpolation=cv2.INTER_AREA)
    spread = cv2.GaussianBlur(four, (0, 0), _EDGE_PIXELS)
    nearest = np.where(four[..., 3:] > 0.02, four, spread)
    color = nearest[..., :3] / np.maximum(nearest[..., 3:], 1e-5)
    color = np.where(nearest[..., 3:] > 1e-4, color, 128)
    shrunk = (four[..., 3] * 255).round()
    return color.round().clip(0, 255).astype(np.uint8), shrunk.astype(np.uint8)


def shrunk_size(picture: Place, shape: tuple[int, ...], short_side_pixels: int) -> tuple[int, int]:
    """(width, height) with a short side of at most so many pixels."""
    if min(shape) < STRIDE:
        raise FormatError(picture.name, f"the picture has a side of less than {STRIDE} pixels")
    scale = min(1.0, short_side_pixels / min(shape))
    return round(shape[1] * scale), round(shape[0] * scale)


def _undecoded(what: str, error: Exception) -> str:
    return f"the {what} cannot be decoded ({' '.join(str(error).split())})"
