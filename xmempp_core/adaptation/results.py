"""SoftMasks: the result of a pass at internal size, kept compressed between the rounds."""

from __future__ import annotations

import zlib

import numpy as np
import torch
from torch import Tensor

from ..spill import SpillStore
from ..types import Size

_LEVEL = 1
_MEMORY_BYTES = 128 * 2**20


class SoftMasks:
    """Soft masks of N objects for some frames of a shot, in 8 bits.

    Args:
        what: whose results they are, for messages.
    """

    def __init__(self, what: str) -> None:
        remedy = 'adapt with mode "quick"'
        self._store = SpillStore(f"the results of {what}", remedy, memory_bytes=_MEMORY_BYTES)
        self._shapes: dict[int, tuple[int, ...]] = {}

    @property
    def frame_indices(self) -> tuple[int, ...]:
        """Ascending."""
        return tuple(sorted(self._shapes))

    def put(self, frame_index: int, masks: Tensor) -> None:
        """Keeps the masks (N, h, w) 0..1 of a frame."""
        levels = (masks.float() * 255).round().clamp(0, 255).to(torch.uint8).cpu()
        self._shapes[frame_index] = tuple(levels.shape)
        self._store.put(frame_index, zlib.compress(levels.numpy().tobytes(), _LEVEL))

    def get(self, frame_index: int) -> Tensor:
        """(N, h, w) float32 0..1."""
        data = zlib.decompress(self._store.get(frame_index))
        levels = np.frombuffer(data, np.uint8).reshape(self._shapes[frame_index])
        return torch.from_numpy(levels.astype(np.float32) / 255)

    def hard(self, frame_index: int) -> Tensor:
        """(N, h, w) bool."""
        return self.get(frame_index) > 0.5

    def size(self, frame_index: int) -> Size:
        """Of the masks."""
        return Size(*self._shapes[frame_index][1:])
