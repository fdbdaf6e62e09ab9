"""Objects of a Cryptomatte: found by name, read as coverage."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from itertools import chain, count
from pathlib import Path, PurePosixPath
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from ...errors import FormatError
from ...strict_json import parse_json
from ...types import Size
from .cryptomatte_ids import CONVERSION, HASH, hash_of, rank_channels
from .exr_channels import ExrChannel, read_channels, read_header

Manifest = dict[str, int]
"""Ids by name."""

_KEY = "cryptomatte/"
_SHOWN_NAMES = 12
# Some programs call the four channels of a layer otherwise.
_LONG_NAMES = {"red": "r", "green": "g", "blue": "b", "alpha": "a"}


@dataclass(frozen=True)
class CryptoObject:
    """An object of a Cryptomatte."""

    layer: str
    """name of the Cryptomatte"""
    name: str
    bits: int
    """its id"""


def find_objects(paths: Sequence[Path], wanted: str | None) -> list[CryptoObject]:
    """The objects of a Cryptomatte sequence; none where the first file holds no Cryptomatte.

    Args:
        paths: of the frames; their manifests are joined, as renderers list what a frame shows.
        wanted: name of an object or of several ("hat, coat"), of a Cryptomatte where files hold
            several, or both ("CryptoMaterial/felt"); None = all objects.

    Raises:
        FormatError: the files are no usable Cryptomatte, or hold no such object.
    """
    if not _stated(paths[0]):
        return []
    manifests: dict[str, Manifest] = {}
    for path in paths:
        for layer, manifest in _manifests(path).items():
            manifests.setdefault(layer, {}).update(manifest)
    for layer, manifest in manifests.items():
        if not manifest:
            manifest.update(_unnamed(paths, layer, wanted))
    return _Choice(paths[0], manifests).of(wanted)


@dataclass(frozen=True, eq=False)
class CoverageReader:
    """Coverages of objects, frame by frame; the last frame that was read is kept for the next."""

    _last: dict[tuple[Path, str, Size | None], _Ranks] = field(default_factory=dict)

    def coverage(self, path: Path, one: CryptoObject, size: Size | None) -> Tensor:
        """(H, W) float32 0..1 of an object in a file, as frames of a size have it.

        Raises:
            FormatError: the file cannot be read or holds no such Cryptomatte.
        """
        key = (path, one.layer, size)
        if key not in self._last:
            self._last.clear()
            self._last[key] = _ranks(path, one.layer, size)
        ids, coverages = self._last[key]
        return torch.from_numpy(np.where(ids == one.bits, coverages, np.float32(0)).sum(0))


@dataclass(frozen=True)
class _Choice:
    path: Path
    manifests: Mapping[str, Manifest]

    def of(self, wanted: str | None) -> list[CryptoObject]:
        """The objects that are meant."""
        layers = list(self.manifests)
        if wanted is None and len(layers) > 1:
            raise FormatError(
                self.path,
                f"holds several Cryptomattes: {', '.join(layers)}; name one of them as channel",
            )
        if wanted is None or wanted in self.manifests:
            layer = layers[0] if wanted is None else wanted
            if not self.manifests[layer]:
                raise FormatError(self.path, f"holds a Cryptomatte {layer} without an object")
            return [CryptoObject(layer, n, bits) for n, bits in self.manifests[layer].items()]
        if whole := self._named(wanted):
            return [whole]
        parts = [part.strip() for part in wanted.split(",") if part.strip()]
        found = {part: self._named(part) for part in parts}
        missing = next((part for part, one in found.items() if one is None), None)
        if missing is not None or not found:
            raise FormatError(self.path, f"has no object {missing or wanted!r}; {self._known()}")
        return [one for one in found.values() if one is not None]

    def _named(self, name: str) -> CryptoObject | None:
        found = [
            CryptoObject(layer, own, bits)
            for layer, manifest in self.manifests.items()
            for own, bits in manifest.items()
            if name in (own, f"{layer}/{own}")
        ]
        if len(found) > 1:
            both = " or ".join(f"{one.layer}/{one.name}" for one in found)
            raise FormatError(self.path, f"has several objects {name!r}; name {both} as channel")
        return found[0] if found else None

    def _known(self) -> str:
        names = list(chain.from_iterable(self.manifests.values()))
        more = f" and {len(names) - _SHOWN_NAMES} more" if len(names) > _SHOWN_NAMES else ""
        return f"objects are {', '.join(names[:_SHOWN_NAMES]) or 'none'}{more}"


def _stated(path: Path) -> dict[str, dict[str, Any]]:
    """What a file says of each of its Cryptomattes, by key."""
    stated: dict[str, dict[str, Any]] = {}
    for header in read_header(path):
        for name, value in header.items():
            if name.startswith(_KEY) and name.count("/") == 2:
                _, key, what = name.split("/")
                stated.setdefault(key, {})[what] = value
    return {key: one for key, one in stated.items() if "name" in one}


def _manifests(path: Path) -> dict[str, Manifest]:
    """The manifest of each Cryptomatte by its name; empty where there is none."""
    manifests = {}
    for stated in _stated(path).values():
        layer = str(stated["name"])
        for what, known in (("hash", HASH), ("conversion", CONVERSION)):
            if stated.get(what, known) != known:
                raise FormatError(
                    path, f"has a Cryptomatte {layer} with the {what} {stated[what]}, not {known}"
                )
        manifests[layer] = _manifest(path, layer, stated)
    return manifests


def _manifest(path: Path, layer: str, stated: Mapping[str, Any]) -> Manifest:
    text: str | bytes = str(stated.get("manifest", "{}"))
    if "manifest" not in stated and "manif_file" in stated:
        text = _beside(path, str(stated["manif_file"]))
    try:
        names = parse_json(text)
        return {str(name): _bits(value) for name, value in names.items()}
    except (ValueError, AttributeError) as error:
        raise FormatError(path, f"has a damaged manifest of {layer}: {error}") from error


def _bits(text: Any) -> int:
    bits = int(str(text), 16)
    if not 0 <= bits < 2**32:
        raise ValueError(f"{str(text)[:20]} is no id of 32 bits")
    return bits


def _beside(path: Path, name: str) -> bytes:
    """The manifest file that a header names."""
    relative = PurePosixPath(name)
    if relative.is_absolute() or ".." in relative.parts or "\0" in name:
        raise FormatError(path, f"names a manifest outside its folder, {name!r}; copy it beside")
    try:
        return (path.parent / relative).read_bytes()
    except OSError as error:
        problem = f"has its names in {name!r}, which cannot be read; copy it beside the pictures"
        raise FormatError(path, problem) from error


def _unnamed(paths: Sequence[Path], layer: str, wanted: str | None) -> Manifest:
    """Ids of a Cryptomatte without manifest: those of the wanted names, or all by their digits."""
    found: set[int] = set()
    for path in paths:
        ids, coverages = _ranks(path, layer, None)
        found.update(int(bits) for bits in np.unique(ids[coverages > 0]))
    named = {f"{bits:08x}": bits for bits in sorted(found)}
    parts = [part.strip() for part in (wanted or "").split(",")]
    known = {name: hash_of(name) for name in (wanted or "", *parts) if name}
    return {**named, **{name: bits for name, bits in known.items() if bits in found}}


_Ranks = tuple[NDArray[np.uint32], NDArray[np.float32]]


def _ranks(path: Path, layer: str, size: Size | None) -> _Ranks:
    """Ids and coverages of a file, both (ranks, H, W)."""
    channels = {_plain(name): channel for name, channel in read_channels(path).items()}
    pairs = []
    for rank in count():
        names = [_plain(name) for name in rank_channels(layer, rank)]
        if not all(name in channels for name in names):
            break
        pairs.append(tuple(_placed(path, channels[name], size) for name in names))
    if not pairs:
        raise FormatError(path, f"lacks the channels of the Cryptomatte {layer}")
    ids = np.stack([one for one, _ in pairs]).view(np.uint32)
    coverages = np.nan_to_num(np.stack([one for _, one in pairs]), nan=0.0).clip(0, 1)
    return ids, coverages


def _placed(path: Path, channel: ExrChannel, size: Size | None) -> NDArray[np.float32]:
    pixels = channel.placed(size)
    if pixels.dtype != np.float32:
        raise FormatError(
            path,
            f"holds {channel.name} in {pixels.dtype}, which spoils ids; write Cryptomattes in "
            "32-bit float",
        )
    return pixels


def _plain(name: str) -> str:
    """A channel name in one way of writing: layer00.r for layer00.R and layer00.red."""
    start, dot, end = name.rpartition(".")
    return f"{start}{dot}{_LONG_NAMES.get(end.lower(), end.lower())}"
