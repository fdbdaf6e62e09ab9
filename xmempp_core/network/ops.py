"""Similarity, top-k softmax, read-out and aggregation: pure functions on tensors.

Memory and queries are token-major: one row a cell, so that the rows chosen by top-k lie together.
All of it computes in float32 whatever the network's dtype.
"""

from __future__ import annotations

import math
from typing import NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor

PROBABILITY_FLOOR = 1e-7
GROUP = 16
"""Tokens of a group of the top-k search."""


class Affinity(NamedTuple):
    """For each query cell the memory tokens it reads, and how much of each."""

    tokens: Tensor
    """(Q, K) int64 positions in memory"""
    weights: Tensor
    """(Q, K) float32, each row sums to 1"""


def tokens_of(features: Tensor) -> Tensor:
    """(h * w, C) float32 contiguous tokens of a map (C, h, w), row-major."""
    return features.flatten(1).t().float().contiguous()


def similarity(
    memory_key: Tensor,
    memory_shrinkage: Tensor | None,
    query_key: Tensor,
    query_selection: Tensor | None,
    out: Tensor | None = None,
) -> Tensor:
    """(Q, L) anisotropic L2 similarity, at most 0 (XMem, Eq. 2).

    S(m, q) = s_m / sqrt(CK) * -sum_c e_q[c] (k_m[c] - k_q[c])^2, as one product of query rows
    [-e, 2 e k, -sum e k^2] with memory rows [k^2, k, 1] * s / sqrt(CK). Without a selection the
    query's own square, the same for all tokens, is dropped.

    Args:
        memory_key: (L, CK).
        memory_shrinkage: (L,), or None for 1.
        query_key: (Q, CK).
        query_selection: (Q, CK), or None for the plain similarity.
        out: optional (Q, L) float32 buffer that receives the result.
    """
    return similarity_of(memory_rows(memory_key, memory_shrinkage), query_key, query_selection, out)


def memory_rows(key: Tensor, shrinkage: Tensor | None) -> Tensor:
    """(L, 2 CK + 1) float32: the memory side of the similarity, s / sqrt(CK) * [k^2, k, 1]."""
    scale = 1 / math.sqrt(key.shape[-1])
    weight = torch.full_like(key[:, :1], scale) if shrinkage is None else shrinkage[:, None] * scale
    return torch.cat([key * key, key, torch.ones_like(weight)], 1) * weight


def query_rows(key: Tensor, selection: Tensor | None) -> Tensor:
    """(Q, 2 CK + 1) float32: the query side, [-e, 2 e k, -sum e k^2]."""
    if selection is None:
        return torch.cat([torch.full_like(key, -1), 2 * key, torch.zeros_like(key[:, :1])], 1)
    weighted = selection * key
    square = (weighted * key).sum(1, keepdim=True)
    return torch.cat([-selection, 2 * weighted, -square], 1)


def similarity_of(
    rows: Tensor, query_key: Tensor, query_selection: Tensor | None, out: Tensor | None = None
) -> Tensor:
    """(Q, L) similarity from prepared `memory_rows`; see `similarity`."""
    return torch.mm(query_rows(query_key, query_selection), rows.t(), out=out)


def top_k_affinity(similarities: Tensor, top_k: int | None) -> Affinity:
    """Softmax over the `top_k` most similar tokens of each query (all with None).

    Args:
        similarities: (Q, L) float32.
        top_k: how many; fewer where memory holds fewer.
    """
    count = similarities.shape[1]
    if top_k is None or top_k >= count:
        tokens = torch.arange(count, device=similarities.device).expand_as(similarities)
        return Affinity(tokens, similarities.softmax(1))
    values, tokens = _top_k(similarities, top_k)
    return Affinity(tokens, values.softmax(1))


def _top_k(similarities: Tensor, k: int) -> tuple[Tensor, Tensor]:
    """The k largest of each row (Q, L) and where they stand, both (Q, k), in no order.

    Long rows are split into groups of 16: the k largest lie in the k groups with the largest
    maxima, so that most of a row is looked at once.
    """
    count = similarities.shape[1]
    groups = count // GROUP
    if groups < 2 * k:
        values, tokens = similarities.topk(k, 1, sorted=False)
        return values, tokens
    # Group j holds the tokens j, j + groups, j + 2 groups, ...
    grouped = similarities[:, : groups * GROUP].unflatten(1, (GROUP, groups))
    best = grouped.amax(1).topk(k, 1, sorted=False).indices  # (Q, k)
    members = torch.arange(GROUP, device=best.device) * groups
    rest = torch.arange(groups * GROUP, count, device=best.device).expand(len(best), -1)
    tokens = torch.cat([(best[:, :, None] + members).flatten(1), rest], 1)
    values, places = similarities.gather(1, tokens).topk(k, 1, sorted=False)
    return values, tokens.gather(1, places)


def readout(affinity: Affinity, values: Tensor) -> Tensor:
    """(Q, CV) weighted sum of the chosen values, gathered row by row.

    Args:
        affinity: of Q queries over L tokens.
        values: (L, CV).
    """
    weights = affinity.weights.to(values.dtype)
    return F.embedding_bag(affinity.tokens, values, per_sample_weights=weights, mode="sum")


def aggregate_usage(affinity: Affinity, count: int) -> Tensor:
    """(L,) float32: how much each of `count` tokens was read, summed over the queries."""
    usage = affinity.weights.new_zeros(count)
    return usage.index_add_(0, affinity.tokens.flatten(), affinity.weights.flatten())


def reduced(probabilities: Tensor, kept: Tensor) -> Tensor:
    """(N + 1, ...) probabilities with a share of the objects' given to the background.

    Unlike `aggregate` it leaves the other objects as they are.

    Args:
        probabilities: (N + 1, ...) that sum to 1, background first.
        kept: (N, ...) 0..1, what each object keeps of its own.
    """
    objects = probabilities[1:] * kept
    background = (1 - objects.sum(0, keepdim=True)).clamp(min=0)
    return torch.cat([background, objects])


def aggregate(probabilities: Tensor) -> Tensor:
    """(N + 1, ...) float32 probabilities that sum to 1, background first (XMem, soft aggregation).

    Args:
        probabilities: (N, ...) independent object probabilities 0..1.
    """
    p = probabilities.float()
    q = torch.cat([(1 - p).prod(0, keepdim=True), p])
    return torch.logit(q, eps=PROBABILITY_FLOOR).softmax(0)
