"""The compressed result of one frame, and the place where many of them are kept."""

from __future__ import annotations

import tempfile
import threading
import weakref
import zlib
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from ..errors import CapacityError, InputError
from .segmentation import Segmentation, label_map_of

# The fastest level: results are dominated by flat areas, higher levels save a fifth at four times
# the time.
_COMPRESSION_LEVEL = 1


@dataclass(frozen=True)
class FrameRecord:
    """The result of one frame as a track stores it."""

    frame_index: int
    shape: tuple[int, int, int]
    """(N + 1, h, w) of the probabilities."""
    probabilities: bytes
    """zlib stream of uint8 values, 255 = 1; the channels of a pixel sum to 255."""
    labels: bytes
    """zlib stream of (H, W) uint8 object ids."""
    confidence: tuple[float, ...]
    absent_ids: tuple[int, ...]

    @classmethod
    def of(cls, segmentation: Segmentation) -> FrameRecord:
        """The record of a segmentation."""
        levels = _levels_of(segmentation.probabilities)
        channels, height, width = levels.shape
        return cls(
            segmentation.frame_index,
            (channels, height, width),
            _compress(levels),
            _compress(label_map_of(segmentation)),
            segmentation.confidence,
            segmentation.absent_ids,
        )


def _levels_of(probabilities: Tensor) -> Tensor:
    """(N + 1, h, w) uint8 levels that sum to 255 at every pixel, each less than 1 off.

    The running sums over the channels are rounded, the levels are their differences.
    """
    levels = (probabilities.float().cumsum(0) * 255).round_().clamp_(0, 255).to(torch.uint8)
    levels[-1] = 255
    levels[1:] -= levels[:-1].clone()
    return levels


def _compress(values: Tensor) -> bytes:
    return zlib.compress(values.cpu().numpy().tobytes(), _COMPRESSION_LEVEL)


def decompress(data: bytes, shape: Sequence[int], frame_index: int) -> Tensor:
    """uint8 tensor of a shape from a zlib stream."""
    decoder = zlib.decompressobj()
    expected = int(np.prod(shape))
    try:
        values = decoder.decompress(data, expected + 1)
    except zlib.error as error:
        raise InputError(f"the track's frame {frame_index} is damaged: {error}") from error
    if len(values) != expected:
        raise InputError(f"the track's frame {frame_index} is damaged: wrong length")
    return torch.from_numpy(np.frombuffer(values, np.uint8).reshape(shape).copy())


class Spool:
    """Bytes appended in memory, and in a temporary file once they exceed a budget."""

    def __init__(self, memory_bytes: int) -> None:
        # Closed with the spool, whose life is the track's.
        self._file = tempfile.SpooledTemporaryFile(max_size=memory_bytes)  # noqa: SIM115
        self._end = 0
        self._lock = threading.Lock()
        weakref.finalize(self, self._file.close)

    def append(self, data: bytes) -> int:
        """Store bytes; returns their offset."""
        with self._lock:
            try:
                self._file.seek(self._end)
                self._file.write(data)
            except OSError as error:
                raise CapacityError(
                    f"the track's temporary file in {tempfile.gettempdir()} cannot be written "
                    f"({error.strerror}); free space there or set TMPDIR to another folder"
                ) from error
            offset, self._end = self._end, self._end + len(data)
            return offset

    def read(self, offset: int, length: int) -> bytes:
        """Bytes stored before."""
        with self._lock:
            self._file.seek(offset)
            return self._file.read(length)
