"""ResultSpool: results of the backward pass, on disk until the forward pass meets them."""

from __future__ import annotations

import shutil
import tempfile
import weakref
import zlib
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from ..errors import CapacityError


class ResultSpool:
    """Object probabilities on disk, 16-bit fixed point, one compressed file a frame.

    Args:
        directory: folder for the files; None = a temporary one.
    """

    def __init__(self, directory: Path | None) -> None:
        self._directory = directory

    def put(self, frame_index: int, probabilities: Tensor) -> None:
        """Keeps (N + 1, H, W) probabilities; raises CapacityError when the disk is full."""
        fixed = (probabilities[1:].cpu() * 65535).round().numpy().astype(np.uint16)
        header = np.array(fixed.shape, dtype=np.int64).tobytes()
        try:
            self._path(frame_index).write_bytes(header + zlib.compress(fixed.tobytes(), 1))
        except OSError as error:
            raise CapacityError(
                f"the backward results cannot be kept in {self._directory} ({error.strerror}); "
                "free space there or use another direction"
            ) from error

    def get(self, frame_index: int) -> Tensor:
        """The probabilities of a frame, (N + 1, H, W) float32 on the CPU."""
        data = self._path(frame_index).read_bytes()
        shape = tuple(np.frombuffer(data[:24], dtype=np.int64))
        fixed = np.frombuffer(zlib.decompress(data[24:]), dtype=np.uint16).reshape(shape)
        return with_background(torch.from_numpy(fixed.astype(np.float32) / 65535))

    def _path(self, frame_index: int) -> Path:
        if self._directory is None:
            self._directory = Path(tempfile.mkdtemp(prefix="xmempp-"))
            weakref.finalize(self, shutil.rmtree, self._directory, ignore_errors=True)
        self._directory.mkdir(parents=True, exist_ok=True)
        return self._directory / f"{frame_index}.bin"


def with_background(objects: Tensor) -> Tensor:
    """(N + 1, H, W) probabilities that sum to 1, from those of the objects."""
    scaled = objects / objects.sum(0).clamp(min=1)
    return torch.cat([1 - scaled.sum(0, keepdim=True), scaled])
