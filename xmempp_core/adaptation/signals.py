"""How good a result is, without the truth."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import torch
from torch import Tensor

from ..mattes.flow import correspondences, flow_picture, warped
from ..types import FrameSource
from .results import SoftMasks

LEAST_UNSTEADINESS = 0.5
"""Below it masks are as steady as masks get, and ratios say nothing."""


def overlaps(one: Tensor, other: Tensor) -> Tensor:
    """(N,) intersection over union of hard masks (N, H, W); 1 where both are empty."""
    union = (one | other).flatten(1).sum(1)
    both = (one & other).flatten(1).sum(1)
    return torch.where(union > 0, both / union.clamp(min=1), 1.0)


def unsteadiness(source: FrameSource, results: Sequence[SoftMasks]) -> Iterator[tuple[Tensor, ...]]:
    """How much the masks of neighboring frames disagree, pair by pair; every other pair counts.

    Pixels that flow shows to be the same point, weighed by its trust, whose hard masks differ in
    the two frames; over the root of the mask's area, so that it is about the share of the outline
    that flickers, in pixels.

    Args:
        source: the shot.
        results: of several passes over the same frames.

    Yields:
        For each pair of frames one tensor (N,) a result.
    """
    frames = set(results[0].frame_indices)
    for first in sorted(frames)[::2]:
        if first + 1 in frames:
            pictures = [flow_picture(source.frame(t)) for t in (first, first + 1)]
            along, _ = correspondences(*pictures)
            at_size = along.at(results[0].size(first))
            yield tuple(
                _disagreement(one.get(first), warped(one.get(first + 1), at_size), at_size.trust)
                for one in results
            )


def _disagreement(masks: Tensor, carried: Tensor, trust: Tensor) -> Tensor:
    hard = masks > 0.5
    differing = (trust * ((carried > 0.5) != hard)).flatten(1).sum(1)
    return differing / hard.flatten(1).sum(1).clamp(min=1).sqrt()


def worst_ratio(unsteady: Sequence[float], given: Sequence[float]) -> float:
    """How many times as unsteady as the given network's the masks of the worst object are."""
    pairs = zip(unsteady, given, strict=True)
    floor = LEAST_UNSTEADINESS
    return max(max(one, floor) / max(other, floor) for one, other in pairs)
