"""Smart select: from a stroke inside an object, and perhaps a loose ring around it, to its mask.

OpenCV's GrabCut (Rother, Kolmogorov and Blake 2004) on the box of the ring; without one, on the
box of the stroke doubled. It is a proposal to accept and to paint on.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from .errors import InputError, ShapeError
from .types import Size

MAX_SIDE_PIXELS = 480
"""Longer side at which the box is cut; the mask is enlarged."""
MAX_STROKE_POINTS = 20_000
MAX_RADIUS_PIXELS = 10_000
_ITERATIONS = 4
_LEAST_BOX_PIXELS = 16
_MARGIN = 0.05
"""Share of the ring's box put around it: GrabCut learns the background there."""

Point = tuple[float, float]
Pixels = NDArray[np.uint8]


@dataclass(frozen=True)
class SelectStroke:
    """What the artist drew, in pixels of the frame, x to the right and y down."""

    inside: tuple[Point, ...]
    """A stroke within the object, at least one point."""
    ring: tuple[Point, ...] | None = None
    """A loose line around it, at least three points; None = not drawn."""
    radius_pixels: float = 4.0
    """Half the width of the stroke, more than 0."""

    def __post_init__(self) -> None:
        if not self.inside:
            raise InputError("nothing is drawn inside the object; draw a stroke in it")
        if self.ring is not None and len(self.ring) < 3:
            raise InputError("the ring around the object has less than 3 points; draw it larger")
        if max(len(self.inside), len(self.ring or ())) > MAX_STROKE_POINTS:
            raise InputError(f"a stroke has more than {MAX_STROKE_POINTS} points; draw it shorter")
        if not 0 < self.radius_pixels <= MAX_RADIUS_PIXELS:
            raise InputError(
                f"radius_pixels is {self.radius_pixels}, allowed is more than 0, at most "
                f"{MAX_RADIUS_PIXELS}"
            )
        for x, y in (*self.inside, *(self.ring or ())):
            if not (abs(x) < 1e6 and abs(y) < 1e6):  # NaN too
                raise InputError("a stroke leaves the picture too far; draw it on the frame")


def smart_select(frame: Pixels, stroke: SelectStroke) -> NDArray[np.bool_]:
    """The mask of what was stroked.

    The same frame and stroke give the same mask. The stroke lies in it; nothing outside the ring
    does.

    Args:
        frame: (H, W, 3) uint8 RGB.
        stroke: what was drawn.

    Returns:
        (H, W) bool.

    Raises:
        ShapeError: the frame is no RGB picture.
        InputError: the stroke or the ring lies outside the frame, or they do not meet.
    """
    if frame.ndim != 3 or frame.shape[2] != 3 or frame.dtype != np.uint8:
        raise ShapeError("frame", "(H, W, 3) uint8", (*frame.shape, str(frame.dtype)))
    size = Size(*frame.shape[:2])
    drawn, ring = _stroke_mask(size, stroke), _ring_mask(size, stroke)
    inside = drawn if ring is None else drawn & ring
    if not inside.any():
        what = "the frame" if ring is None else "the ring around it"
        raise InputError(f"the stroke lies outside {what}; draw it inside the object")
    top, bottom, left, right = _box(inside, ring)
    box = slice(top, bottom), slice(left, right)
    cut = _cut(frame[box], inside[box], None if ring is None else ring[box])
    mask = np.zeros(size, np.bool_)
    mask[box] = cut
    return (mask if ring is None else mask & ring) | inside


def _cut(
    frame: Pixels, inside: NDArray[np.bool_], ring: NDArray[np.bool_] | None
) -> NDArray[np.bool_]:
    """GrabCut of one box at MAX_SIDE_PIXELS at most, enlarged to the box."""
    height, width = inside.shape
    scale = min(1.0, MAX_SIDE_PIXELS / max(height, width))
    small = max(round(width * scale), 2), max(round(height * scale), 2)
    picture = np.asarray(cv2.resize(frame, small, interpolation=cv2.INTER_AREA), np.uint8)
    known = np.full(small[::-1], cv2.GC_PR_FGD, np.uint8)
    if ring is not None:
        known[cv2.resize(ring.astype(np.uint8), small, interpolation=cv2.INTER_AREA) == 0] = (
            cv2.GC_BGD
        )
    else:
        _mark_border(known)
    # any pixel of a thin stroke counts, however much is shrunk
    shrunk = cv2.resize(inside.astype(np.float32), small, interpolation=cv2.INTER_AREA)
    known[shrunk > 0] = cv2.GC_FGD
    if not (known == cv2.GC_BGD).any():
        return np.ones((height, width), np.bool_)
    found = _grab(picture, known)
    soft = cv2.resize(found.astype(np.float32), (width, height), interpolation=cv2.INTER_LINEAR)
    return soft >= 0.5


def _grab(picture: Pixels, known: Pixels) -> NDArray[np.bool_]:
    """(h, w) bool: what GrabCut takes for the object."""
    background, foreground = np.zeros((1, 65)), np.zeros((1, 65))
    cv2.setRNGSeed(0)  # its k-means begins at random
    cv2.grabCut(
        picture, known, (0, 0, 1, 1), background, foreground, _ITERATIONS, cv2.GC_INIT_WITH_MASK
    )
    return (known == cv2.GC_FGD) | (known == cv2.GC_PR_FGD)


def _mark_border(known: Pixels) -> None:
    """Without a ring the border of the box is taken for background."""
    known[[0, -1], :] = cv2.GC_BGD
    known[:, [0, -1]] = cv2.GC_BGD


def _stroke_mask(size: Size, stroke: SelectStroke) -> NDArray[np.bool_]:
    mask = np.zeros(size, np.uint8)
    points = _points(stroke.inside)
    radius = max(round(stroke.radius_pixels), 1)
    cv2.polylines(mask, [points], False, 1, thickness=min(2 * radius, 32767))
    for x, y in points[[0, -1], 0]:
        cv2.circle(mask, (int(x), int(y)), radius, 1, thickness=-1)
    return mask.astype(np.bool_)


def _ring_mask(size: Size, stroke: SelectStroke) -> NDArray[np.bool_] | None:
    """(H, W) bool inside of the ring; None without one."""
    if stroke.ring is None:
        return None
    mask = np.zeros(size, np.uint8)
    cv2.fillPoly(mask, [_points(stroke.ring)], 1)
    if not mask.any():
        raise InputError("the ring lies outside the frame; draw it around the object")
    return mask.astype(np.bool_)


def _points(points: Sequence[Point]) -> NDArray[np.int32]:
    return np.round(np.array(points, np.float64)).astype(np.int32)[:, None]


def _box(inside: NDArray[np.bool_], ring: NDArray[np.bool_] | None) -> tuple[int, int, int, int]:
    """Top, bottom, left, right (ends excluded) of what is cut."""
    rows, columns = np.nonzero(inside if ring is None else ring)
    grow = 0.5 if ring is None else _MARGIN
    top, bottom = _grown(rows, grow, inside.shape[0])
    left, right = _grown(columns, grow, inside.shape[1])
    return top, bottom, left, right


def _grown(places: NDArray[np.intp], share: float, length: int) -> tuple[int, int]:
    """First and end of an extent, longer by a share of it at both sides, within the picture."""
    first, end = int(places.min()), int(places.max()) + 1
    more = max(round((end - first) * share), _LEAST_BOX_PIXELS)
    return max(first - more, 0), min(end + more, length)
