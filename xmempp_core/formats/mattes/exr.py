"""Mattes as OpenEXR: one matte a file, or all in layers; half or float, losslessly compressed."""

from __future__ import annotations

from collections.abc import Mapping
from fractions import Fraction
from io import BytesIO
from pathlib import Path
from typing import Any

import numpy as np
import OpenEXR
from numpy.typing import NDArray

from ...atomic import write_bytes
from ...errors import FormatError
from ...types import Size
from ..frames.exr import ExrWindow, exr_attributes
from .exr_channels import window_size
from .picture import MattePicture, PictureOptions

COMPRESSIONS = {
    "zips": OpenEXR.ZIPS_COMPRESSION,
    "zip": OpenEXR.ZIP_COMPRESSION,
    "piz": OpenEXR.PIZ_COMPRESSION,
    "none": OpenEXR.NO_COMPRESSION,
}
"""The lossless ones; a lossy one would change what the matte says."""

_KEPT = ("pixelAspectRatio", "timeCode", "framesPerSecond")


def write_exr(path: Path, picture: MattePicture, options: PictureOptions) -> None:
    """Channel A of one matte, or `<layer>.A` of each where there are several or layers are asked.

    A layer name of "" is the file's own channel.
    """
    pixel = np.float16 if options.bits == 16 else np.float32
    channels = {
        f"{name}.A" if name else "A": alpha.detach().cpu().numpy().astype(pixel)
        for name, alpha in picture.alphas.items()
    }
    compression = COMPRESSIONS[options.compression]
    write_channels(path, channels, {"compression": compression, **picture.exr_header})


def write_channels(
    path: Path, channels: Mapping[str, NDArray[Any]], header: Mapping[str, Any]
) -> None:
    """A file of scan lines.

    Args:
        path: of the file.
        channels: (H, W) float16 or float32 by name.
        header: attributes.

    Raises:
        FormatError: it cannot be written: the disk is full, or the folder read-only.
    """
    file = OpenEXR.File({"type": OpenEXR.scanlineimage, **header}, dict(channels))
    # Not by its name: the last bytes of a file that a full disk cuts off are lost without an error.
    stream = BytesIO()
    file.write(stream)
    write_bytes(path, stream.getbuffer())


def plate_header(path: Path, size: Size, window: ExrWindow) -> dict[str, Any]:
    """What the mattes of an OpenEXR plate take over from it: windows and, where set, attributes.

    Args:
        path: of the plate.
        size: of the mattes.
        window: which of the plate's windows was read, and so is covered by the mattes.

    Raises:
        FormatError: the plate cannot be read, or its window has another size than the mattes.
    """
    header = exr_attributes(path)
    kept = {name: header[name] for name in _KEPT if name in header}
    covered = header[f"{window}Window"]
    if window_size(covered) != size:
        raise FormatError(path, f"has a {window} window of another size than the mattes, {size}")
    return {**kept, "displayWindow": header["displayWindow"], "dataWindow": covered}


def frame_rate_header(rate: Fraction | None) -> dict[str, Any]:
    """The attribute that says the frame rate; none where it is not known."""
    return {} if rate is None else {"framesPerSecond": rate}
