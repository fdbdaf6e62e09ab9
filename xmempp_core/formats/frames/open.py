"""open_frames: whatever holds the frames of a shot, as a FrameSource."""

from __future__ import annotations

import warnings
from os import PathLike
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from ...errors import FormatError, InputError
from ...paths import check_writable_text, path_kind, user_path
from ...types import FrameSource
from .arrays import ArrayFrames
from .color import InputColorspace, check_colorspace
from .exr import ExrWindow, check_window
from .images import is_image, read_image_header
from .listing import is_pattern
from .numbering import index_of_number, parse_range
from .picture_clips import open_animation, open_tiff_pages
from .sequences import open_folder, open_pattern, open_still
from .video import VideoFrames

__all__ = ["index_of_number", "open_frames", "parse_range"]


def open_frames(
    source: str | PathLike[str] | Tensor | np.ndarray[Any, Any],
    *,
    input_colorspace: InputColorspace = "auto",
    exr_window: ExrWindow = "display",
) -> FrameSource:
    """The frames of a shot, readable in any order.

    Args:
        source: a video file, an image (all its pictures if it is an animation or has pages), a
            folder of images, a sequence pattern (`plate.####.png`,
            `plate.%04d.png`, `plate.1001-1100####.png`) or an array (T, H, W, 3).
        input_colorspace: what the values mean: "srgb", "linear", "log", or "auto": linear for
            OpenEXR, sRGB for all else.
        exr_window: what of OpenEXR files is the frame: the "display" window, black where they hold
            no pixels, or the "data" window, overscan included.

    Raises:
        FormatError: the path is not there or holds no frames that can be read.
        InputError: the array, the color space or the window cannot be used.
    """
    check_colorspace(input_colorspace)
    check_window(exr_window)
    if isinstance(source, np.ndarray):
        source = _tensor(source)
    if isinstance(source, Tensor):
        return ArrayFrames(source, input_colorspace)
    if not isinstance(source, (str, PathLike)):
        kind = type(source).__name__
        raise InputError(
            f"frames cannot be read from a {kind}; give a path or an array (T, H, W, 3)"
        )
    return _open_path(user_path(source), input_colorspace, exr_window)


def _open_path(path: Path, input_colorspace: InputColorspace, exr_window: ExrWindow) -> FrameSource:
    kind = path_kind(path)
    if kind == "folder":
        return open_folder(path, input_colorspace, exr_window)
    if kind == "file" and is_image(path):
        return _open_image(path, input_colorspace, exr_window)
    if kind == "file":
        return VideoFrames(path, input_colorspace)
    if is_pattern(path):
        return open_pattern(path, input_colorspace, exr_window)
    raise FormatError(path, "does not exist")


def _open_image(
    path: Path, input_colorspace: InputColorspace, exr_window: ExrWindow
) -> FrameSource:
    """A shot of one frame, or of all the pictures in the file."""
    check_writable_text(path.stem, path)
    header = read_image_header(path)
    if header is None or header.pictures == 1:
        return open_still(path, input_colorspace, exr_window)
    suffix = path.suffix.lower()
    if suffix == ".webp":
        return open_animation(path, header, input_colorspace)
    if suffix in (".tif", ".tiff"):
        return open_tiff_pages(path, header, input_colorspace)
    return VideoFrames(path, input_colorspace)  # an animated PNG, 8 or 16 bits


def _tensor(array: np.ndarray[Any, Any]) -> Tensor:
    try:
        with warnings.catch_warnings():
            # frames are only read, so that an array that cannot be written does as well
            warnings.filterwarnings("ignore", "The given NumPy array is not writable")
            return torch.from_numpy(np.ascontiguousarray(array))
    except TypeError as error:
        raise InputError(
            f"frames are of type {array.dtype}; allowed are uint8, uint16 and floating point"
        ) from error
