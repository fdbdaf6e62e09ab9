"""What a propagation must beat: copied masks, and masks carried along by optical flow."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

import cv2
import numpy as np
import torch
from numpy.typing import NDArray

from ..annotations import AnnotationSet
from ..candidates.request import check_count
from ..errors import InputError
from ..types import FrameSource
from .metrics import Labels


def nearest_masks(annotations: AnnotationSet, frame_count: int) -> Iterator[tuple[int, Labels]]:
    """Each frame with the label map of the annotated frame nearest to it, the earlier on a tie."""
    maps = _annotated_maps(annotations)
    for t in range(frame_count):
        yield t, maps[_nearest(t, maps)]


def flow_masks(source: FrameSource, annotations: AnnotationSet) -> Iterator[tuple[int, Labels]]:
    """Each frame with the nearest annotated label map, warped frame by frame along DIS flow.

    Kroeger et al., "Fast Optical Flow using Dense Inverse Search", ECCV 2016, as in OpenCV.
    """
    maps = _annotated_maps(annotations)
    flow = cv2.DISOpticalFlow.create(cv2.DISOPTICAL_FLOW_PRESET_MEDIUM)
    for anchor, labels in maps.items():
        yield anchor, labels
        for step in (1, -1):
            carried, before, t = labels, _gray(source, anchor), anchor + step
            while 0 <= t < len(source) and t not in maps and _nearest(t, maps) == anchor:
                here = _gray(source, t)
                motion = flow.calc(here, before, None)  # type: ignore[call-overload]
                carried = _warped(carried, motion)
                yield t, carried
                before, t = here, t + step


def _annotated_maps(annotations: AnnotationSet) -> dict[int, Labels]:
    if not len(annotations):
        raise InputError("no frame is annotated; a baseline needs one label map to copy")
    return {a.frame_index: a.label_map().numpy() for a in annotations}


def _nearest(t: int, maps: dict[int, Labels]) -> int:
    return min(maps, key=lambda a: (abs(a - t), a))


def _gray(source: FrameSource, index: int) -> NDArray[np.uint8]:
    frame = source.frame(index)
    if frame.dtype != torch.uint8:
        frame = (frame.clamp(0, 1) * 255).round().to(torch.uint8)
    return cv2.cvtColor(frame.numpy(), cv2.COLOR_RGB2GRAY).astype(np.uint8)


def _warped(labels: Labels, flow: NDArray[np.float32]) -> Labels:
    """A label map fetched from where the flow (H, W, 2) of the new frame points."""
    height, width = labels.shape
    x, y = np.meshgrid(np.arange(width, dtype=np.float32), np.arange(height, dtype=np.float32))
    moved = cv2.remap(labels, x + flow[..., 0], y + flow[..., 1], cv2.INTER_NEAREST)
    return moved.astype(np.uint8)


def uniform_candidates(frame_count: int, k: int) -> tuple[int, ...]:
    """`k` frames evenly spread over the shot, both ends included (XMem++, Eq. 1).

    Equal to floor(linspace(0, N - 1, k)); frame 0 alone for k = 1.
    """
    check_count(frame_count, k)
    return tuple(int(i) for i in np.floor(np.linspace(0, frame_count - 1, k)))


def random_candidates(
    frame_count: int, k: int, *, seed: int, annotated: Iterable[int] = ()
) -> tuple[int, ...]:
    """`k` different frames drawn by chance from those not annotated, in the order drawn.

    Fewer where fewer are left.
    """
    taken = set(annotated)
    left = [i for i in range(frame_count) if i not in taken]
    check_count(frame_count, k)
    return tuple(int(i) for i in np.random.default_rng(seed).permutation(left)[:k])
