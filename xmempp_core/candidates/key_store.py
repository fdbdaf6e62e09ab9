"""Keys of all frames that are compared, in memory up to a budget and beyond it on disk."""

from __future__ import annotations

from types import TracebackType

import torch
from torch import Tensor

from ..spill import SpillStore


class FrameKeys:
    """Key, shrinkage and selection of frames of one size, float32 on the CPU.

    Use it as a context: what lies on disk goes with it.

    Args:
        key_channels: CK.
        memory_bytes: above this the maps lie in temporary files.
    """

    def __init__(self, key_channels: int, *, memory_bytes: int) -> None:
        self._split = (key_channels, 1, key_channels)
        remedy = "propagate a part of the shot"
        self._store = SpillStore("the keys of all frames", remedy, memory_bytes=memory_bytes)
        self._cells = torch.Size()

    def put(self, place: int, key: Tensor, shrinkage: Tensor, selection: Tensor) -> None:
        """Keeps the maps (CK, h, w), (1, h, w), (CK, h, w) of a frame.

        Raises:
            CapacityError: the disk is full.
        """
        self._cells = key.shape[1:]
        maps = torch.cat([part.float().cpu() for part in (key, shrinkage, selection)])
        self._store.put(place, maps.numpy().tobytes())

    def get(self, place: int) -> tuple[Tensor, Tensor, Tensor]:
        """Key (CK, h, w), shrinkage (1, h, w) and selection (CK, h, w) of a frame."""
        data = bytearray(self._store.get(place))  # torch wants what it may write to
        maps = torch.frombuffer(data, dtype=torch.float32).view(-1, *self._cells)
        key, shrinkage, selection = maps.split(self._split)
        return key, shrinkage, selection

    @property
    def spilled_bytes(self) -> int:
        """Bytes on disk."""
        return self._store.spilled_bytes

    def __enter__(self) -> FrameKeys:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._store.clear()
