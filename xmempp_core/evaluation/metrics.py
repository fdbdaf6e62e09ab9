"""Region similarity J, contour accuracy F and their mean, as DAVIS defines them.

Perazzi et al., "A Benchmark Dataset and Evaluation Methodology for Video Object Segmentation",
CVPR 2016, section 4.
"""

from __future__ import annotations

import math
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass
from functools import lru_cache

import cv2
import numpy as np
from numpy.typing import NDArray

from ..errors import InputError, ShapeError

Mask = NDArray[np.bool_]
Labels = NDArray[np.uint8]

BOUNDARY_TOLERANCE = 0.008
"""Distance at which contours still match, in parts of the picture's diagonal."""


@dataclass(frozen=True)
class FrameScore:
    """How well one object was segmented on one frame."""

    frame_index: int
    object_id: int
    j: float
    """region similarity 0..1"""
    f: float
    """contour accuracy 0..1"""


@dataclass(frozen=True)
class Score:
    """J and F, means 0..1."""

    j: float
    f: float

    @property
    def jf(self) -> float:
        """J&F: the mean of both."""
        return (self.j + self.f) / 2


def region_similarity(mask: Mask, truth: Mask) -> float:
    """J: intersection over union of two (H, W) masks; 1 where both are empty."""
    union = int(np.count_nonzero(mask | truth))
    return int(np.count_nonzero(mask & truth)) / union if union else 1.0


def contour_accuracy(mask: Mask, truth: Mask) -> float:
    """F: harmonic mean of the precision and the recall of the contour of (H, W) masks.

    A contour pixel matches where the other contour runs within 0.8 % of the diagonal.
    """
    radius = math.ceil(BOUNDARY_TOLERANCE * math.hypot(*mask.shape))
    found, wanted = contour(mask), contour(truth)
    n_found, n_wanted = int(np.count_nonzero(found)), int(np.count_nonzero(wanted))
    if n_found == 0 or n_wanted == 0:
        return float(n_found == n_wanted)
    window = _window(found | wanted, radius)
    found, wanted = found[window], wanted[window]
    precision = int(np.count_nonzero(found & _thickened(wanted, radius))) / n_found
    recall = int(np.count_nonzero(wanted & _thickened(found, radius))) / n_wanted
    total = precision + recall
    return 2 * precision * recall / total if total else 0.0


def contour(mask: Mask) -> Mask:
    """Pixels that differ from their right, lower or lower right neighbor (H, W)."""
    padded = np.pad(mask, ((0, 1), (0, 1)), mode="edge")
    differs = (mask != padded[:-1, 1:]) | (mask != padded[1:, :-1]) | (mask != padded[1:, 1:])
    return np.asarray(differs)


def score_frames(
    predicted: Mapping[int, Labels],
    truth: Mapping[int, Labels],
    annotated: Collection[int] = (),
    void: Mapping[int, Mask] | None = None,
) -> list[FrameScore]:
    """J and F of every object on every frame that has a truth and is not annotated.

    Objects are those of the truth. An object counts from the first frame on which the truth or
    the prediction shows it, as in the public benchmark code.

    Args:
        predicted: label maps (H, W) by frame index; every frame that is scored.
        truth: label maps (H, W) by frame index; may be sparse.
        annotated: frames that were given to the method and so are not counted.
        void: pixels (H, W) by frame index that belong to nobody; there, neither counts.

    Raises:
        InputError: a frame was not predicted.
        ShapeError: a prediction has another size than the truth.
    """
    frames = [t for t in sorted(truth) if t not in annotated]
    seen: set[int] = set()
    wanted: set[int] = set()
    scores = []
    for t in frames:
        if t not in predicted:
            raise InputError(f"frame {t} has a true mask but was not predicted; predict all frames")
        if predicted[t].shape != truth[t].shape:
            raise ShapeError(f"predicted mask of frame {t}", truth[t].shape, predicted[t].shape)
        nobody = (void or {}).get(t)
        found, right = (
            labels if nobody is None else np.where(nobody, 0, labels)
            for labels in (predicted[t], truth[t])
        )
        present = set(np.unique(right).tolist()) - {0}
        wanted |= present
        seen |= present | (set(np.unique(found).tolist()) - {0})
        for object_id in sorted(seen):
            mask, true = found == object_id, right == object_id
            scores.append(
                FrameScore(
                    t, object_id, region_similarity(mask, true), contour_accuracy(mask, true)
                )
            )
    return [score for score in scores if score.object_id in wanted]


def temporal_error(
    predicted: Mapping[int, Labels],
    truth: Mapping[int, Labels],
    annotated: Collection[int] = (),
    void: Mapping[int, Mask] | None = None,
) -> float | None:
    """dtSSD: how far the masks change from frame to frame where the true ones do not.

    The root of the mean square of (change of the mask - change of the true mask) over the pixels,
    mean over the pairs of successive frames that both have a truth, the mean of that over the
    objects. 0 is best. Pairs of two annotated frames are left out.

    Erofeev et al., "Perceptually Motivated Benchmark for Video Matting", BMVC 2015; of hard masks.

    Args:
        predicted: label maps (H, W) by frame index; every frame that has a truth.
        truth: label maps (H, W) by frame index; may be sparse.
        annotated: frames that were given to the method.
        void: pixels (H, W) by frame index that belong to nobody; there, no change counts.

    Returns:
        None where there is no such pair, or no object.
    """
    pairs = [(t, t + 1) for t in sorted(truth) if t + 1 in truth and not {t, t + 1} <= {*annotated}]
    ids = {int(i) for t in truth for i in np.unique(truth[t])} - {0}
    values = []
    for object_id in sorted(ids):
        errors = []
        for t, after in pairs:
            drift = _change(predicted, t, after, object_id) - _change(truth, t, after, object_id)
            for nobody in (one for i in (t, after) if (one := (void or {}).get(i)) is not None):
                drift[nobody] = 0
            errors.append(math.sqrt(float(np.square(drift).mean())))
        values.append(errors)
    return float(np.mean(values)) if pairs and ids else None


def _change(maps: Mapping[int, Labels], before: int, after: int, object_id: int) -> NDArray:
    """(H, W) int8 change of an object's mask: -1, 0 or 1."""
    masks = [(maps[t] == object_id).astype(np.int8) for t in (before, after)]
    return np.asarray(masks[1] - masks[0])


def mean_score(scores: Iterable[FrameScore]) -> Score:
    """Mean over objects of each object's mean over frames, as DAVIS averages a sequence.

    Raises:
        InputError: there is nothing to average.
    """
    by_object: dict[int, list[FrameScore]] = {}
    for score in scores:
        by_object.setdefault(score.object_id, []).append(score)
    if not by_object:
        raise InputError(
            "no frame can be scored: every frame with a true mask is annotated or shows no object"
        )
    means = [
        (np.mean([s.j for s in group]), np.mean([s.f for s in group]))
        for group in by_object.values()
    ]
    return Score(float(np.mean([m[0] for m in means])), float(np.mean([m[1] for m in means])))


def _window(mask: Mask, margin: int) -> tuple[slice, slice]:
    rows, columns = np.flatnonzero(mask.any(1)), np.flatnonzero(mask.any(0))
    return (
        slice(max(int(rows[0]) - margin, 0), int(rows[-1]) + margin + 1),
        slice(max(int(columns[0]) - margin, 0), int(columns[-1]) + margin + 1),
    )


def _thickened(mask: Mask, radius: int) -> Mask:
    return cv2.dilate(mask.astype(np.uint8), _disk(radius)).astype(bool)


@lru_cache(8)
def _disk(radius: int) -> Labels:
    """(2 r + 1, 2 r + 1) disk of ones."""
    y, x = np.ogrid[-radius : radius + 1, -radius : radius + 1]
    return (x * x + y * y <= radius * radius).astype(np.uint8)
