"""Label-map PNGs: one picture whose pixels are object ids, 0 = background.

Palette and gray pictures hold the ids themselves. In a color picture each color is an object. Which
id it gets is decided over all pictures of a folder, so that ids agree between frames; so is what
255 means. docs/masks.md has the rules.
"""

from __future__ import annotations

import io
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from PIL import Image
from torch import Tensor

from ...annotations import MAX_OBJECT_ID
from ...atomic import write_bytes
from ...errors import FormatError
from ...paths import read_file
from .png_pixels import Color, png_pixels
from .soft_edges import MAX_GRAYS, Pixels, color_edges, gray_edges, refuse_edges, refuse_soft_grays

WHITE = 255
"""The value that is no id: white beside black alone, nobody's pixels beside smaller ids."""

_BACKGROUND: Color = (0, 0, 0)
_WHITE_16_BIT = 65535


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
    palette: Mapping[int, Color] | None = None
    """Colors of the indices that occur, in a palette file."""


@dataclass(frozen=True, eq=False)
class LabelMap:
    """What a map says, once the whole folder is known."""

    labels: Pixels
    """(H, W) object ids, 0 = background"""
    void: NDArray[np.bool_] | None
    """(H, W): pixels that belong to nobody; None = there are none"""


def read_label_map(path: str | Path) -> Tensor:
    """(H, W) uint8 values of one PNG file as they stand in it: object ids, 0 = background.

    Colors of the palette give their ids, others are numbered by first appearance in this picture.
    What 255 means is for the folder to say (`load_annotations`).

    Raises:
        FormatError: the file cannot be read or holds soft edges.
    """
    raw = decode_map(read_file(path), path)
    return torch.from_numpy(labels_of(raw, number_colors([raw], path)))


def read_lone_map(path: str | Path, objects: frozenset[int] = frozenset()) -> LabelMap:
    """What a label map says that stands for itself, 255 by the rules of `label_maps`.

    Args:
        path: the PNG file.
        objects: ids that are known to be objects.

    Raises:
        FormatError: the file cannot be read or holds soft edges.
    """
    raw = decode_map(read_file(path), path, objects=objects)
    return label_maps([raw], path, {}, objects, None)[0][0]


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


def decode_map(
    data: bytes,
    path: str | Path,
    known: Mapping[Color, int] | None = None,
    objects: frozenset[int] = frozenset(),
) -> RawMap:
    """The label map of a PNG file's bytes.

    Args:
        data: the file.
        path: its name, for messages.
        known: ids of colors beyond the palette's.
        objects: ids that are known to be objects.

    Raises:
        FormatError: it is no PNG, is damaged, holds an id above 255, too many colors, or soft or
            anti-aliased edges.
    """
    values, palette = png_pixels(data, path)
    name = Path(path).name
    if palette is not None:
        used = {int(i): palette[i] for i in np.unique(values) if i < len(palette)}
        return RawMap(name, values, None, used)
    if values.ndim == 2:
        ids = _gray_ids(values, path)
        refuse_soft_grays(np.unique(ids), objects, path)
        refuse_edges(gray_edges(ids), path)
        return RawMap(name, ids, None)
    positions, colors = _distinct_colors(values, path)
    if len(colors) > MAX_GRAYS and all(red == green == blue for red, green, blue in colors):
        refuse_soft_grays(np.array(sorted(color[0] for color in colors)), objects, path)
    refuse_edges(color_edges(positions, colors, {**_PALETTE_IDS, **(known or {})}), path)
    return RawMap(name, positions, colors)


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


def label_maps(
    maps: Iterable[RawMap],
    where: str | Path,
    known: Mapping[Color, int],
    objects: Collection[int],
    void: int | None,
) -> tuple[list[LabelMap], dict[Color, int]]:
    """What the maps of one folder say, and the id of every color in them.

    Args:
        maps: in order of their frames.
        where: the folder, for messages.
        known: ids of colors beyond the palette's.
        objects: ids that annotations.json speaks about.
        void: the value of pixels that belong to nobody; 0 = none. None = not told: 255 where a map
            has it beside smaller ids, and where 255 is a map's only value it is object 1.

    Raises:
        FormatError: palettes contradict each other, or there are more than 255 colors.
    """
    maps = list(maps)
    check_palettes(maps, where)
    table = number_colors(maps, where, known)
    values = [labels_of(raw, table) for raw in maps]
    given = {i for color, i in table.items() if _PALETTE_IDS.get(color) != i}
    if void is not None or WHITE in objects or WHITE in given:
        return [_without_void(labels, void or 0) for labels in values], table
    found = [_values_of(labels) for labels in values]
    if any(WHITE in ids and ids - {0, WHITE} for ids in found):
        return [_without_void(labels, WHITE) for labels in values], table
    whites = (ids - {0} == {WHITE} for ids in found)
    ids = [
        (one == WHITE).astype(np.uint8) if is_white else one
        for one, is_white in zip(values, whites, strict=True)
    ]
    return [LabelMap(one, None) for one in ids], table


def check_palettes(maps: Iterable[RawMap], where: str | Path) -> None:
    """Raises FormatError where one color has two indices in the palette files of a folder.

    A color that several indices of one file share tells nothing.
    """
    seen: dict[Color, tuple[int, str]] = {}
    for raw in maps:
        entries = list((raw.palette or {}).items())
        colors = [color for _, color in entries]
        for index, color in entries:
            if colors.count(color) > 1:
                continue
            other, file = seen.setdefault(color, (index, raw.name))
            if other != index:
                raise FormatError(
                    where,
                    f"the color {color} has the index {other} in {file}, {index} in {raw.name}, "
                    "and palette maps are read by index; save both with one palette",
                )


def _without_void(labels: Pixels, void: int) -> LabelMap:
    is_void = labels == void if void else None
    if is_void is None or not is_void.any():
        return LabelMap(labels, None)
    return LabelMap(np.where(is_void, 0, labels).astype(np.uint8), is_void)


def _gray_ids(values: Pixels, path: str | Path) -> Pixels:
    """(H, W) uint8 ids; white of 16 bits is white."""
    highest = int(values.max(initial=0))
    if highest == _WHITE_16_BIT and not ((values > 0) & (values < highest)).any():
        return ((values > 0) * np.uint8(WHITE)).astype(np.uint8)
    if highest > MAX_OBJECT_ID:
        raise FormatError(path, f"holds the gray value {highest}; object ids end at 255")
    return values.astype(np.uint8)


def _values_of(labels: Pixels) -> set[int]:
    return {int(i) for i in np.flatnonzero(np.bincount(labels.ravel(), minlength=256))}


def _distinct_colors(pixels: Pixels, path: str | Path) -> tuple[Pixels, tuple[Color, ...]]:
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
