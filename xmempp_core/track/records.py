"""The compressed result of one frame."""

from __future__ import annotations

import zlib
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from ..errors import InputError
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
