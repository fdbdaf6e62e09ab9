"""FeatureCache: encoder results by picture, so that a second pass need not encode again."""

from __future__ import annotations

import hashlib
import logging
from collections.abc import Callable
from dataclasses import dataclass, fields

import torch
from safetensors import SafetensorError
from safetensors.torch import load, save
from torch import Tensor

from ..errors import InputError
from ..spill import SpillStore
from ..types import Features, Padding, Size

_TENSORS = tuple(f.name for f in fields(Features) if f.name != "padding")

_log = logging.getLogger(__name__)


@dataclass(frozen=True)
class CacheOwner:
    """What the features of a cache belong to; its size and network determine their padding."""

    network: str
    """SHA-256 of the network's weights"""
    internal_size: Size
    antialias: bool
    """whether frames are low-pass filtered when shrunk"""
    dtype: str
    device: str


@dataclass(frozen=True)
class CacheStatistics:
    """What a cache did since it was made."""

    hits: int
    misses: int
    held_bytes: int
    spilled_bytes: int


class FeatureCache:
    """Features of the first pictures that fit in memory, then of those that fit on disk.

    What fits stays: a shot is read from end to end, so throwing out the oldest would leave
    nothing for the next pass. The first pass binds the cache to its network, internal size,
    antialiasing, dtype and device; any other is refused until `clear`. Within it a frame is found
    by its pixels, so that a frame of another clip, or a retouched one, is encoded anew.

    Args:
        max_bytes: host memory.
        spill_bytes: disk space beyond it; 0 = none.
    """

    def __init__(self, max_bytes: int, *, spill_bytes: int = 0) -> None:
        self._max_bytes = max_bytes
        self._disk = SpillStore("features", "lower spill_bytes", disk_bytes=spill_bytes)
        self._owner: CacheOwner | None = None
        self.clear()

    def bind(self, owner: CacheOwner) -> None:
        """Says what the features belong to.

        Raises:
            InputError: they belong to something else already.
        """
        mine = self._owner = self._owner or owner
        changed = [f.name for f in fields(owner) if getattr(mine, f.name) != getattr(owner, f.name)]
        if changed:
            pairs = ", ".join(f"{n} {_shown(mine, n)}, not {_shown(owner, n)}" for n in changed)
            raise InputError(
                f"the feature cache belongs to {pairs}; give a new FeatureCache or clear this one"
            )

    def get(self, picture: str, encode: Callable[[], Features]) -> Features:
        """The features of a picture, from the cache or else from `encode`, on `encode`'s device.

        Args:
            picture: from `picture_hash`.
            encode: makes them.
        """
        found = self._found(picture)
        if found is not None:
            self._hits += 1
            return found
        self._misses += 1
        features = encode()
        self._keep(picture, features)
        return features

    def holds(self, picture: str) -> bool:
        """Whether the features of a picture are there."""
        return picture in self._held or picture in self._spilled

    @property
    def statistics(self) -> CacheStatistics:
        """Hits, misses and bytes held."""
        spilled = self._disk.spilled_bytes
        return CacheStatistics(self._hits, self._misses, self._held_bytes, spilled)

    def clear(self) -> None:
        """Forgets everything and what it belonged to; removes spilled files."""
        self._owner = None
        self._held: dict[str, Features] = {}
        self._spilled: dict[str, Padding] = {}
        self._hits = self._misses = self._held_bytes = 0
        self._device = torch.device("cpu")
        self._disk.clear()

    def _found(self, picture: str) -> Features | None:
        held = self._held.get(picture)
        if held is not None:
            return _moved(held, self._device)
        padding = self._spilled.get(picture)
        if padding is None:
            return None
        try:
            tensors = load(self._disk.get(picture))
        except (InputError, SafetensorError) as error:
            _log.warning("%s; the frame is encoded again", error)
            del self._spilled[picture]
            return None
        return _moved(Features(**tensors, padding=padding), self._device)

    def _keep(self, picture: str, features: Features) -> None:
        self._device = features.key.device
        size = features.size_bytes
        if self._held_bytes + size <= self._max_bytes:
            self._held[picture] = _moved(features, torch.device("cpu"), copy=True)
            self._held_bytes += size
            return
        if not self._disk.has_room(size):
            return
        data = save({name: getattr(features, name).cpu().contiguous() for name in _TENSORS})
        if self._disk.has_room(len(data)):
            self._disk.put(picture, data)
            self._spilled[picture] = features.padding


def picture_hash(pixels: Tensor) -> str:
    """A name that equal pixels share and no others: SHA-256 of their type, shape and bytes."""
    whole = pixels.detach().cpu().contiguous()
    digest = hashlib.sha256(f"{whole.dtype} {tuple(whole.shape)}".encode())
    digest.update(whole.view(torch.uint8).numpy().data)
    return digest.hexdigest()


def _shown(owner: CacheOwner, name: str) -> str:
    value = getattr(owner, name)
    return value[:8] if name == "network" else str(value)


def _moved(features: Features, device: torch.device, *, copy: bool = False) -> Features:
    # Clones outside inference mode, so that a later pass in another mode may use them.
    with torch.inference_mode(False):
        tensors = {
            name: getattr(features, name).detach().to(device, copy=copy) for name in _TENSORS
        }
    return Features(**tensors, padding=features.padding)
