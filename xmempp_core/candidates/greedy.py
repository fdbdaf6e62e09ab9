"""Greedy choice of the most dissimilar frames: the loop of Algorithm 1 with lazy upper bounds.

A frame's score is its smallest dissimilarity to any frame chosen so far, so it can only fall.
An old score is therefore an upper bound, and a round recomputes only the frames that still lead.
"""

from __future__ import annotations

import heapq
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import lru_cache

import torch
from torch import Tensor

from .dissimilarity import FrameRows, dissimilarity

Compare = Callable[[int, int], float]

_ROWS_KEPT = 128
"""Frames whose rows are kept at hand: the chosen and the leading ones are asked for again."""


@dataclass(frozen=True, eq=False)
class GreedyChoice:
    """The frames chosen, in order, and what was known about all frames in each round."""

    indices: tuple[int, ...]
    scores: tuple[float, ...]
    """Score of each chosen frame when it was chosen."""
    dissimilarity: Tensor
    """(rounds, N) float64; 0 for chosen frames and those that cannot be proposed"""
    is_exact: Tensor
    """(rounds, N) bool; where False the dissimilarity is an upper bound"""


def choose_frames(
    rows: Callable[[int], FrameRows],
    proposable: Sequence[bool],
    annotated: Sequence[int],
    count: int,
    weights: Sequence[float] | None = None,
) -> GreedyChoice:
    """The greedy choice among frames by their dissimilarity; see `choose_greedily`.

    Args:
        rows: gives the rows of a frame.
        proposable, annotated, count, weights: as for `choose_greedily`.
    """
    at_hand = lru_cache(_ROWS_KEPT)(rows)
    return choose_greedily(
        lambda i, j: dissimilarity(at_hand(i), at_hand(j)), proposable, annotated, count, weights
    )


def choose_greedily(
    compare: Compare,
    proposable: Sequence[bool],
    annotated: Sequence[int],
    count: int,
    weights: Sequence[float] | None = None,
) -> GreedyChoice:
    """Up to `count` frames, each the one with the highest score against all chosen before it.

    The score of frame j is `weights[j]` times the minimum of compare(i, j) over the annotated and
    chosen frames i. Ties go to the lowest index; where the best score is 0 the choice ends.

    Args:
        compare: dissimilarity of a chosen frame i and a frame j, at least 0.
        proposable: for each of N frames whether it may be chosen.
        annotated: frames that count as chosen from the start, at least one.
        count: how many frames to choose.
        weights: (N) at least 0; None = all 1.
    """
    bounds = _Bounds(compare, proposable, annotated, weights)
    picked: list[int] = []
    scores: list[float] = []
    values, exact = [], []
    for _ in range(count):
        best, score = bounds.best()
        values.append(bounds.values.copy())
        exact.append(bounds.exact())
        if score <= 0:
            break
        picked.append(best)
        scores.append(score)
        bounds.choose(best)
    table = torch.tensor(values, dtype=torch.float64)
    return GreedyChoice(tuple(picked), tuple(scores), table, torch.tensor(exact))


class _Bounds:
    """Upper bounds of all frames' dissimilarities, made exact one frame at a time."""

    def __init__(
        self,
        compare: Compare,
        proposable: Sequence[bool],
        annotated: Sequence[int],
        weights: Sequence[float] | None,
    ) -> None:
        count = len(proposable)
        self._compare = compare
        self._chosen = list(annotated)
        self._weights = [1.0] * count if weights is None else list(weights)
        self._compared = [0] * count
        self.values = [0.0] * count
        self._open = {j for j in range(count) if proposable[j]} - set(annotated)
        for j in self._open:
            self.values[j] = float("inf")
            self._refresh(j)
        self._heap = [(-self._score(j), j) for j in self._open]
        heapq.heapify(self._heap)

    def best(self) -> tuple[int, float]:
        """The leading frame and its exact score; score 0 where no frame is left."""
        while self._heap:
            bound, j = self._heap[0]
            if self._compared[j] == len(self._chosen):
                return j, -bound
            self._refresh(j)
            heapq.heapreplace(self._heap, (-self._score(j), j))
        return -1, 0.0

    def choose(self, j: int) -> None:
        """Count the leading frame as chosen."""
        heapq.heappop(self._heap)
        self._open.remove(j)
        self._chosen.append(j)
        self.values[j] = 0.0

    def exact(self) -> list[bool]:
        """For each frame whether its value is compared against all chosen frames."""
        done = len(self._chosen)
        return [j not in self._open or c == done for j, c in enumerate(self._compared)]

    def _score(self, j: int) -> float:
        return self._weights[j] * self.values[j]

    def _refresh(self, j: int) -> None:
        for i in self._chosen[self._compared[j] :]:
            if self.values[j] > 0:
                self.values[j] = min(self.values[j], self._compare(i, j))
        self._compared[j] = len(self._chosen)
