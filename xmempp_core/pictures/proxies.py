"""Frames as JPEGs for scrubbing: small ones on disk, written ahead in order; whole on demand."""

from __future__ import annotations

import logging
import threading
from collections import OrderedDict
from contextlib import suppress
from pathlib import Path

import cv2
import numpy as np
from torch import Tensor

from ..atomic import write_bytes
from ..errors import FormatError, InputError, XMemError
from ..paths import path_kind, read_file
from ..types import FrameSource
from .overlays import to_uint8

PROXY_WIDTHS = (160, 960)
"""Widths in pixels of the kept JPEGs: thumbnails of a timeline, and pictures to scrub."""
PROXY_QUALITY = 85
WHOLE_QUALITY = 95
WHOLE_BYTES = 128 * 2**20
"""Most memory for JPEGs of whole frames."""

_log = logging.getLogger(__name__)


class FrameProxies:
    """The frames of a clip as JPEGs, from several threads.

    Args:
        walked: the frames, read in order by the thread that writes ahead.
        asked: the same frames, read in any order; another object, so that the two do not make
            each other seek.
        folder: where the small ones lie; the clip's own.
    """

    def __init__(self, walked: FrameSource, asked: FrameSource, folder: Path) -> None:
        self._walked, self._asked, self._folder = walked, asked, folder
        self._whole: OrderedDict[int, bytes] = OrderedDict()
        self._whole_bytes = 0
        self._lock = threading.Lock()
        self._stop = threading.Event()
        self._thread: threading.Thread | None = None

    def start(self) -> None:
        """Writes all small ones ahead in a thread, once."""
        if self._thread is None:
            self._thread = threading.Thread(target=self._walk, name="proxies", daemon=True)
            self._thread.start()

    def stop(self) -> None:
        """Ends the thread and waits for it."""
        self._stop.set()
        if self._thread is not None:
            self._thread.join()

    def wait(self) -> None:
        """Waits until all that can be written ahead is."""
        if self._thread is not None:
            self._thread.join()

    def jpeg(self, index: int, width: int = 0) -> bytes:
        """The JPEG of a frame.

        Args:
            index: position in the clip.
            width: one of PROXY_WIDTHS, never enlarged; 0 = the whole frame.

        Raises:
            InputError: there is no such frame or width.
            FormatError: the frame cannot be decoded.
        """
        self._check(index)
        if width == 0:
            return self._whole_frame(index)
        if width not in PROXY_WIDTHS:
            allowed = ", ".join(map(str, (0, *PROXY_WIDTHS)))
            raise InputError(f"width is {width}, allowed is one of {allowed}; 0 = the whole frame")
        path = self._path(index, width)
        if path_kind(path) == "file":
            return read_file(path)
        return self._write(index, self._asked.frame(index))[width]

    def frame(self, index: int) -> Tensor:
        """The frame itself, (H, W, 3) as the clip has it; raises as `jpeg` does."""
        self._check(index)
        return self._asked.frame(index)

    def _check(self, index: int) -> None:
        if not 0 <= index < len(self._asked):
            raise InputError(
                f"frame {index} is not in the clip; its frames are 0 to {len(self._asked) - 1}"
            )

    def _whole_frame(self, index: int) -> bytes:
        with self._lock:
            if index in self._whole:
                self._whole.move_to_end(index)
                return self._whole[index]
        data = _encoded(_pixels(self._asked.frame(index)), WHOLE_QUALITY)
        with self._lock:
            if index not in self._whole:
                self._whole[index] = data
                self._whole_bytes += len(data)
            while self._whole_bytes > WHOLE_BYTES and len(self._whole) > 1:
                self._whole_bytes -= len(self._whole.popitem(last=False)[1])
        return data

    def _walk(self) -> None:
        for index in range(len(self._walked)):
            if self._stop.is_set():
                return
            if all(path_kind(self._path(index, width)) == "file" for width in PROXY_WIDTHS):
                continue
            try:
                self._write(index, self._walked.frame(index))
            except XMemError as error:  # said to whoever asks for the frame
                _log.warning("no proxy of frame %d: %s", index, error)

    def _write(self, index: int, frame: Tensor) -> dict[int, bytes]:
        """Small JPEGs of a frame by width, kept where the disk lets them."""
        pixels, made = _pixels(frame), {}
        for width in sorted(PROXY_WIDTHS, reverse=True):
            pixels = _narrowed(pixels, width)
            made[width] = _encoded(pixels, PROXY_QUALITY)
            with suppress(FormatError):  # a full disk: it is made again when asked for
                write_bytes(self._path(index, width), made[width])
        return made

    def _path(self, index: int, width: int) -> Path:
        return self._folder / str(width) / f"{index:05d}.jpg"


def _pixels(frame: Tensor) -> np.ndarray:
    """(H, W, 3) uint8 BGR, as OpenCV has it."""
    return np.asarray(cv2.cvtColor(to_uint8(frame).cpu().numpy(), cv2.COLOR_RGB2BGR))


def _narrowed(pixels: np.ndarray, width: int) -> np.ndarray:
    height, given = pixels.shape[:2]
    if given <= width:
        return pixels
    size = width, max(round(height * width / given), 1)
    return np.asarray(cv2.resize(pixels, size, interpolation=cv2.INTER_AREA))


def _encoded(pixels: np.ndarray, quality: int) -> bytes:
    _, data = cv2.imencode(".jpg", pixels, [cv2.IMWRITE_JPEG_QUALITY, quality])
    return data.tobytes()
