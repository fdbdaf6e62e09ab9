"""Images on disk as a FrameSource: a folder, a numbered sequence, or a single still."""

from __future__ import annotations

import logging
from collections.abc import Iterator, Sequence
from fractions import Fraction
from functools import cached_property
from pathlib import Path

from torch import Tensor

from ...errors import FormatError
from ...types import Size
from .color import InputColorspace, check_colorspace
from .exr import ExrWindow, exr_data_window, exr_frame_rate, exr_time_code
from .fingerprints import fingerprint_files
from .images import check_single, image_colorspace, read_image, read_image_header
from .listing import NumberedFile, list_folder, list_pattern, numbered
from .numbering import check_position
from .time_codes import TimeCode

log = logging.getLogger(__name__)

_SAMPLE_BYTES = 4096


class ImageSequence:
    """The frames of image files, read when asked for and not kept.

    Args:
        files: in frame order, at least one.
        input_colorspace: what the values mean; "auto" is linear for OpenEXR, sRGB for all else.
        exr_window: what of OpenEXR files is the frame.

    Raises:
        FormatError: the first image cannot be read, or a file has another size than the first.
    """

    def __init__(
        self,
        files: Sequence[NumberedFile],
        input_colorspace: InputColorspace = "auto",
        exr_window: ExrWindow = "display",
    ) -> None:
        check_colorspace(input_colorspace)
        self.exr_window = exr_window
        self._files = tuple(files)
        self._input_colorspace = input_colorspace
        first = read_image(self._files[0].path, input_colorspace, exr_window)
        self._size = Size(first.shape[0], first.shape[1])
        self._check_headers()

    def __len__(self) -> int:
        return len(self._files)

    def __iter__(self) -> Iterator[Tensor]:
        return (self.frame(i) for i in range(len(self)))

    @property
    def size(self) -> Size:
        """Size of every frame."""
        return self._size

    @cached_property
    def frame_rate(self) -> Fraction | None:
        """Frames per second, as the first OpenEXR file says; None: other images do not say."""
        path = self.path(0)
        return exr_frame_rate(path) if _is_exr(path) else None

    def time_code(self, index: int) -> TimeCode | None:
        """The time code of a frame, where it is an OpenEXR file that says one."""
        path = self.path(index)
        return exr_time_code(path) if _is_exr(path) else None

    @cached_property
    def fingerprint(self) -> str:
        """Hash of the files' names, lengths and sampled bytes (see `fingerprints`)."""
        files = [(file.path.name, file.path) for file in self._files]
        paths = [path for _, path in files]
        facts: list[str] = sorted({image_colorspace(p, self._input_colorspace) for p in paths})
        if self.exr_window == "data" and any(map(_is_exr, paths)):
            facts.append("data window")
        return fingerprint_files(files, facts=facts, sample_bytes=_SAMPLE_BYTES)

    def frame(self, index: int) -> Tensor:
        """(H, W, 3) RGB: uint8 for 8-bit sRGB files, else float32 display values 0..1.

        Raises:
            FormatError: the file cannot be read or has another size than the first.
        """
        path = self.path(index)
        frame = read_image(path, self._input_colorspace, self.exr_window)
        self._check_size(path, Size(frame.shape[0], frame.shape[1]), self._size)
        return frame

    def path(self, index: int) -> Path:
        """The file of a frame."""
        check_position(index, len(self))
        return self._files[index].path

    def number(self, index: int) -> int:
        """The number in the file name, or the position where the files are not numbered."""
        check_position(index, len(self))
        return self._files[index].number

    def name(self, index: int) -> str:
        """The file name without its suffix."""
        return self.path(index).stem

    def _check_headers(self) -> None:
        """Compares sizes without decoding, which costs little; notes alpha."""
        for number, path in enumerate(file.path for file in self._files):
            header = read_image_header(path, self.exr_window)
            check_single(path, header)
            if header is not None and header.size != self._size:
                self.frame(number)  # decoding has the last word
            if self.exr_window == "data" and _is_exr(path):
                self._check_data_window(path)
            if number == 0 and header is not None and header.has_alpha:
                log.info("%s: the alpha channel is ignored", path)

    def _check_data_window(self, path: Path) -> None:
        """A data window that wanders would move the picture from frame to frame."""
        first = self._files[0].path
        if _is_exr(first) and exr_data_window(path) != exr_data_window(first):
            raise FormatError(
                path,
                f"has another data window than {first.name}; read the display window, or write "
                "all frames with one data window",
            )

    def _check_size(self, path: Path, size: Size, expected: Size) -> None:
        if size != expected:
            first = self._files[0].path.name
            raise FormatError(
                path,
                f"is {size}, but {first} is {expected}; all frames of a shot must have one size",
            )


def open_folder(
    folder: Path, input_colorspace: InputColorspace = "auto", exr_window: ExrWindow = "display"
) -> ImageSequence:
    """The image sequence in a folder."""
    return ImageSequence(list_folder(folder), input_colorspace, exr_window)


def open_pattern(
    pattern: Path, input_colorspace: InputColorspace = "auto", exr_window: ExrWindow = "display"
) -> ImageSequence:
    """The image sequence that a pattern such as `plate.####.png` names."""
    return ImageSequence(list_pattern(pattern), input_colorspace, exr_window)


def open_still(
    path: Path, input_colorspace: InputColorspace = "auto", exr_window: ExrWindow = "display"
) -> ImageSequence:
    """A shot of one frame, numbered as its name says."""
    return ImageSequence([numbered(path)], input_colorspace, exr_window)


def _is_exr(path: Path) -> bool:
    return path.suffix.lower() == ".exr"
