"""Which objects read the same tokens: they share one affinity."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from ..errors import InputError
from ..transfer import uploaded


@dataclass(frozen=True, eq=False)
class ReadingGroup:
    """Objects that have a value for the same tokens."""

    channels: tuple[int, ...]
    """ascending"""
    token_count: int
    """tokens with a value, at least one"""
    unread: Tensor | None
    """(L,) bool on the device, tokens without a value; None where there are none"""


def reading_groups(valid: Tensor, device: torch.device) -> list[ReadingGroup]:
    """The groups, in order of their first channel.

    Args:
        valid: (n, L) bool on the host, the tokens that each object has a value for.
        device: where memory is read.

    Raises:
        InputError: an object has no token.
    """
    channels: dict[bytes, list[int]] = {}
    for channel, row in enumerate(valid.numpy()):
        channels.setdefault(row.tobytes(), []).append(channel)
    return [_group(tuple(members), valid[members[0]], device) for members in channels.values()]


def _group(channels: tuple[int, ...], valid: Tensor, device: torch.device) -> ReadingGroup:
    count = int(valid.sum())
    if count == 0:
        raise InputError("an object has no token in memory; annotate it on at least one frame")
    unread = None if count == valid.numel() else uploaded(~valid, device)
    return ReadingGroup(channels, count, unread)
