"""The dissimilarity of two frames in Algorithm 1 of XMem++, and the keys it compares."""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch import Tensor

from ..network.ops import memory_rows, query_rows, tokens_of

_BLOCK_BYTES = 1 << 20
"""Part of a pair's matrix that is computed at a time on the CPU, so that it stays in cache."""
_ROUNDING = 4 * torch.finfo(torch.float32).eps
"""Dissimilarities below this part of their summands' size are rounding, not difference."""


class FrameRows(NamedTuple):
    """One frame as the similarity sees it: L cells as memory and as query."""

    memory: Tensor
    """(L, R) float32"""
    query: Tensor
    """(L, R) float32"""
    memory_norm: float
    """mean length of the memory rows"""
    query_norm: float
    """mean length of the query rows"""


def rows_of(key: Tensor, shrinkage: Tensor, selection: Tensor) -> FrameRows:
    """Rows of a frame from its maps key (CK, h, w), shrinkage (1, h, w), selection (CK, h, w)."""
    tokens = tokens_of(key)
    memory = memory_rows(tokens, tokens_of(shrinkage)[:, 0])
    query = query_rows(tokens, tokens_of(selection))
    norms = (float(rows.norm(dim=1).mean()) for rows in (memory, query))
    return FrameRows(memory, query, *norms)


def composite_key(key: Tensor, presence: Tensor, alpha: float) -> Tensor:
    """Keys weighed by the presence of objects: k * (alpha * b + 1 - alpha), Algorithm 1, line 3.

    Args:
        key: (CK, h, w).
        presence: (h, w) float 0..1, the strongest object in each cell.
        alpha: how much the objects count against the whole picture, 0..1.
    """
    return key * (presence * alpha + (1 - alpha))


def dissimilarity(chosen: FrameRows, other: FrameRows) -> float:
    """Mean of max(0, S(chosen -> other) - S(other -> chosen)) over all pairs of cells.

    The difference of the two similarities is one matrix product over joined rows:
    [m_chosen, m_other] [q_other, -q_chosen]^T. Entry (a, b) is of cell a of the memory frame and
    cell b of the query frame in both terms (XMem++, Algorithm 1).
    """
    left = torch.cat([chosen.memory, other.memory], 1)
    right = torch.cat([other.query, -chosen.query], 1).t()
    blocks = left.split(_block_rows(left, right))
    total = sum(float((block @ right).relu_().sum()) for block in blocks)
    mean = total / (left.shape[0] * right.shape[1])
    return mean if mean > _ROUNDING * _summand_size(chosen, other) else 0.0


def _block_rows(left: Tensor, right: Tensor) -> int:
    """Rows that are computed at a time: all of them on a GPU."""
    if left.device.type != "cpu":
        return left.shape[0]
    return max(16, _BLOCK_BYTES // (4 * right.shape[1]))


def presence_of_cells(strongest: Tensor, height: int, width: int) -> Tensor:
    """(height, width) float32 presence at the cells of a frame.

    Nearest neighbor of the picture's presence (H, W): the source index is floor(cell * in / out).
    """
    rows = torch.arange(height) * strongest.shape[0] // height
    columns = torch.arange(width) * strongest.shape[1] // width
    return strongest[rows][:, columns].float()


def _summand_size(one: FrameRows, other: FrameRows) -> float:
    """A bound on the mean size of the two similarities that are subtracted (Cauchy-Schwarz)."""
    return one.memory_norm * other.query_norm + other.memory_norm * one.query_norm
