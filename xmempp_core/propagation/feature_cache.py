"""FeatureCache: encoder results by frame, so that a second pass need not encode again.

A cache belongs to one network, source and internal size; its owner makes a new one for another.
"""

from __future__ import annotations

import shutil
import tempfile
import weakref
from collections.abc import Callable
from dataclasses import dataclass, fields
from pathlib import Path

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file, save_file

from ..errors import CapacityError
from ..types import Features, Padding

_TENSORS = tuple(f.name for f in fields(Features) if f.name != "padding")


@dataclass(frozen=True)
class CacheStatistics:
    """What a cache did since it was made."""

    hits: int
    misses: int
    held_bytes: int
    spilled_bytes: int


class FeatureCache:
    """Features of the first frames that fit in memory, then of those that fit on disk.

    What fits stays: a shot is read from end to end, so throwing out the oldest would leave
    nothing for the next pass.

    Args:
        max_bytes: host memory.
        spill_bytes: disk space beyond it; 0 = none.
        spill_directory: folder for the spilled files; None = a temporary one.
    """

    def __init__(
        self, max_bytes: int, *, spill_bytes: int = 0, spill_directory: Path | None = None
    ) -> None:
        self._max_bytes = max_bytes
        self._spill_bytes = spill_bytes
        self._spill_root = spill_directory
        self._folder: Path | None = None
        self.clear()

    def get(self, frame_index: int, encode: Callable[[], Features]) -> Features:
        """The features of a frame, from the cache or else from `encode`, on `encode`'s device."""
        held = self._held.get(frame_index)
        if held is not None:
            self._hits += 1
            return _moved(held, self._device)
        if frame_index in self._spilled:
            self._hits += 1
            tensors = load_file(self._path(frame_index), device=str(self._device))
            return Features(**tensors, padding=self._spilled[frame_index])
        self._misses += 1
        features = encode()
        self._keep(frame_index, features)
        return features

    @property
    def statistics(self) -> CacheStatistics:
        """Hits, misses and bytes held."""
        return CacheStatistics(self._hits, self._misses, self._held_bytes, self._spilled_bytes)

    def clear(self) -> None:
        """Forgets everything and removes spilled files."""
        self._held: dict[int, Features] = {}
        self._spilled: dict[int, Padding] = {}
        self._hits = self._misses = self._held_bytes = self._spilled_bytes = 0
        self._device = torch.device("cpu")
        if self._folder is not None:
            shutil.rmtree(self._folder, ignore_errors=True)
            self._folder = None

    def _keep(self, frame_index: int, features: Features) -> None:
        self._device = features.key.device
        size = features.size_bytes
        if self._held_bytes + size <= self._max_bytes:
            self._held[frame_index] = _moved(features, torch.device("cpu"), copy=True)
            self._held_bytes += size
        elif self._spilled_bytes + size <= self._spill_bytes:
            tensors = {name: getattr(features, name).cpu().contiguous() for name in _TENSORS}
            try:
                save_file(tensors, self._path(frame_index))
            except (OSError, SafetensorError) as error:
                raise CapacityError(
                    f"features cannot be kept on disk ({error}); free space in "
                    f"{self._folder or tempfile.gettempdir()} or lower spill_bytes"
                ) from error
            self._spilled[frame_index] = features.padding
            self._spilled_bytes += size

    def _path(self, frame_index: int) -> Path:
        if self._folder is None:
            self._folder = Path(tempfile.mkdtemp(prefix="xmempp-", dir=self._spill_root))
            weakref.finalize(self, shutil.rmtree, self._folder, ignore_errors=True)
        return self._folder / f"{frame_index}.safetensors"


def _moved(features: Features, device: torch.device, *, copy: bool = False) -> Features:
    # Clones outside inference mode, so that a later pass in another mode may use them.
    with torch.inference_mode(False):
        tensors = {
            name: getattr(features, name).detach().to(device, copy=copy) for name in _TENSORS
        }
    return Features(**tensors, padding=features.padding)
