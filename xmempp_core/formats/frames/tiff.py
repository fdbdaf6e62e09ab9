"""Reading TIFF pictures: any layout of samples, 1 to 16 bits, half, float; one or many pages."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from tifffile import COMPRESSION, PHOTOMETRIC, TiffFile, TiffPage

from ...errors import FormatError
from ...paths import check_file
from ...types import Size
from .limits import check_pixels, memory_for

_MAX_SAMPLES = 32
"""Samples of a pixel; more is damage or no picture."""
_COLORS = {"rgb": 3, "gray": 1}
"""Samples of a pixel's color."""
_SIDEWAYS = (5, 6, 7, 8)
"""Orientations that exchange width and height."""


class TiffHeader(NamedTuple):
    """What the tags of a file say."""

    size: Size
    """Of the first page, upright."""
    has_alpha: bool
    pages: int
    """Full pictures; previews and masks are not counted."""


def read_tiff_header(path: Path) -> TiffHeader:
    """Size, alpha and number of pages, without decoding.

    Raises:
        FormatError: the file is no TIFF, or a picture is too large.
    """
    with _pages(path) as pages:
        return TiffHeader(_checked_size(path, pages[0]), _has_alpha(pages[0]), len(pages))


def read_tiff(path: Path, page: int = 0) -> np.ndarray[Any, Any]:
    """(H, W, 3) uint8, uint16 or float32 RGB of a page, upright; alpha is left out.

    Raises:
        FormatError: the file cannot be read, or holds another kind of color or number.
    """
    with _pages(path) as pages:
        return _rgb(path, pages[page])


@contextmanager
def _pages(path: Path) -> Iterator[list[TiffPage]]:
    """The full pictures of an opened file."""
    check_file(path)
    try:
        with memory_for(path), TiffFile(path) as file:
            pages = [page.aspage() for page in file.pages]
            full = [page for page in pages if not (page.is_reduced or page.is_mask)]
            if not (full or pages):
                raise FormatError(path, "is not a readable image: the file holds no page")
            yield full or pages[:1]
    except (FormatError, MemoryError):
        raise
    except Exception as error:  # a damaged file raises whatever the parser then runs into
        cause = str(error).partition("\n")[0]
        raise FormatError(
            path, f"is not a readable image: it is damaged, cut off or of another kind ({cause})"
        ) from error


def read_tiff_samples(path: Path) -> np.ndarray[Any, Any]:
    """(H, W, 1 to 4) uint8, uint16 or float32 of the first page, upright.

    Gray or RGB, and alpha behind it where the page has it.

    Raises:
        FormatError: the file cannot be read, or holds another kind of color or number.
    """
    with _pages(path) as pages:
        page = pages[0]
        kind, samples = _decoded(path, page)
        colors = _colors(path, page, kind, samples)
        if _has_alpha(page) and kind != "palette":
            first = _COLORS[kind]
            alpha = _full_scale(path, page, samples[..., first : first + 1])
            colors = np.concatenate([colors, alpha], -1)
        return np.require(_upright(colors, _orientation(page)), requirements=["C", "W"])


def _rgb(path: Path, page: TiffPage) -> np.ndarray[Any, Any]:
    colors = _colors(path, page, *_decoded(path, page))
    rgb = np.broadcast_to(colors, (*colors.shape[:2], 3))
    return np.require(_upright(rgb, _orientation(page)), requirements=["C", "W"])


def _decoded(path: Path, page: TiffPage) -> tuple[str, np.ndarray[Any, Any]]:
    """The kind of color, and (H, W, S) samples as they are stored."""
    _checked_size(path, page)
    _check_whole(path, page)
    kind = _kind_of_color(path, page)
    samples = page.asarray()
    if page.axes not in ("YX", "YXS", "SYX"):
        raise FormatError(path, f"has the axes {page.axes}; write each picture as a flat page")
    if page.axes == "SYX":
        samples = np.moveaxis(samples, 0, -1)
    return kind, samples.reshape(*samples.shape[:2], -1)


def _colors(
    path: Path, page: TiffPage, kind: str, samples: np.ndarray[Any, Any]
) -> np.ndarray[Any, Any]:
    """(H, W, 1) gray or (H, W, 3) RGB."""
    if kind == "palette":
        return _palette(page)[samples[..., 0]]
    colors = _full_scale(path, page, samples[..., : _COLORS[kind]])
    if page.photometric == PHOTOMETRIC.MINISWHITE:
        return np.asarray(_largest(colors.dtype) - colors)
    return colors


def _kind_of_color(path: Path, page: TiffPage) -> str:
    """ "rgb", "gray" or "palette"."""
    photometric, samples = page.photometric, page.samplesperpixel
    if photometric in (PHOTOMETRIC.MINISBLACK, PHOTOMETRIC.MINISWHITE):
        return "gray"
    if photometric == PHOTOMETRIC.PALETTE and samples == 1 and page.colormap is not None:
        return "palette"
    # JPEG in TIFF is YCbCr as stored and RGB as decoded.
    is_jpeg = page.compression in (COMPRESSION.JPEG, COMPRESSION.OJPEG)
    is_rgb = photometric == PHOTOMETRIC.RGB or (photometric == PHOTOMETRIC.YCBCR and is_jpeg)
    if is_rgb and samples >= 3:
        return "rgb"
    name = getattr(photometric, "name", photometric)
    raise FormatError(
        path, f"has {samples} samples a pixel of color {name}; write it as RGB or gray"
    )


def _full_scale(path: Path, page: TiffPage, samples: np.ndarray[Any, Any]) -> np.ndarray[Any, Any]:
    """uint8 or uint16 over their full range, or float32."""
    bits = page.bitspersample
    if samples.dtype.kind == "f":
        return samples.astype(np.float32)
    if samples.dtype.kind == "b" or bits == 1:
        return samples.astype(np.uint8) * np.uint8(255)
    if samples.dtype not in (np.uint8, np.uint16) or not isinstance(bits, int):
        raise FormatError(
            path, f"holds {samples.dtype} pixels; write it with 8 or 16 bits a channel or as float"
        )
    largest = _largest(samples.dtype)
    if bits in (8, 16):
        return samples
    return (samples.astype(np.uint32) * largest // (2**bits - 1)).astype(samples.dtype)


def _palette(page: TiffPage) -> np.ndarray[Any, np.dtype[np.uint8]]:
    """(n, 3) uint8; some programs write 8-bit values where the standard wants 16 bits."""
    colors = np.asarray(page.colormap).T
    return (colors >> 8 if colors.max(initial=0) > 255 else colors).astype(np.uint8)


def _largest(dtype: np.dtype[Any]) -> Any:
    return dtype.type(1 if dtype.kind == "f" else np.iinfo(dtype).max)


def _checked_size(path: Path, page: TiffPage) -> Size:
    """Upright size of a page that is not too large."""
    size = Size(page.imagelength, page.imagewidth)
    check_pixels(path, size)
    if not 1 <= page.samplesperpixel <= _MAX_SAMPLES or page.imagedepth != 1:
        raise FormatError(
            path,
            f"has {page.samplesperpixel} samples a pixel and depth {page.imagedepth}; "
            "write it as RGB or gray",
        )
    return Size(size.width, size.height) if _orientation(page) in _SIDEWAYS else size


def _check_whole(path: Path, page: TiffPage) -> None:
    """Strips that lie beyond the end of the file would be read as black."""
    file_bytes = page.parent.filehandle.size
    ends = [o + n for o, n in zip(page.dataoffsets, page.databytecounts, strict=True)]
    if not ends or 0 in page.databytecounts or max(ends) > file_bytes:
        raise FormatError(
            path, "is not a readable image: it is cut off, part of its pixels are missing"
        )


def _has_alpha(page: TiffPage) -> bool:
    return bool(page.extrasamples)


def _orientation(page: TiffPage) -> int:
    return int(page.tags.valueof("Orientation", 1))


def _upright(pixels: np.ndarray[Any, Any], orientation: int) -> np.ndarray[Any, Any]:
    """Pixels turned as tag 274 asks: 2 to 4 mirror and turn round, 5 to 8 also transpose."""
    if orientation in _SIDEWAYS:
        pixels = pixels.swapaxes(0, 1)
    if orientation in (2, 3, 6, 7):
        pixels = pixels[:, ::-1]
    if orientation in (3, 4, 7, 8):
        pixels = pixels[::-1]
    return pixels
