"""Where a propagation is likely to be wrong, by its own confidence and by a pass the other way."""

from __future__ import annotations

import math
from dataclasses import replace

from torch import Tensor

from ..propagation.feature_cache import FeatureCache
from ..propagation.propagation import Propagation, propagate
from ..track.segmentation import label_map_of
from ..track.track import Track
from ..types import FrameSource, Network


def frame_uncertainty(
    network: Network, source: FrameSource, track: Track, cache: FeatureCache | None = None
) -> dict[int, float]:
    """Uncertainty 0..1 of each frame of a track, 0 where it is annotated.

    For each object it is 1 - confidence * agreement, averaged over the objects. Agreement is the
    intersection over union of the track's mask with that of a pass that comes from the other side:
    from the end of the shot back to the first annotated frame, and from its start up to it.
    """
    result = {}
    for segmentation in _opposite_pass(network, source, track, cache):
        index, labels = segmentation.frame_index, label_map_of(segmentation)
        own = track.label_map(index)
        confidences = zip(track.object_ids, track.confidence(index), strict=True)
        values = [
            1 - _certainty(confidence, own == object_id, labels == object_id)
            for object_id, confidence in confidences
            if not math.isnan(confidence)
        ]
        result[index] = sum(values) / len(values) if values else 0.0
    return result


def _certainty(confidence: float, own: Tensor, other: Tensor) -> float:
    union = int((own | other).sum())
    if union == 0:
        return 1.0
    return confidence * int((own & other).sum()) / union


def _opposite_pass(
    network: Network, source: FrameSource, track: Track, cache: FeatureCache | None
) -> Propagation:
    """A pass over the track's frames toward the first annotation."""
    held = track.frame_indices
    frame_range = range(held[0], held[-1] + 1)
    settings = replace(track.settings, direction="forward")
    opposite = propagate(
        network, source, track.annotations, settings, frame_range=frame_range, cache=cache
    )
    opposite.turn_inward()
    return opposite
