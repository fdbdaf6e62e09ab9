"""BackwardResults: results of the backward pass until the forward pass meets them."""

from __future__ import annotations

import zlib
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from ..spill import SpillStore


class BackwardResults:
    """Object probabilities on disk, 16-bit fixed point, compressed.

    Args:
        folder: where the files outlive this process; None = a temporary folder.
    """

    def __init__(self, folder: Path | None) -> None:
        remedy = "use another direction"
        self._store = SpillStore("the backward results", remedy, folder=folder)

    def put(self, frame_index: int, probabilities: Tensor) -> None:
        """Keeps (N + 1, H, W) probabilities; raises CapacityError when the disk is full."""
        fixed = (probabilities[1:].cpu() * 65535).round().numpy().astype(np.uint16)
        header = np.array(fixed.shape, dtype=np.int64).tobytes()
        self._store.put(frame_index, header + zlib.compress(fixed.tobytes(), 1))

    def get(self, frame_index: int) -> Tensor:
        """The probabilities of a frame, (N + 1, H, W) float32 on the CPU.

        Raises:
            InputError: they are missing or damaged.
        """
        data = self._store.get(frame_index)
        shape = tuple(np.frombuffer(data[:24], dtype=np.int64))
        fixed = np.frombuffer(zlib.decompress(data[24:]), dtype=np.uint16).reshape(shape)
        return with_background(torch.from_numpy(fixed.astype(np.float32) / 65535))


def with_background(objects: Tensor) -> Tensor:
    """(N + 1, H, W) probabilities that sum to 1, from those of the objects."""
    scaled = objects / objects.sum(0).clamp(min=1)
    return torch.cat([1 - scaled.sum(0, keepdim=True), scaled])
