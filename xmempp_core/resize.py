"""From frames and masks at source size to tensors at internal size, and back to unpadded."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor

from .errors import ShapeError
from .transfer import uploaded
from .types import STRIDE, Padding, Size


def internal_size(size: Size, short_side: int | None) -> Size:
    """The size at which the network works: short side as given, long side rounded down.

    Never larger than the source; None keeps the source's size.
    """
    short, long = min(size), max(size)
    if short_side is None or short <= short_side:
        return size
    long_side = short_side * long // short
    return Size(short_side, long_side) if size.height <= size.width else Size(long_side, short_side)


def to_planes(frame: Tensor, device: torch.device) -> Tensor:
    """(3, H, W) float32 0..1 on the device, from (H, W, 3) uint8 or float32 0..1."""
    if frame.ndim != 3 or frame.shape[2] != 3:
        raise ShapeError("frame", "(H, W, 3)", tuple(frame.shape))
    moved = uploaded(frame, device)
    scale = 255.0 if moved.dtype == torch.uint8 else 1.0
    return (moved.float() / scale).permute(2, 0, 1).contiguous()


def resize_frame(frame: Tensor, size: Size, antialias: bool) -> Tensor:
    """A frame (3, H, W) resized bilinearly (align_corners false)."""
    if tuple(frame.shape[1:]) == tuple(size):
        return frame
    return F.interpolate(
        frame[None], tuple(size), mode="bilinear", align_corners=False, antialias=antialias
    )[0]


def resize_masks(masks: Tensor, size: Size) -> Tensor:
    """Masks (N, H, W) as float32, resized by nearest neighbor: source floor(dst * in / out)."""
    masks = masks.float()
    if tuple(masks.shape[1:]) == tuple(size) or masks.shape[0] == 0:
        return masks.reshape(masks.shape[0], *size)
    return F.interpolate(masks[None], tuple(size), mode="nearest")[0]


def pad(maps: Tensor, padding: Padding) -> Tensor:
    """Maps (..., H, W) with zeros around."""
    return F.pad(maps, tuple(padding)) if any(padding) else maps


def unpad(maps: Tensor, padding: Padding) -> Tensor:
    """Maps (..., H', W') without their padding."""
    height, width = maps.shape[-2:]
    return maps[
        ...,
        padding.top : height - padding.bottom,
        padding.left : width - padding.right,
    ]


def cell_coverage(masks: Tensor) -> Tensor:
    """(N, h * w) share of each cell that padded masks (N, H', W') cover, row-major."""
    return F.avg_pool2d(masks, STRIDE).flatten(1)
