"""Reading one still: PNG, TIFF, JPEG, BMP, WebP through OpenCV, OpenEXR through its own library."""

from __future__ import annotations

from pathlib import Path
from typing import Any, NamedTuple

import cv2
import numpy as np
import torch
from PIL import Image
from torch import Tensor

from ...errors import FormatError
from ...types import Size
from .color import Colorspace, InputColorspace, to_display
from .exr import read_exr, read_exr_header

IMAGE_SUFFIXES = (".png", ".jpg", ".jpeg", ".tif", ".tiff", ".exr", ".bmp", ".webp")
"""What counts as an image, in lower case."""


class ImageHeader(NamedTuple):
    """What the first bytes of an image say."""

    size: Size
    """As stored, before any rotation that the metadata asks for."""
    has_alpha: bool


def is_image(path: Path) -> bool:
    """Whether the file's suffix is that of a readable image and the file is not hidden."""
    return path.suffix.lower() in IMAGE_SUFFIXES and not path.name.startswith(".")


def image_colorspace(path: Path, wanted: InputColorspace) -> Colorspace:
    """The color space itself, or for "auto" linear for OpenEXR and sRGB for all else."""
    if wanted != "auto":
        return wanted
    return "linear" if path.suffix.lower() == ".exr" else "srgb"


def read_image(path: Path, input_colorspace: InputColorspace = "auto") -> Tensor:
    """(H, W, 3) RGB: uint8 for 8-bit sRGB files, else float32 display values 0..1.

    Alpha is left out, without dividing by it. Grey becomes RGB.

    Raises:
        FormatError: the file cannot be read.
    """
    pixels = read_exr(path) if path.suffix.lower() == ".exr" else _read_with_opencv(path)
    return to_display(torch.from_numpy(pixels), image_colorspace(path, input_colorspace))


def read_image_header(path: Path) -> ImageHeader | None:
    """Size and alpha without decoding the pixels; None where only decoding can tell.

    Raises:
        FormatError: the file is not there or is no OpenEXR file in spite of its name.
    """
    if path.suffix.lower() == ".exr":
        return ImageHeader(*read_exr_header(path))
    try:
        with Image.open(path) as image:
            alpha = image.mode in ("RGBA", "LA", "PA") or "transparency" in image.info
            return ImageHeader(Size(image.height, image.width), alpha)
    except FileNotFoundError as error:
        raise FormatError(path, "does not exist") from error
    except (OSError, ValueError, SyntaxError, Image.DecompressionBombError):
        return None  # Pillow knows fewer kinds of TIFF than OpenCV, which has the last word


def _read_with_opencv(path: Path) -> np.ndarray[Any, Any]:
    try:
        data = np.fromfile(path, np.uint8)  # unlike cv2.imread, takes any name on Windows
    except OSError as error:
        raise FormatError(path, f"cannot be read ({error.strerror})") from error
    # no IMREAD_UNCHANGED: alpha is dropped, grey and palettes become color, EXIF rotation applies
    image = cv2.imdecode(data, cv2.IMREAD_COLOR | cv2.IMREAD_ANYDEPTH) if len(data) else None
    if image is None or _is_cut_jpeg(data):
        raise FormatError(
            path, "is not a readable image: it is damaged, cut off or of another kind"
        )
    if image.dtype not in (np.uint8, np.uint16, np.float32):
        raise FormatError(path, f"holds {image.dtype} pixels; write it with 8 or 16 bits a channel")
    return cv2.cvtColor(image, cv2.COLOR_BGR2RGB)


def _is_cut_jpeg(data: np.ndarray[Any, np.dtype[np.uint8]]) -> bool:
    """Whether a JPEG lacks its end marker: some decoders fill the rest with grey and say nothing.

    The last scan (FF DA) must be followed by an end (FF D9); neither occurs within a scan.
    """
    text = data.tobytes()
    return text.startswith(b"\xff\xd8") and text.rfind(b"\xff\xd9") < text.rfind(b"\xff\xda")
