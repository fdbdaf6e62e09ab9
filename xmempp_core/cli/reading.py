"""Arguments that say how frames are read."""

from __future__ import annotations

import argparse
from typing import get_args

from ..formats.frames.color import InputColorspace
from ..formats.frames.exr import ExrWindow
from ..formats.frames.open import open_frames
from ..types import FrameSource


def add_reading_arguments(parser: argparse.ArgumentParser) -> None:
    """What pixel values mean, and which part of OpenEXR files is the frame."""
    parser.add_argument(
        "--input-colorspace",
        default="auto",
        choices=get_args(InputColorspace),
        help="what pixel values mean (auto: EXR linear, else sRGB)",
    )
    add_window_argument(parser)


def add_window_argument(parser: argparse.ArgumentParser) -> None:
    """Which part of OpenEXR files is the frame."""
    parser.add_argument(
        "--exr-window",
        default="display",
        choices=get_args(ExrWindow),
        help="what of OpenEXR files is the frame: their display window, or their data window, "
        "overscan included",
    )


def frames_from(options: argparse.Namespace) -> FrameSource:
    """The frames that the arguments name."""
    return open_frames(
        options.frames,
        input_colorspace=getattr(options, "input_colorspace", "auto"),
        exr_window=options.exr_window,
    )
