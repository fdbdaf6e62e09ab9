"""Which frames to annotate next: Algorithm 1 of XMem++, and what it is compared with."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from functools import lru_cache

import numpy as np
import torch
from torch import Tensor

from .errors import InputError, ShapeError
from .selection import Choice, FrameRows, choose_greedily, composite_key, dissimilarity, rows_of

FOREGROUND = 0.5
"""Presence above which a pixel belongs to an object."""
_ROWS_KEPT = 64
"""Frames whose rows are kept at hand; the chosen ones are asked for again and again."""


@dataclass(frozen=True, eq=False)
class Candidates:
    """Frames worth annotating next, best first, and the curve behind the choice."""

    indices: tuple[int, ...]
    """Proposed frames, positions in the shot, in order of choice."""
    scores: tuple[float, ...]
    """Score of each proposed frame when it was chosen."""
    dissimilarity: Tensor
    """(rounds, N) float64, one row for each choice made; round 1 is the curve for a timeline"""
    is_exact: Tensor
    """(rounds, N) bool; where False the dissimilarity is an upper bound. Round 1 is all True."""
    frame_indices: tuple[int, ...]
    """The N frames that were looked at, ascending positions in the shot."""
    frame_step: int = 1
    """Every how many frames the shot was looked at."""


def select_from_features(
    key: Tensor,
    shrinkage: Tensor,
    selection: Tensor,
    presence: Tensor,
    annotated: Iterable[int],
    k: int,
    alpha: float = 0.5,
    min_mask_pixels: int = 9,
    min_mask_fraction: float = 0.0,
) -> Candidates:
    """Up to `k` frames to annotate next, from features at hand (XMem++, Algorithm 1).

    Args:
        key: (N, CK, h, w).
        shrinkage: (N, 1, h, w), at least 1.
        selection: (N, CK, h, w), 0..1.
        presence: (N, C, H, W) float 0..1 of C objects, weighed as it is; label maps become
            one-hot first.
        annotated: frames annotated already, at least one; always compared against.
        k: number of frames to propose, 1..N.
        alpha: how much the objects count against the whole picture, 0..1.
        min_mask_pixels: pixels above 0.5 that a frame must have to be proposed.
        min_mask_fraction: the same as a fraction 0..1 of the H * W pixels; the larger one counts.

    Returns:
        Fewer than `k` where nothing different is left; a frame is never proposed twice.

    Raises:
        InputError: k, alpha, a minimum or an annotated frame is out of range.
        ShapeError: the tensors are not of the same frames.
    """
    _check_features(key, shrinkage, selection, presence)
    annotated = check_request(key.shape[0], annotated, k, alpha)
    minimum = minimum_pixels(presence[0, 0].numel(), min_mask_pixels, min_mask_fraction)
    strongest = [one.amax(0) for one in presence]
    proposable = [int((one > FOREGROUND).sum()) >= minimum for one in strongest]

    def rows(j: int) -> FrameRows:
        cells = presence_of_cells(strongest[j], key.shape[-2], key.shape[-1]).to(key.device)
        return rows_of(composite_key(key[j].float(), cells, alpha), shrinkage[j], selection[j])

    choice = choose_frames(rows, proposable, annotated, k)
    return candidates_of(choice, range(key.shape[0]))


def uniform_candidates(frame_count: int, k: int) -> tuple[int, ...]:
    """`k` frames evenly spread over the shot, both ends included (XMem++, Eq. 1).

    Equal to floor(linspace(0, N - 1, k)); frame 0 alone for k = 1.
    """
    _check_count(frame_count, k)
    return tuple(int(i) for i in np.floor(np.linspace(0, frame_count - 1, k)))


def random_candidates(
    frame_count: int, k: int, *, seed: int, annotated: Iterable[int] = ()
) -> tuple[int, ...]:
    """`k` different frames drawn by chance from those not annotated, in the order drawn."""
    taken = set(annotated)
    left = [i for i in range(frame_count) if i not in taken]
    _check_count(frame_count, k)
    return tuple(int(i) for i in np.random.default_rng(seed).permutation(left)[:k])


def choose_frames(
    rows: Callable[[int], FrameRows],
    proposable: Sequence[bool],
    annotated: Sequence[int],
    k: int,
    weights: Sequence[float] | None = None,
) -> Choice:
    """The greedy choice over frames whose rows `rows(j)` gives."""
    at_hand = lru_cache(_ROWS_KEPT)(rows)
    return choose_greedily(
        lambda i, j: dissimilarity(at_hand(i), rows(j)), proposable, annotated, k, weights
    )


def candidates_of(choice: Choice, frame_indices: Sequence[int], frame_step: int = 1) -> Candidates:
    """A choice among the frames that were looked at, in positions of the shot."""
    return Candidates(
        tuple(frame_indices[j] for j in choice.indices),
        choice.scores,
        choice.dissimilarity,
        choice.is_exact,
        tuple(frame_indices),
        frame_step,
    )


def presence_of_cells(strongest: Tensor, height: int, width: int) -> Tensor:
    """(height, width) float32 presence at the cells of a frame.

    Nearest neighbor of the picture's presence (H, W): the source index is floor(cell * in / out).
    """
    rows = torch.arange(height) * strongest.shape[0] // height
    columns = torch.arange(width) * strongest.shape[1] // width
    return strongest[rows][:, columns].float()


def minimum_pixels(picture_pixels: int, min_mask_pixels: int, min_mask_fraction: float) -> int:
    """Pixels of an object that a proposable frame has at least.

    Raises:
        InputError: a minimum is out of range.
    """
    if not 0 <= min_mask_fraction <= 1:
        raise InputError(
            f"min_mask_fraction is {min_mask_fraction}, allowed is 0 to 1; 0.0025 is 0.25 %"
        )
    if min_mask_pixels < 0:
        raise InputError(f"min_mask_pixels is {min_mask_pixels}, allowed is 0 and up")
    return max(min_mask_pixels, math.ceil(min_mask_fraction * picture_pixels - 1e-9))


def check_request(
    frame_count: int, annotated: Iterable[int], k: int, alpha: float
) -> tuple[int, ...]:
    """The annotated frames, ascending, if the request can be met; raises InputError otherwise."""
    _check_count(frame_count, k)
    if not 0 <= alpha <= 1:
        raise InputError(f"alpha is {alpha}, allowed is 0 (whole picture) to 1 (objects alone)")
    indices = tuple(sorted(set(annotated)))
    if not indices:
        raise InputError("no frame is annotated; annotate one frame before asking for the next")
    if indices[0] < 0 or indices[-1] >= frame_count:
        wrong = indices[0] if indices[0] < 0 else indices[-1]
        raise InputError(
            f"annotated frame {wrong} is outside the clip; its frames are 0 to {frame_count - 1}"
        )
    return indices


def _check_count(frame_count: int, k: int) -> None:
    if not 1 <= k <= frame_count:
        raise InputError(
            f"{k} frames were asked for, allowed is 1 to the clip's {frame_count}; ask for fewer"
        )


def _check_features(key: Tensor, shrinkage: Tensor, selection: Tensor, presence: Tensor) -> None:
    if key.ndim != 4 or selection.shape != key.shape:
        raise ShapeError("selection", tuple(key.shape), tuple(selection.shape), "as the key has")
    n, _, h, w = key.shape
    if shrinkage.shape != (n, 1, h, w):
        raise ShapeError("shrinkage", (n, 1, h, w), tuple(shrinkage.shape))
    if presence.ndim != 4 or presence.shape[0] != n:
        raise ShapeError(
            "masks", f"({n}, C, H, W)", tuple(presence.shape), "give masks for every frame"
        )
    if presence.shape[1] == 0:
        raise InputError("the masks hold no object; annotate at least one object first")
