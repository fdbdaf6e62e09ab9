"""Packing training data into one file that travels."""

from __future__ import annotations

import io
import os
import zipfile
from pathlib import Path

import cv2
import numpy as np
from PIL import Image

from ..errors import FormatError
from .folders import LICENSE_FILE, PICTURE_FOLDERS
from .sources import SourceFilter, SourcePicture, SourceSet, read_sources

JPEG_QUALITY = 85


def pack(
    source: str | Path,
    target: str | Path,
    choice: SourceFilter | None = None,
    *,
    short_side_pixels: int = 288,
) -> int:
    """Writes the usable pictures of a data folder as one .zip; its size in bytes.

    Pictures become JPEG of a short side, masks and mattes PNG; the licenses go with them.

    Args:
        source: folder as `read_sources` takes it.
        target: .zip file, replaced if it exists.
        choice: which sets to leave out, and their licenses.
        short_side_pixels: larger pictures are shrunk to this.

    Raises:
        FormatError: nothing usable is there, or the file cannot be written.
    """
    sets = read_sources(source, choice, short_side_pixels=short_side_pixels)
    target = Path(target)
    temporary = target.with_name(f".{target.name}.{os.getpid()}.part")
    try:
        with zipfile.ZipFile(temporary, "w") as archive:  # the pictures are compressed already
            for one in sets:
                archive.writestr(f"{one.name}/{LICENSE_FILE}", one.license + "\n")
                for picture in one.pictures:
                    _add(archive, one, picture)
        temporary.replace(target)
    except OSError as error:
        problem = f"cannot be written ({error.strerror or error}); check folder and space"
        raise FormatError(target, problem) from error
    finally:
        temporary.unlink(missing_ok=True)
    return target.stat().st_size


def _add(archive: zipfile.ZipFile, one: SourceSet, picture: SourcePicture) -> None:
    stem = Path(picture.name).name
    bgr = cv2.cvtColor(picture.rgb, cv2.COLOR_RGB2BGR)
    encoded = cv2.imencode(".jpg", bgr, [cv2.IMWRITE_JPEG_QUALITY, JPEG_QUALITY])[1]
    archive.writestr(f"{one.name}/{PICTURE_FOLDERS[one.kind]}/{stem}.jpg", encoded.tobytes())
    if one.kind != "background":
        archive.writestr(f"{one.name}/masks/{stem}.png", _png(picture.labels))


def _png(labels: np.ndarray) -> bytes:
    buffer = io.BytesIO()
    Image.fromarray(labels).save(buffer, "PNG")
    return buffer.getvalue()
