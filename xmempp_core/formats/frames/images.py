"""Reading one still: PNG, JPEG, BMP, WebP through OpenCV; TIFF and OpenEXR through their own
libraries, since OpenCV multiplies 8-bit TIFF by its alpha and mixes up planar samples."""

from __future__ import annotations

import re
import warnings
from pathlib import Path
from typing import Any, NamedTuple

import cv2
import numpy as np
import torch
from PIL import Image
from torch import Tensor

from ...errors import FormatError
from ...paths import check_file
from ...types import Size
from .color import Colorspace, InputColorspace, to_display
from .exr import ExrWindow, read_exr, read_exr_header
from .limits import check_pixels, memory_for
from .tiff import read_tiff, read_tiff_header

IMAGE_SUFFIXES = (".png", ".jpg", ".jpeg", ".tif", ".tiff", ".exr", ".bmp", ".webp")
"""What counts as an image, in lower case."""

_TIFF_SUFFIXES = (".tif", ".tiff")
_ANIMATED_FORMATS = ("PNG", "WEBP")
"""Where further pictures are frames; in a JPEG they are previews and depth."""
_EXIF_ORIENTATION = 0x0112
_SIDEWAYS = (5, 6, 7, 8)
"""Orientations that exchange width and height."""


class ImageHeader(NamedTuple):
    """What the first bytes of an image say."""

    size: Size
    """As shown, that is after the rotation that the metadata asks for."""
    has_alpha: bool
    pictures: int = 1
    """Frames of an animation, pages of a TIFF."""


def is_image(path: Path) -> bool:
    """Whether the file's suffix is that of a readable image and the file is not hidden."""
    return path.suffix.lower() in IMAGE_SUFFIXES and not path.name.startswith(".")


def image_colorspace(path: Path, wanted: InputColorspace) -> Colorspace:
    """The color space itself, or for "auto" linear for OpenEXR and sRGB for all else."""
    if wanted != "auto":
        return wanted
    return "linear" if path.suffix.lower() == ".exr" else "srgb"


def read_image(
    path: Path, input_colorspace: InputColorspace = "auto", exr_window: ExrWindow = "display"
) -> Tensor:
    """(H, W, 3) RGB: uint8 for 8-bit sRGB files, else float32 display values 0..1.

    Alpha is left out, without dividing by it. Gray becomes RGB.

    Args:
        path: of the file.
        input_colorspace: what the values mean.
        exr_window: what of an OpenEXR file is the picture.

    Raises:
        FormatError: the file cannot be read, is too large or holds several pictures.
    """
    suffix = path.suffix.lower()
    if suffix == ".exr":
        pixels: np.ndarray[Any, Any] = read_exr(path, exr_window)
    else:
        check_single(path, read_image_header(path))
        pixels = read_tiff(path) if suffix in _TIFF_SUFFIXES else _read_with_opencv(path)
    return to_display(torch.from_numpy(pixels), image_colorspace(path, input_colorspace))


def read_image_header(path: Path, exr_window: ExrWindow = "display") -> ImageHeader | None:
    """Size, alpha and number of pictures without decoding; None where only decoding can tell.

    Raises:
        FormatError: the file is not there, is too large, or is no OpenEXR or TIFF file in spite of
            its name.
    """
    suffix = path.suffix.lower()
    if suffix == ".exr":
        return ImageHeader(*read_exr_header(path, exr_window))
    if suffix in _TIFF_SUFFIXES:
        return ImageHeader(*read_tiff_header(path))
    check_file(path)
    header = _header_by_pillow(path)
    if header is not None:
        check_pixels(path, header.size)
    return header


def check_single(path: Path, header: ImageHeader | None) -> None:
    """Raises FormatError where an image holds several pictures: one frame is one picture."""
    if header is not None and header.pictures > 1:
        raise FormatError(
            path,
            f"holds {header.pictures} pictures, where one frame is wanted; give this file alone "
            "as the clip, or write one file a frame",
        )


def _header_by_pillow(path: Path) -> ImageHeader | None:
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", Image.DecompressionBombWarning)
            with memory_for(path), Image.open(path) as image:
                return _header_of(image)
    except Image.DecompressionBombError as error:
        raise FormatError(path, f"is too large a picture to be read ({error})") from error
    except OSError as error:
        if error.errno is not None:  # Pillow raises it without a number for what it cannot parse
            raise FormatError(path, f"cannot be read ({error.strerror})") from error
        return None  # OpenCV has the last word
    except (ValueError, SyntaxError, KeyError, TypeError, IndexError, EOFError, OverflowError):
        return None


def _header_of(image: Image.Image) -> ImageHeader:
    alpha = image.mode in ("RGBA", "LA", "PA") or "transparency" in image.info
    size = Size(image.height, image.width)
    # Without "exif" in what is read already, Pillow would decode the picture to look for it.
    if "exif" in image.info and image.getexif().get(_EXIF_ORIENTATION) in _SIDEWAYS:
        size = Size(size.width, size.height)
    is_animated = image.format in _ANIMATED_FORMATS
    return ImageHeader(size, alpha, getattr(image, "n_frames", 1) if is_animated else 1)


def _read_with_opencv(path: Path) -> np.ndarray[Any, Any]:
    try:
        data = np.fromfile(path, np.uint8)  # unlike cv2.imread, takes any name on Windows
    except OSError as error:
        raise FormatError(path, f"cannot be read ({error.strerror})") from error
    try:
        with memory_for(path):
            image = _decode(data)
    except cv2.error as error:
        problem = f"is not a readable image ({error.err or error})"
        raise FormatError(path, problem) from error
    if image is None:
        raise FormatError(
            path, "is not a readable image: it is damaged, cut off or of another kind"
        )
    if image.dtype not in (np.uint8, np.uint16, np.float32):
        raise FormatError(path, f"holds {image.dtype} pixels; write it with 8 or 16 bits a channel")
    return image


def _decode(data: np.ndarray[Any, np.dtype[np.uint8]]) -> np.ndarray[Any, Any] | None:
    """(H, W, 3) RGB, None where the data is no whole picture."""
    if not len(data) or _is_cut_jpeg(data.tobytes()):
        return None
    # no IMREAD_UNCHANGED: alpha is dropped, gray and palettes become color, EXIF rotation applies
    image = cv2.imdecode(data, cv2.IMREAD_COLOR | cv2.IMREAD_ANYDEPTH)
    return None if image is None else cv2.cvtColor(image, cv2.COLOR_BGR2RGB)


_JPEG_START, _JPEG_SCAN, _JPEG_END = b"\xff\xd8", 0xDA, 0xD9
# Within a scan FF is followed by 00 or a restart marker; anything else ends the scan.
_AFTER_SCAN = re.compile(rb"\xff+([^\x00\xff\xd0-\xd7])")


def _is_cut_jpeg(data: bytes) -> bool:
    """Whether a JPEG ends before its end marker: some decoders fill the rest with gray silently.

    Segments are walked from marker to marker (ITU-T T.81, annex B), so that what follows the end
    (a second picture, a film, padding) and what lies inside a segment (a preview) do not count.
    """
    if not data.startswith(_JPEG_START):
        return False
    place = 2
    while place + 4 <= len(data) and data[place] == 0xFF:
        marker = data[place + 1]
        if marker == 0xFF:  # fill byte
            place += 1
            continue
        if marker == _JPEG_END:
            return False
        place += 2 + int.from_bytes(data[place + 2 : place + 4], "big")
        if marker == _JPEG_SCAN:
            after = _AFTER_SCAN.search(data, place)
            if after is None:
                return True
            place = after.start(1) - 1
    return data[place : place + 2] != b"\xff\xd9"
