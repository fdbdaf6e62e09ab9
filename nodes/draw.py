"""Pictures of frames with their objects, for the nodes' previews."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from typing import TYPE_CHECKING

import torch

from .convert import picture_of

if TYPE_CHECKING:
    from PIL.Image import Image
    from torch import Tensor

    from ..xmempp_core import FrameSource, Track
    from ..xmempp_core.types import Annotation, Segmentation

Colors = Mapping[int, tuple[int, int, int]]
Style = Callable[["Tensor", "Tensor", Colors], "Tensor"]

OPACITY = 0.5
OUTLINE_PIXELS = 3
CUT_OUT_COLOR = (0, 177, 64)
"""Chroma green."""
OVERVIEW_FRAMES = 6
OVERVIEW_WIDTH = 320
PREVIEW_WIDTH = 512


def overlay(frame: Tensor, labels: Tensor, colors: Colors) -> Tensor:
    """(H, W, 3) uint8: the frame with each object tinted."""
    tinted = frame.clone()
    for object_id, color in _colors(labels, colors):
        inside = labels == object_id
        mixed = frame[inside].float() * (1 - OPACITY) + torch.tensor(color).float() * OPACITY
        tinted[inside] = mixed.round().to(torch.uint8)
    return tinted


def outline(frame: Tensor, labels: Tensor, colors: Colors) -> Tensor:
    """(H, W, 3) uint8: the frame with a line along the inner edge of each object."""
    import cv2
    import numpy as np

    drawn = frame.clone()
    box = np.ones((2 * OUTLINE_PIXELS + 1,) * 2, np.uint8)
    for object_id, color in _colors(labels, colors):
        inside = (labels == object_id).numpy().astype(np.uint8)
        edge = inside - cv2.erode(inside, box, borderValue=1)
        drawn[torch.from_numpy(edge).bool()] = torch.tensor(color, dtype=torch.uint8)
    return drawn


def matte(frame: Tensor, labels: Tensor, colors: Colors) -> Tensor:
    """(H, W, 3) uint8: white objects on black."""
    return ((labels > 0).to(torch.uint8) * 255)[..., None].expand(-1, -1, 3).contiguous()


def cut_out(frame: Tensor, labels: Tensor, colors: Colors) -> Tensor:
    """(H, W, 3) uint8: the objects on a plain color."""
    cut = frame.clone()
    cut[labels == 0] = torch.tensor(CUT_OUT_COLOR, dtype=torch.uint8)
    return cut


STYLES: dict[str, Style] = {
    "overlay": overlay,
    "outline": outline,
    "matte": matte,
    "cut-out": cut_out,
}
"""The ways to show a track, by the name in the node."""


def _colors(labels: Tensor, colors: Colors) -> list[tuple[int, tuple[int, int, int]]]:
    """The objects of a label map with their display colors."""
    from ..xmempp_core import PALETTE

    ids = (int(i) for i in labels.unique() if i)
    return [(i, tuple(colors.get(i, PALETTE[i]))) for i in ids]


def frame_and_objects(frame: Tensor, annotation: Annotation | None, colors: Colors) -> list[Tensor]:
    """The frame (H, W, 3) uint8, and behind it the frame with its objects if it has any."""
    if annotation is None or not annotation.present_ids:
        return [frame]
    labels = annotation.label_map()
    return [frame, outline(overlay(frame, labels, colors), labels, colors)]


def preview_of(segmentation: Segmentation, source: FrameSource) -> Image:
    """A small overlay of a result, for the progress bar."""
    from ..xmempp_core import label_map_of

    frame = picture_of(source.frame(segmentation.frame_index))
    return _image(_small(frame, label_map_of(segmentation), {}, PREVIEW_WIDTH))


def overview(track: Track, source: FrameSource) -> Tensor:
    """(H, W, 3) uint8: small overlays of some frames side by side, with their numbers."""
    held = track.frame_indices
    count = min(OVERVIEW_FRAMES, len(held))
    places = torch.linspace(0, len(held) - 1, count).round().int().tolist()
    return sheet([held[i] for i in places], track, source)


def sheet(frame_indices: list[int], track: Track, source: FrameSource) -> Tensor:
    """(H, W, 3) uint8: overlays of the given frames, three in a row, with their numbers."""
    tiles = [numbered_overlay(i, track, source) for i in frame_indices]
    tiles += [torch.zeros_like(tiles[0])] * (-len(tiles) % min(3, len(tiles)))
    rows = [torch.cat(tiles[i : i + 3], 1) for i in range(0, len(tiles), 3)]
    return torch.cat(rows, 0)


def numbered_overlay(frame_index: int, track: Track, source: FrameSource) -> Tensor:
    """(h, w, 3) uint8: a small overlay of a frame with its number."""
    frame, labels = picture_of(source.frame(frame_index)), track.label_map(frame_index)
    tile = _small(frame, labels, track.annotations.colors, OVERVIEW_WIDTH)
    return numbered(tile, source.number(frame_index))


def numbered(picture: Tensor, number: int) -> Tensor:
    """The picture (H, W, 3) uint8 with a frame number burnt into its corner."""
    import cv2

    pixels = picture.numpy().copy()
    scale = max(0.5, pixels.shape[0] / 400)
    for color, thickness in (((0, 0, 0), 5), ((255, 255, 255), 2)):
        place = (int(8 * scale), int(24 * scale))
        width = max(1, round(thickness * scale / 1.5))
        font = cv2.FONT_HERSHEY_SIMPLEX
        cv2.putText(pixels, str(number), place, font, 0.8 * scale, color, width, cv2.LINE_AA)
    return torch.from_numpy(pixels)


def film_of(
    track: Track, source: FrameSource, style: str, step: Callable[[int], None]
) -> Iterator[Tensor]:
    """All frames of a track in a style; `step` is told how many are done."""
    draw, colors = STYLES[style], track.annotations.colors
    for done, frame_index in enumerate(track.frame_indices, start=1):
        frame = picture_of(source.frame(frame_index))
        yield draw(frame, track.label_map(frame_index), colors)
        step(done)


def _small(frame: Tensor, labels: Tensor, colors: Colors, width: int) -> Tensor:
    """An overlay (h, width, 3) uint8 at a smaller size."""
    import cv2

    height = max(1, round(frame.shape[0] * width / frame.shape[1]))
    size = (width, height)
    shrunk = cv2.resize(frame.cpu().numpy(), size, interpolation=cv2.INTER_AREA)
    map_ = cv2.resize(labels.numpy(), size, interpolation=cv2.INTER_NEAREST)
    return overlay(torch.from_numpy(shrunk), torch.from_numpy(map_), colors)


def _image(picture: Tensor) -> Image:
    from PIL import Image

    return Image.fromarray(picture.numpy())
