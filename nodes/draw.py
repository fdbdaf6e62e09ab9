"""Pictures of frames with their objects, for the nodes' previews."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING

import torch

if TYPE_CHECKING:
    from PIL.Image import Image
    from torch import Tensor

    from ..xmempp_core import Annotation, FrameSource, Segmentation, Track

Colors = Mapping[int, tuple[int, int, int]]
Style = Callable[["Tensor", "Tensor", Colors], "Tensor"]

CUT_OUT_COLOR = (0, 177, 64)
"""Chroma green."""
OVERVIEW_FRAMES = 6
PREVIEW_WIDTH = 512


def overlay(frame: Tensor, labels: Tensor, colors: Colors) -> Tensor:
    """(H, W, 3) uint8: the frame with each object tinted and outlined."""
    from ..xmempp_core import draw_overlay

    return draw_overlay(frame, labels, colors)


def outline(frame: Tensor, labels: Tensor, colors: Colors) -> Tensor:
    """(H, W, 3) uint8: the frame with a line along the edge of each object."""
    import cv2

    from ..xmempp_core import display_color

    drawn = frame.numpy().copy()
    for object_id in (int(i) for i in labels.unique() if i):
        inside = (labels == object_id).numpy().astype("uint8")
        edges, _ = cv2.findContours(inside, cv2.RETR_CCOMP, cv2.CHAIN_APPROX_NONE)
        thickness = max(2, round(min(inside.shape) / 240))
        cv2.drawContours(drawn, edges, -1, display_color(object_id, colors), thickness)
    return torch.from_numpy(drawn)


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


def with_objects(frame: Tensor, annotation: Annotation | None, colors: Colors) -> Tensor:
    """The frame (H, W, 3) uint8 with the objects of its annotation; bare where it has none."""
    return frame if annotation is None else overlay(frame, annotation.label_map(), colors)


def preview_of(segmentation: Segmentation, source: FrameSource) -> Image:
    """A small overlay of a result, for the progress bar."""
    from PIL import Image

    from ..xmempp_core import label_map_of

    frame = source.frame(segmentation.frame_index)
    return Image.fromarray(_small_overlay(frame, label_map_of(segmentation), {}).numpy())


def overview(track: Track, source: FrameSource) -> Tensor:
    """(H, W, 3) uint8: overlays of some frames side by side, with their numbers."""
    from ..xmempp_core import track_contact_sheet

    return track_contact_sheet(track, source, count=OVERVIEW_FRAMES)


def numbered_overlay(frame_index: int, track: Track, source: FrameSource) -> Tensor:
    """(h, w, 3) uint8: a small overlay of a frame with its number burnt in."""
    from ..xmempp_core import burn_in

    frame, labels = source.frame(frame_index), track.label_map(frame_index)
    return burn_in(_small_overlay(frame, labels, track.annotations.colors), str(frame_index))


def write_film(
    path: Path, track: Track, source: FrameSource, style: str, step: Callable[[int], None]
) -> None:
    """An mp4 of all frames of a track; `step` is told how many are written."""
    from ..xmempp_core import OverlayVideo, to_uint8

    draw, colors = STYLES[style], track.annotations.colors
    with OverlayVideo(path, source.frame_rate) as film:
        for done, frame_index in enumerate(track.frame_indices, start=1):
            frame = to_uint8(source.frame(frame_index))
            film.add_picture(draw(frame, track.label_map(frame_index), colors))
            step(done)


def reduced(picture: Tensor) -> Tensor:
    """A picture (H, W, 3) uint8 at the width of a preview; smaller ones stay as they are."""
    import cv2

    height, width = picture.shape[:2]
    scale = min(1.0, PREVIEW_WIDTH / width)
    if scale == 1:
        return picture
    size = (max(1, round(width * scale)), max(1, round(height * scale)))
    return torch.from_numpy(cv2.resize(picture.numpy(), size, interpolation=cv2.INTER_AREA))


def _small_overlay(frame: Tensor, labels: Tensor, colors: Colors) -> Tensor:
    """An overlay at the size of a preview; smaller frames stay as they are."""
    import cv2

    from ..xmempp_core import to_uint8

    height, width = labels.shape
    scale = min(1.0, PREVIEW_WIDTH / width)
    size = (max(1, round(width * scale)), max(1, round(height * scale)))
    picture = cv2.resize(to_uint8(frame).numpy(), size, interpolation=cv2.INTER_AREA)
    small = cv2.resize(labels.numpy(), size, interpolation=cv2.INTER_NEAREST)
    return overlay(torch.from_numpy(picture), torch.from_numpy(small), colors)
