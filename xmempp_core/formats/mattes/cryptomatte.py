"""Mattes of all objects as a Cryptomatte: pairs of id and coverage in 32-bit OpenEXR."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from itertools import count
from pathlib import Path

import numpy as np
import OpenEXR
import torch
from numpy.typing import NDArray
from torch import Tensor

from .cryptomatte_ids import LAYER, RANKS_A_LAYER, header_of, manifest_of, rank_channels
from .exr import COMPRESSIONS, write_channels
from .picture import MattePicture, PictureOptions

_ROUNDING = 1e-6
"""By which a sum of float32 coverages may pass 1."""


def write_cryptomatte(path: Path, picture: MattePicture, options: PictureOptions) -> None:
    """As many ranks as the frame needs, two a layer; `level_ranks` makes them equal in a shot.

    The names of the picture's alphas are those of the objects. Background is no object: it is
    what the coverages lack to 1. Where mattes add up to more, they share.

    Raises:
        InputError: two names have the same id.
    """
    manifest = manifest_of(picture.alphas)
    channels = _channels(*ranked(picture.alphas, manifest))
    header = {**picture.exr_header, **header_of(manifest)}
    write_channels(path, channels, {"compression": COMPRESSIONS[options.compression], **header})


def ranked(
    alphas: Mapping[str, Tensor], manifest: Mapping[str, int]
) -> tuple[NDArray[np.uint32], NDArray[np.float32]]:
    """Ids and coverages, both (ranks, H, W), the largest coverage first.

    Ranks are those that any pixel needs, at least one; where a pixel needs fewer, the rest is 0.

    Args:
        alphas: (H, W) float 0..1 by name.
        manifest: id by name.
    """
    stacked = torch.stack([alpha.detach().cpu().float().clamp(0, 1) for alpha in alphas.values()])
    total = stacked.sum(0)
    stacked /= total.where(total > 1 + _ROUNDING, 1)
    coverages, order = stacked.sort(dim=0, descending=True, stable=True)
    needed = max(int((coverages > 0).flatten(1).any(1).sum()), 1)
    coverages = coverages[:needed]
    known = np.array([manifest[name] for name in alphas], np.uint32)
    ids = np.where(coverages.numpy() > 0, known[order[:needed].numpy()], np.uint32(0))
    return ids, coverages.numpy()


def level_ranks(paths: Sequence[Path]) -> None:
    """Gives all frames of a shot the ranks of that with most; what they lack is empty."""
    layers = {path: _layer_count(path) for path in paths}
    most = max(layers.values(), default=0)
    for path, own in layers.items():
        if own < most:
            _add_layers(path, range(own, most))


def _channels(
    ids: NDArray[np.uint32], coverages: NDArray[np.float32]
) -> dict[str, NDArray[np.float32]]:
    channels: dict[str, NDArray[np.float32]] = {}
    empty = np.zeros(ids.shape[1:], np.float32)
    for rank in range(-(-len(ids) // RANKS_A_LAYER) * RANKS_A_LAYER):
        pair = (ids[rank].view(np.float32), coverages[rank]) if rank < len(ids) else (empty, empty)
        channels.update(zip(rank_channels(LAYER, rank), pair, strict=True))
    return channels


def _layer_count(path: Path) -> int:
    header = OpenEXR.File(str(path), separate_channels=True, header_only=True).header()
    names = {channel.name for channel in header["channels"]}
    return next(n for n in count() if rank_channels(LAYER, n * RANKS_A_LAYER)[0] not in names)


def _add_layers(path: Path, layers: range) -> None:
    file = OpenEXR.File(str(path), separate_channels=True)
    channels = {name: channel.pixels for name, channel in file.channels().items()}
    empty = np.zeros_like(next(iter(channels.values())))
    for rank in range(layers.start * RANKS_A_LAYER, layers.stop * RANKS_A_LAYER):
        channels.update(dict.fromkeys(rank_channels(LAYER, rank), empty))
    header = {name: value for name, value in file.header().items() if name != "channels"}
    write_channels(path, channels, header)
