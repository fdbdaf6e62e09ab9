"""Labels for the second round: the shot's own results, where they are surest.

Four results are averaged: a pass and frames segmented each alone, by the network of the first
round, and passes at two smaller sizes by networks adapted at these sizes. The small ones are right
in the large where the others broke, and wrong only at the edges, which training at full size mends.
Where a mask is thin, only those at full size count. The mean is steadied along the motion.
"""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from ..annotations import Annotation, AnnotationSet
from ..mattes.flow import odd_pixels_at
from ..mattes.steady import REACH_FRAMES, SoftFrame, steadied, thin_parts
from ..types import FrameSource, Size
from .results import SoftMasks
from .signals import overlaps

PARTS = 6
"""Parts of the shot; each gives one frame at most."""
LEAST_TRUST = 1.4
"""Sum of the overlaps of the pass with the mean and with frames alone, from which on it is sure."""
_THIN_PIXELS = 7
_ROUNDS = 2


@dataclass(frozen=True, eq=False)
class RoundResults:
    """The four results that labels are made of."""

    passed: SoftMasks
    """by the network of the first round, frame after frame"""
    alone: SoftMasks
    """by it, each frame alone"""
    small: Sequence[SoftMasks]
    """passes at smaller sizes, by networks adapted at them"""

    def mean(self, frame_index: int) -> Tensor:
        """(N, h, w) mean of the four; of the two at full size where the mask is thin."""
        full = [one.get(frame_index) for one in (self.passed, self.alone)]
        size = Size(*full[0].shape[1:])
        small = [_enlarged(one.get(frame_index), size) for one in self.small]
        mean, fine = torch.stack([*full, *small]).mean(0), torch.stack(full).mean(0)
        width_pixels = odd_pixels_at(_THIN_PIXELS, size, least=3)
        thin = torch.stack([thin_parts(mask, width_pixels) for mask in full[0] > 0.5])
        return torch.where(thin, fine, mean)

    def trust(self, frame_index: int) -> Tensor:
        """(N,) 0..2 how far the pass agrees with the mean and with frames alone; NaN if empty."""
        passed, alone = self.passed.hard(frame_index), self.alone.hard(frame_index)
        size = Size(*passed.shape[1:])
        full = [one.get(frame_index) for one in (self.passed, self.alone)]
        small = [_enlarged(one.get(frame_index), size) for one in self.small]
        mean = torch.stack([*full, *small]).mean(0) > 0.5
        seen = passed.flatten(1).any(1) & alone.flatten(1).any(1)
        total = overlaps(passed, mean) + overlaps(passed, alone)
        return torch.where(seen, total, torch.nan)


def _enlarged(masks: Tensor, size: Size) -> Tensor:
    if tuple(masks.shape[1:]) == tuple(size):
        return masks
    return F.interpolate(masks[None], tuple(size), mode="bilinear", align_corners=False)[0]


def chosen_frames(
    trust: dict[int, Tensor], annotated: Sequence[int], frame_count: int
) -> dict[int, list[int]]:
    """For each chosen frame the channels that are sure there.

    In each sixth of the shot the frame of which the worst seen object is surest, if it is sure
    enough and not beside an annotated frame.

    Args:
        trust: (N,) by frame, see `RoundResults.trust`.
        annotated: annotated frames.
        frame_count: frames of the shot.
    """
    edges = np.linspace(0, frame_count, PARTS + 1).astype(int)
    least_distance = max(2, frame_count // 25)
    chosen = {}
    for low, high in itertools.pairwise(edges):
        far = [t for t in range(low, high) if min(abs(t - a) for a in annotated) >= least_distance]
        scores = {t: _score(trust[t]) for t in far if t in trust}
        best = max(scores, key=lambda t: scores[t], default=None)
        if best is not None and scores[best] > LEAST_TRUST:
            chosen[int(best)] = torch.nonzero(~trust[best].isnan()).flatten().tolist()
    return chosen


def _score(trust: Tensor) -> float:
    """The trust of the worst object that is seen; 0 where none is."""
    seen = trust[~trust.isnan()]
    return float(seen.min()) if len(seen) else 0.0


def label_frame(
    source: FrameSource,
    annotations: AnnotationSet,
    results: RoundResults,
    frame_index: int,
    channels: Sequence[int],
) -> Annotation:
    """The label of a chosen frame at internal size, for the objects that are sure there.

    Args:
        source: the shot.
        annotations: what the artist said; their masks stand.
        results: of the first round.
        frame_index: the frame.
        channels: positions of the sure objects among `annotations.object_ids`.
    """
    reach = REACH_FRAMES * _ROUNDS
    held = results.passed.frame_indices
    near = [t for t in range(frame_index - reach, frame_index + reach + 1) if t in held]
    frames = (_soft_frame(source, annotations, results, t) for t in near)
    steady = dict(zip(near, steadied(frames, _ROUNDS), strict=True))[frame_index]
    best = steady.argmax(0)
    ids = tuple(annotations.object_ids[c] for c in channels)
    return Annotation(frame_index, ids, torch.stack([best == c + 1 for c in channels]))


def _soft_frame(
    source: FrameSource, annotations: AnnotationSet, results: RoundResults, frame_index: int
) -> SoftFrame:
    annotation = annotations.at(frame_index)
    listed = annotation.object_ids if annotation else ()
    absent = {*annotations.absent_at(frame_index)}
    if annotation is not None and annotation.exhaustive:
        absent.update(annotations.object_ids)
    known = tuple(i in listed or i in absent for i in annotations.object_ids)
    masks = results.mean(frame_index)
    if any(known):  # the pass gives what is known exactly
        own = torch.tensor(known)[:, None, None]
        masks = torch.where(own, results.passed.get(frame_index), masks)
    background = (1 - masks.sum(0, keepdim=True)).clamp(min=0)
    return SoftFrame(frame_index, source.frame(frame_index), torch.cat([background, masks]), known)
