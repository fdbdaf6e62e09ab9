"""Clips that are one picture file: an animated WebP, or a TIFF with several pages."""

from __future__ import annotations

import logging
import threading
from collections import OrderedDict
from collections.abc import Callable, Iterator
from fractions import Fraction
from functools import cached_property, partial
from pathlib import Path
from typing import Any

import numpy as np
import torch
from PIL import Image
from torch import Tensor

from ...errors import FormatError
from ...types import Size
from .color import InputColorspace, to_display
from .fingerprints import fingerprint_files
from .images import ImageHeader, image_colorspace
from .limits import memory_for
from .numbering import POSITION_DIGITS, check_position
from .tiff import read_tiff

log = logging.getLogger(__name__)

_SAMPLE_BYTES = 64 << 10
_KEPT_BYTES = 256 << 20
"""Most memory for decoded frames of an animation, so that reading backward decodes it once."""

Pixels = np.ndarray[Any, Any]


class PictureClip:
    """The pictures of one file as frames, numbered by position, decoded when asked for.

    Args:
        path: the file.
        header: what `read_image_header` says about it.
        read: (H, W, 3) RGB pixels of a position, a new array at each call.
        frame_rate: frames per second; None where the file does not say.
        input_colorspace: what the values mean; "auto" is sRGB.

    Raises:
        FormatError: the first picture cannot be read.
    """

    def __init__(
        self,
        path: Path,
        header: ImageHeader,
        read: Callable[[int], Pixels],
        *,
        frame_rate: Fraction | None = None,
        input_colorspace: InputColorspace = "auto",
    ) -> None:
        self._path = path
        self._count = header.pictures
        self._read = read
        self._frame_rate = frame_rate
        self._colorspace = image_colorspace(path, input_colorspace)
        self._size = Size(*read(0).shape[:2])
        if header.has_alpha:
            log.info("%s: the alpha channel is ignored", path)

    def __len__(self) -> int:
        return self._count

    def __iter__(self) -> Iterator[Tensor]:
        return (self.frame(i) for i in range(len(self)))

    @property
    def size(self) -> Size:
        """Size of every frame."""
        return self._size

    @property
    def frame_rate(self) -> Fraction | None:
        """Frames per second, the average where frames last differently long."""
        return self._frame_rate

    @cached_property
    def fingerprint(self) -> str:
        """Hash of the file's length and sampled bytes (see `fingerprints`)."""
        facts = (self._colorspace, len(self))
        return fingerprint_files([("", self._path)], facts=facts, sample_bytes=_SAMPLE_BYTES)

    def frame(self, index: int) -> Tensor:
        """(H, W, 3) RGB: uint8 for 8-bit sRGB files, else float32 display values 0..1.

        Raises:
            FormatError: the picture cannot be read or has another size than the first.
        """
        check_position(index, len(self))
        pixels = self._read(index)
        size = Size(*pixels.shape[:2])
        if size != self._size:
            raise FormatError(
                self._path,
                f"picture {index + 1} of {len(self)} is {size}, the first is {self._size}; "
                "all frames of a shot must have one size",
            )
        return to_display(torch.from_numpy(pixels), self._colorspace)

    def number(self, index: int) -> int:
        """The position."""
        check_position(index, len(self))
        return index

    def name(self, index: int) -> str:
        """The position in five digits."""
        return f"{self.number(index):0{POSITION_DIGITS}d}"


def open_tiff_pages(
    path: Path, header: ImageHeader, input_colorspace: InputColorspace = "auto"
) -> PictureClip:
    """The pages of a TIFF as a clip."""
    return PictureClip(path, header, partial(read_tiff, path), input_colorspace=input_colorspace)


def open_animation(
    path: Path, header: ImageHeader, input_colorspace: InputColorspace = "auto"
) -> PictureClip:
    """The frames of an animated WebP as a clip, as a viewer shows them.

    It is decoded once at opening, since only decoding tells how long its frames last.
    """
    animation = _Animation(path, header.pictures)
    return PictureClip(
        path,
        header,
        animation.read,
        frame_rate=animation.measured_rate(),
        input_colorspace=input_colorspace,
    )


class _Animation:
    """Frames of a file that Pillow can enter at its start alone. One thread at a time reads.

    Reading forward keeps one frame; a jump keeps those that it meets, as far as they fit.
    """

    def __init__(self, path: Path, count: int) -> None:
        self._path = path
        self._count = count
        self._lock = threading.Lock()
        self._image: Image.Image | None = None
        self._next = 0
        self._run: OrderedDict[int, Pixels] = OrderedDict()  # ascending positions

    def read(self, index: int) -> Pixels:
        """(H, W, 3) uint8; raises FormatError where it cannot be decoded."""
        with self._lock:
            if index not in self._run:
                start = self._next if index >= self._next else 0
                self._run.clear()
                for i in range(start, index + 1):
                    self._run[i] = self._decode(i)
                    if len(self._run) * self._run[i].nbytes > _KEPT_BYTES and len(self._run) > 1:
                        self._run.popitem(last=False)
                self._next = index + 1
            return self._run[index].copy()

    def measured_rate(self) -> Fraction | None:
        """Frames per second from how long each frame is shown; None where the file says 0."""
        milliseconds = 0
        for i in range(self._count):
            self.read(i)
            assert self._image is not None
            milliseconds += int(self._image.info.get("duration") or 0)
        return Fraction(1000 * self._count, milliseconds) if milliseconds else None

    def _decode(self, index: int) -> Pixels:
        try:
            with memory_for(self._path):
                if self._image is None:
                    self._image = Image.open(self._path)
                self._image.seek(index)
                return np.array(self._image.convert("RGB"))  # leaves alpha out, divides by nothing
        except (OSError, EOFError, SyntaxError, ValueError) as error:
            self._image, self._next = None, 0
            problem = f"picture {index + 1} of {self._count} cannot be decoded ({error})"
            raise FormatError(self._path, problem) from error
