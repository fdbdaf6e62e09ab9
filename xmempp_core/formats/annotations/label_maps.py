"""Label-map PNGs: one picture whose pixels are object ids, 0 = background.

Palette and grey pictures hold the ids themselves. In a color picture each color is an object; which
id it gets is decided over all pictures of a folder, so that ids agree between frames.
"""

from __future__ import annotations

import io
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np
import torch
from numpy.typing import NDArray
from PIL import Image
from torch import Tensor

from ...annotations import MAX_OBJECT_ID
from ...atomic import write_bytes
from ...errors import FormatError

Color = tuple[int, int, int]
Pixels = NDArray[np.uint8]

_RARE_SHARE = 0.001
_BACKGROUND: Color = (0, 0, 0)


def _palette_color(object_id: int) -> Color:
    """Color of an id: its bits, lowest first, in turn to the high bits of red, green and blue."""
    red, green, blue = 0, 0, 0
    for bit in range(8):
        shift = 7 - bit
        red |= (object_id >> (3 * bit) & 1) << shift
        green |= (object_id >> (3 * bit + 1) & 1) << shift
        blue |= (object_id >> (3 * bit + 2) & 1) << shift
    return red, green, blue


PALETTE: tuple[Color, ...] = tuple(_palette_color(i) for i in range(MAX_OBJECT_ID + 1))
"""RGB color of each id 0..255, as in the PASCAL VOC and DAVIS data sets."""

_PALETTE_IDS: dict[Color, int] = {color: i for i, color in enumerate(PALETTE)}


@dataclass(frozen=True, eq=False)
class RawMap:
    """A label map as its file has it, before colors have ids."""

    name: str
    """Name of the file, for messages."""
    values: Pixels
    """(H, W): ids, or positions in `colors`"""
    colors: tuple[Color, ...] | None
    """The colors by first appearance; None where the values are ids."""


def read_label_map(path: str | Path) -> Tensor:
    """(H, W) uint8 object ids of one PNG file.

    Colors of the palette give their ids, others are numbered by first appearance in this picture.

    Raises:
        FormatError: the file cannot be read or holds anti-aliased edges.
    """
    try:
        data = Path(path).read_bytes()
    except OSError as error:
        raise FormatError(path, f"cannot be read: {error.strerror}") from error
    raw = decode_map(data, path)
    return torch.from_numpy(labels_of(raw, number_colors([raw], path)))


def write_label_map(
    path: str | Path, labels: Tensor, colors: Mapping[int, Color] | None = None
) -> None:
    """Write object ids (H, W) uint8 as a palette PNG; see `encode_label_map`."""
    write_bytes(path, encode_label_map(labels, colors))


def encode_label_map(labels: Tensor, colors: Mapping[int, Color] | None = None) -> bytes:
    """Palette PNG whose indices are the object ids (H, W) uint8.

    `colors` by id replace those of the palette.
    """
    shown = list(PALETTE)
    for object_id, color in (colors or {}).items():
        shown[object_id] = color
    image = Image.fromarray(np.ascontiguousarray(labels.cpu().numpy().astype(np.uint8)))
    image.putpalette([channel for color in shown for channel in color])
    buffer = io.BytesIO()
    image.save(buffer, "PNG", compress_level=4)
    return buffer.getvalue()


def decode_map(data: bytes, path: str | Path, known: Mapping[Color, int] | None = None) -> RawMap:
    """The label map of a PNG file's bytes.

    Args:
        data: the file.
        path: its name, for messages.
        known: ids of colors beyond the palette's.

    Raises:
        FormatError: it is no PNG, is damaged, holds an id above 255, too many colors or
            anti-aliased edges.
    """
    pixels, is_palette = _pixels_of(data, path)
    if pixels.ndim == 2:
        if pixels.max(initial=0) > MAX_OBJECT_ID:
            raise FormatError(path, f"holds the grey value {pixels.max()}; object ids end at 255")
        ids = pixels.astype(np.uint8)
        if not is_palette:
            _refuse_edges(_grey_edges(ids), path)
        return RawMap(Path(path).name, ids, None)
    values, colors = _distinct_colors(pixels, path)
    _refuse_edges(_color_edges(values, colors, {**_PALETTE_IDS, **(known or {})}), path)
    return RawMap(Path(path).name, values, colors)


def number_colors(
    maps: Iterable[RawMap], where: str | Path, known: Mapping[Color, int] | None = None
) -> dict[Color, int]:
    """Id of every color in the maps of one folder.

    Known colors come first, then the palette's; the others take the lowest free ids in the order
    in which they appear.

    Raises:
        FormatError: there are more than 255.
    """
    maps = list(maps)
    seen = dict.fromkeys(color for raw in maps for color in raw.colors or ())
    fixed = {**_PALETTE_IDS, **(known or {}), _BACKGROUND: 0}
    table = {color: fixed[color] for color in seen if color in fixed}
    taken = {0, *table.values(), *(known or {}).values()}
    taken.update(int(i) for raw in maps if raw.colors is None for i in np.unique(raw.values))
    free = (i for i in range(1, MAX_OBJECT_ID + 1) if i not in taken)
    for color in seen:
        if color not in table:
            object_id = next(free, None)
            if object_id is None:
                raise FormatError(where, f"holds {len(seen)} colors; at most 255 objects can be")
            table[color] = object_id
    return table


def labels_of(raw: RawMap, table: Mapping[Color, int]) -> Pixels:
    """(H, W) object ids of a map, its colors looked up in the table of `number_colors`."""
    if raw.colors is None:
        return raw.values
    lookup = np.zeros(256, np.uint8)
    lookup[: len(raw.colors)] = [table[color] for color in raw.colors]
    return lookup[raw.values]


def _pixels_of(data: bytes, path: str | Path) -> tuple[NDArray, bool]:
    """(H, W) ids or (H, W, 3) colors of a PNG, and whether the ids are palette indices."""
    try:
        with Image.open(io.BytesIO(data), formats=["PNG"]) as image:
            mode, pixels = image.mode, np.array(image)
    except (OSError, SyntaxError, ValueError) as error:
        raise FormatError(path, "is no PNG picture or is damaged; save the map again") from error
    if mode in ("LA", "RGBA"):
        # What is fully transparent was not painted, whatever color lies below.
        pixels = np.where(pixels[..., -1:] == 0, 0, pixels[..., :-1])
        pixels = pixels[..., 0] if mode == "LA" else pixels
    return pixels, mode == "P"


def _distinct_colors(pixels: NDArray, path: str | Path) -> tuple[Pixels, tuple[Color, ...]]:
    """(H, W) position of each pixel's color, and the colors by first appearance."""
    packed = pixels.astype(np.int32) @ np.array([65536, 256, 1], np.int32)
    codes, first, inverse = np.unique(packed, return_index=True, return_inverse=True)
    if len(codes) > MAX_OBJECT_ID + 1:
        raise FormatError(
            path,
            f"holds {len(codes)} colors, at most 255 objects can be; "
            "save it with hard edges: no anti-aliasing, no resampling, one flat color an object",
        )
    order = np.argsort(first)
    position = np.empty(len(codes), np.uint8)
    position[order] = np.arange(len(codes))
    colors = tuple((int(c) >> 16, int(c) >> 8 & 255, int(c) & 255) for c in codes[order])
    return position[inverse.reshape(packed.shape)], colors


def _refuse_edges(count: int, path: str | Path) -> None:
    if count:
        what = "1 color covers" if count == 1 else f"{count} colors cover"
        raise FormatError(
            path,
            f"{what} under 0.1 % of the map between two frequent ones, as anti-aliased edges do; "
            "save it with hard edges: no anti-aliasing, no resampling",
        )


def _grey_edges(ids: Pixels) -> int:
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


def _color_edges(values: Pixels, colors: tuple[Color, ...], known: Mapping[Color, int]) -> int:
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
