"""Keys of all frames of a shot, in memory up to a budget and beyond it in a file on disk."""

from __future__ import annotations

import shutil
import tempfile
from pathlib import Path
from types import TracebackType

import torch
from torch import Tensor

from ..errors import CapacityError


class FrameKeys:
    """Key, shrinkage and selection of `count` frames of one size, float32 on the CPU.

    Use it as a context: the temporary file goes with it.

    Args:
        count: number of frames.
        key_channels: CK.
        cells: height and width in cells, (h, w).
        memory_bytes: above this the maps lie in a memory-mapped temporary file.
        directory: folder for that file; None = the system's temporary folder.

    Raises:
        CapacityError: the disk has no room for the file.
    """

    def __init__(
        self,
        count: int,
        key_channels: int,
        cells: tuple[int, int],
        *,
        memory_bytes: int,
        directory: Path | None = None,
    ) -> None:
        self._split = (key_channels, 1, key_channels)
        shape = (count, sum(self._split), *cells)
        size = torch.Size(shape).numel()
        self._folder: tempfile.TemporaryDirectory[str] | None = None
        if size * 4 <= memory_bytes:
            self._maps = torch.empty(shape)
        else:
            self._folder = tempfile.TemporaryDirectory(prefix="xmempp-", dir=directory)
            try:
                self._maps = _mapped(Path(self._folder.name) / "keys.bin", size).view(shape)
            except CapacityError:
                self._folder.cleanup()
                raise

    @property
    def is_spilled(self) -> bool:
        """Whether the maps lie on disk."""
        return self._folder is not None

    def put(self, position: int, key: Tensor, shrinkage: Tensor, selection: Tensor) -> None:
        """Keep the maps (CK, h, w), (1, h, w), (CK, h, w) of a frame."""
        for part, given in zip(self._parts(position), (key, shrinkage, selection), strict=True):
            part.copy_(given)

    def get(self, position: int) -> tuple[Tensor, Tensor, Tensor]:
        """Key (CK, h, w), shrinkage (1, h, w) and selection (CK, h, w) of a frame, not copied."""
        key, shrinkage, selection = self._parts(position)
        return key, shrinkage, selection

    def __enter__(self) -> FrameKeys:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        del self._maps
        if self._folder is not None:
            self._folder.cleanup()

    def _parts(self, position: int) -> tuple[Tensor, ...]:
        return self._maps[position].split(self._split)


def _mapped(path: Path, size: int) -> Tensor:
    no_room = CapacityError(
        f"the keys of all frames need {size * 4 / 2**30:.1f} GiB in {path.parent.parent}; "
        "free space there or set TMPDIR to another folder"
    )
    # The file takes space only as it is written, and then a full disk would kill the process.
    if shutil.disk_usage(path.parent).free < size * 4:
        raise no_room
    try:
        return torch.from_file(str(path), shared=True, size=size, dtype=torch.float32)
    except RuntimeError as error:
        raise no_room from error
