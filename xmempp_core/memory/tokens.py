"""Tokens on their way into memory, and prototypes made of them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from ..network.ops import similarity, tokens_of
from ..resize import cell_coverage
from ..types import Features


@dataclass(frozen=True, eq=False)
class Tokens:
    """Some cells of one frame, token-major, on their way into memory."""

    key: Tensor
    """(L, CK) float32"""
    shrinkage: Tensor
    """(L,) float32"""
    selection: Tensor
    """(L, CK) float32"""
    values: Tensor
    """(N, L, CV), one for each channel of the bank; what stands where `valid` is false is unread"""
    valid: Tensor
    """(N, L) bool, on the host: which objects have a value"""
    coverage: Tensor
    """(N, L) float32: share of the cell that the object's mask covers"""

    def chosen(self, keep: Tensor) -> Tokens:
        """The tokens that a (L,) mask or index keeps."""
        return Tokens(
            self.key[keep],
            self.shrinkage[keep],
            self.selection[keep],
            self.values[:, keep],
            self.valid[:, keep.cpu()],
            self.coverage[:, keep],
        )

    def rearranged(self, sources: Sequence[int | None]) -> Tokens:
        """The tokens for other channels: each takes an old one's values, None has none."""
        places = [c for c, source in enumerate(sources) if source is not None]
        index = [source for source in sources if source is not None]
        values = self.values.new_zeros(len(sources), *self.values.shape[1:])
        valid = self.valid.new_zeros(len(sources), *self.valid.shape[1:])
        coverage = self.coverage.new_zeros(len(sources), *self.coverage.shape[1:])
        values[places] = self.values[index]
        valid[places] = self.valid[index]
        coverage[places] = self.coverage[index]
        return Tokens(self.key, self.shrinkage, self.selection, values, valid, coverage)


def frame_tokens(
    features: Features,
    values: Tensor,
    masks: Tensor,
    channels: Sequence[int],
    object_count: int,
) -> Tokens:
    """The cells of a frame as tokens.

    Args:
        features: of the frame, (CK, h, w).
        values: (n, CV, h, w), one for each of `channels`.
        masks: (n, H', W') padded, one for each of `channels`.
        channels: the channels of the bank that get a value.
        object_count: channels of the bank.
    """
    key = tokens_of(features.key)
    rows = values.flatten(2).transpose(1, 2)  # (n, L, CV)
    all_values = rows.new_zeros(object_count, key.shape[0], rows.shape[2])
    valid = torch.zeros(object_count, key.shape[0], dtype=torch.bool)
    coverage = key.new_zeros(object_count, key.shape[0])
    for channel, row, share in zip(channels, rows, cell_coverage(masks), strict=True):
        all_values[channel], valid[channel], coverage[channel] = row, True, share
    return Tokens(
        key,
        features.shrinkage.flatten().float(),
        tokens_of(features.selection),
        all_values,
        valid,
        coverage,
    )


def potentiate(candidates: Tokens, chosen: Tensor) -> Tokens:
    """Prototypes: the chosen keys with values averaged over all candidates (XMem, Eq. 4 and 5)."""
    key, selection = candidates.key[chosen], candidates.selection[chosen]
    similarities = similarity(candidates.key, candidates.shrinkage, key, selection)
    values = torch.zeros_like(candidates.values[:, : chosen.numel()])
    for channel, valid in enumerate(candidates.valid):
        if valid.any():
            read = valid.to(key.device)
            weights = similarities.masked_fill(~read, -torch.inf).softmax(1)
            rows = torch.where(read[:, None], candidates.values[channel], 0)
            values[channel] = (weights @ rows.float()).to(values.dtype)
    shrinkage = similarities.softmax(1) @ candidates.shrinkage
    valid, coverage = candidates.valid[:, chosen.cpu()], candidates.coverage[:, chosen]
    return Tokens(key, shrinkage, selection, values, valid, coverage)
