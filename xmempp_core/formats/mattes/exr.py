"""Mattes as OpenEXR: one matte a file, or all in layers; half or float, losslessly compressed."""

from __future__ import annotations

from collections.abc import Mapping
from fractions import Fraction
from pathlib import Path
from typing import Any

import numpy as np
import OpenEXR
from numpy.typing import NDArray

from ...atomic import replacing
from ...errors import FormatError
from ...types import Size
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
    """
    with replacing(path) as temporary:
        file = OpenEXR.File({"type": OpenEXR.scanlineimage, **header}, dict(channels))
        file.write(str(temporary))


def plate_header(path: Path, size: Size) -> dict[str, Any]:
    """What the mattes of an OpenEXR plate take over from it: windows and, where set, attributes.

    The mattes cover the plate's data window where they are of its size, else its display window.

    Raises:
        FormatError: the plate cannot be read.
    """
    try:
        header = OpenEXR.File(str(path), separate_channels=True, header_only=True).header()
    except Exception as error:  # the binding raises RuntimeError, ValueError and its own
        raise FormatError(path, f"cannot be read as OpenEXR ({error})") from error
    kept = {name: header[name] for name in _KEPT if name in header}
    display, data = header["displayWindow"], header["dataWindow"]
    covered = data if _size_of(data) == size else display
    if _size_of(covered) != size:
        return kept
    return {**kept, "displayWindow": display, "dataWindow": covered}


def frame_rate_header(rate: Fraction | None) -> dict[str, Any]:
    """The attribute that says the frame rate; none where it is not known."""
    return {} if rate is None else {"framesPerSecond": rate}


def _size_of(window: tuple[Any, Any]) -> Size:
    (left, top), (right, bottom) = window
    return Size(int(bottom - top) + 1, int(right - left) + 1)
