"""Soft and anti-aliased edges in label maps: what lies between two objects and is none."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray

from ...errors import FormatError
from .png_pixels import Color

Pixels = NDArray[np.uint8]

MAX_GRAYS = 32
"""Distinct grays of a map at most, unless annotations.json names them: more are a soft matte."""

_RARE_SHARE = 0.001


def refuse_soft_grays(grays: NDArray[np.integer], known: frozenset[int], path: str | Path) -> None:
    """Raises FormatError for a map of more grays than a label map has.

    Args:
        grays: the distinct values of the map.
        known: object ids that annotations.json speaks about.
        path: name of the file, for the message.
    """
    if len(grays) > MAX_GRAYS and {int(gray) for gray in grays} - {0, *known}:
        raise FormatError(
            path,
            f"holds {len(grays)} grays, as a soft matte does; save it in black and white, cut at "
            "half, or if they are object ids, save them as a palette PNG or name them in "
            "annotations.json",
        )


def refuse_edges(count: int, path: str | Path) -> None:
    if count:
        what = "1 color covers" if count == 1 else f"{count} colors cover"
        raise FormatError(
            path,
            f"{what} under 0.1 % of the map between two frequent ones, as anti-aliased edges do; "
            "save it with hard edges: no anti-aliasing, no resampling",
        )


def gray_edges(ids: Pixels) -> int:
    """How many rare values are steps of a ramp between two frequent ones.

    A small object has a value between two others as well, so most of a value's pixels must also
    have a lower and a higher neighbor.
    """
    counts = np.bincount(ids.ravel(), minlength=256)
    frequent = np.flatnonzero(counts >= _RARE_SHARE * ids.size)
    rare = np.flatnonzero((counts > 0) & (counts < _RARE_SHARE * ids.size))
    rare = rare[(rare > frequent.min(initial=256)) & (rare < frequent.max(initial=-1))]
    if not len(rare):
        return 0
    box = np.ones((3, 3), np.uint8)
    ramp = (cv2.erode(ids, box) < ids) & (ids < cv2.dilate(ids, box))
    ramp_counts = np.bincount(ids[ramp], minlength=256)
    return int((2 * ramp_counts[rare] >= counts[rare]).sum())


def color_edges(values: Pixels, colors: tuple[Color, ...], known: Mapping[Color, int]) -> int:
    """How many rare colors are mixtures of two frequent ones.

    A known color that happens to be such a mixture counts only in company of an unknown one, or
    where most of its pixels touch both.
    """
    counts = np.bincount(values.ravel(), minlength=len(colors))
    frequent = np.flatnonzero(counts >= _RARE_SHARE * values.size)
    rare = np.flatnonzero(counts < _RARE_SHARE * values.size)
    pairs = np.stack(np.triu_indices(len(frequent), 1), 1)
    points = np.array(colors, np.float32)
    mixed = {int(c): frequent[pairs[_mixes(points[c], points[frequent], pairs)]] for c in rare}
    mixed = {c: ends for c, ends in mixed.items() if len(ends)}
    if any(colors[c] not in known for c in mixed):
        return len(mixed)
    return sum(_touches_both(values, c, ends) for c, ends in mixed.items())


def _mixes(point: NDArray, ends: NDArray, pairs: NDArray) -> NDArray:
    """Which pairs (P, 2) of the colors `ends` (F, 3) have a point (3) close to the line between."""
    start = ends[pairs[:, 0]]
    along = ends[pairs[:, 1]] - start  # (P, 3)
    square = (along**2).sum(1)
    share = np.clip(((point - start) * along).sum(1) / square, 0, 1)
    distance = np.linalg.norm(point - start - share[:, None] * along, axis=1)
    # Blending in linear light bends the line a little.
    return distance <= 2 + 0.04 * np.sqrt(square)


def _touches_both(values: Pixels, color: int, pairs: NDArray) -> bool:
    """Whether most pixels of a color lie next to both colors of one of the pairs."""
    box = np.ones((3, 3), np.uint8)
    here = values == color
    near = {int(c): cv2.dilate((values == c).astype(np.uint8), box)[here] for c in np.unique(pairs)}
    return any(2 * (near[int(a)] & near[int(b)]).sum() >= here.sum() for a, b in pairs)
