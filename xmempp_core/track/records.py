"""The compressed result of one frame."""

from __future__ import annotations

import zlib
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from ..errors import InputError
from .segmentation import Segmentation

# The fastest level: results are dominated by flat areas, higher levels save a fifth at four times
# the time.
_COMPRESSION_LEVEL = 1

LEVEL_OF_ONE = 2**15
"""The level that stands for 1: a power of two, so that 0.5 stays 0.5 and sums are exact."""

OLDER_LEVEL_OF_ONE = 255
"""That of tracks of version 0.1, which have 8 bits."""


@dataclass(frozen=True)
class FrameRecord:
    """The result of one frame as a track stores it."""

    frame_index: int
    shape: tuple[int, int, int]
    """(N + 1, h, w) of the probabilities."""
    probabilities: bytes
    """zlib stream of the levels, see `level_of_one`."""
    labels: bytes
    """zlib stream of (H, W) uint8 object ids."""
    confidence: tuple[float, ...]
    absent_ids: tuple[int, ...]
    level_of_one: int = LEVEL_OF_ONE
    """LEVEL_OF_ONE: uint16 levels of the N objects, background is the rest; the high bytes of all
    pixels come first, then the low ones, as they compress apart. OLDER_LEVEL_OF_ONE: uint8 levels
    of all N + 1 channels."""

    @classmethod
    def of(cls, segmentation: Segmentation, labels: Tensor) -> FrameRecord:
        """The record of a segmentation and its label map."""
        channels, height, width = segmentation.probabilities.shape
        return cls(
            segmentation.frame_index,
            (channels, height, width),
            _compress(_bytes_of(_levels_of(segmentation.probabilities))),
            _compress(labels.numpy()),
            tuple(segmentation.confidence),
            segmentation.absent_ids,
        )

    def soft(self) -> Tensor:
        """(N + 1, h, w) float32 probabilities, background first; each less than a level off."""
        channels, height, width = self.shape
        if self.level_of_one == OLDER_LEVEL_OF_ONE:
            older = decompress(self.probabilities, self.shape, self.frame_index)
            return older.float() / OLDER_LEVEL_OF_ONE
        planes = (2, channels - 1, height, width)
        high, low = decompress(self.probabilities, planes, self.frame_index).int()
        levels = high * 256 + low
        background = LEVEL_OF_ONE - levels.sum(0, keepdim=True)
        if background.numel() and int(background.min()) < 0:
            raise InputError(f"the track's frame {self.frame_index} is damaged: sums above 1")
        return torch.cat([background, levels]).float() / LEVEL_OF_ONE


def _levels_of(probabilities: Tensor) -> NDArray[np.uint16]:
    """(N, h, w) levels of the objects, each less than 1 off; with the background's they sum to 1.

    The running sums over the channels are rounded, the levels are their differences.
    """
    sums = (probabilities.double().cumsum(0) * LEVEL_OF_ONE).round_().clamp_(0, LEVEL_OF_ONE)
    sums[-1] = LEVEL_OF_ONE
    return sums.diff(dim=0).cpu().numpy().astype(np.uint16)


def _bytes_of(levels: NDArray[np.uint16]) -> NDArray[np.uint8]:
    return np.stack([levels >> 8, levels & 255]).astype(np.uint8)


def _compress(values: NDArray[np.uint8]) -> bytes:
    return zlib.compress(values.tobytes(), _COMPRESSION_LEVEL)


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
