"""Where the pixels of a frame lie in another frame, and how far that can be trusted.

Dense inverse search (Kroeger et al., "Fast Optical Flow using Dense Inverse Search", ECCV 2016) as
OpenCV computes it, both ways. Figures in pixels are those of a picture with a short side of 480;
they scale with the short side.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import cv2
import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from ..errors import ShapeError
from ..resize import internal_size
from ..types import Size

FLOW_SHORT_SIDE_PIXELS = 480
"""Flow is computed at this short side at most; larger pictures are reduced to it."""

_ERROR_PIXELS = 1.5
_COLOR_LEVELS = 12.0
_COLOR_WINDOW_PIXELS = 5
# DIS refuses pictures in which its coarsest patches have no room.
_LEAST_SIDE_PIXELS = 32

_Pixels = NDArray[Any]


@dataclass(frozen=True, eq=False)
class Correspondence:
    """Where the pixels of one frame lie in another."""

    flow: Tensor
    """(H, W, 2) float32: steps in x and y, in pixels, from a pixel to its place in the other."""
    trust: Tensor
    """(H, W) float32 0..1: how far flow there and back, and the color, agree."""

    @property
    def size(self) -> Size:
        """Size at which the flow was computed."""
        return Size(self.trust.shape[0], self.trust.shape[1])

    def at(self, size: Size) -> Correspondence:
        """The same for maps of another size."""
        if size == self.size:
            return self
        scale = (size.width / self.size.width, size.height / self.size.height)
        flow = _enlarged(self.flow.numpy(), size) * np.array(scale, np.float32)
        return Correspondence(
            torch.from_numpy(flow), torch.from_numpy(_enlarged(self.trust.numpy(), size))
        )


def flow_picture(frame: Tensor) -> Tensor:
    """A frame (H, W, 3) uint8, or float32 display values 0..1, as `correspondences` takes it.

    Returns:
        (h, w, 3) uint8 RGB, the short side at most FLOW_SHORT_SIDE_PIXELS.
    """
    if frame.ndim != 3 or frame.shape[2] != 3:
        raise ShapeError("frame", "(H, W, 3)", tuple(frame.shape))
    if frame.dtype != torch.uint8:
        frame = (frame.float().clamp(0, 1) * 255).round().to(torch.uint8)
    size = Size(frame.shape[0], frame.shape[1])
    small = internal_size(size, FLOW_SHORT_SIDE_PIXELS)
    if small == size:
        return frame.cpu()
    pixels = cv2.resize(frame.cpu().numpy(), small[::-1], interpolation=cv2.INTER_AREA)
    return torch.from_numpy(pixels)


def correspondences(one: Tensor, other: Tensor) -> tuple[Correspondence, Correspondence]:
    """From `one` to `other`, and from `other` to `one`.

    Trust is exp(-(e / 1.5 px)^2) exp(-(c / 12)^2): e is how far flow there and back misses the
    start, c the difference of the colors of 255, its mean over 5 x 5 pixels.

    Args:
        one: (H, W, 3) uint8 RGB, see `flow_picture`.
        other: the same size.
    """
    if one.shape != other.shape:
        raise ShapeError("second picture of a flow", tuple(one.shape), tuple(other.shape))
    pictures = one.numpy(), other.numpy()
    grays = [cv2.cvtColor(picture, cv2.COLOR_RGB2GRAY) for picture in pictures]
    there, back = _dis(grays[0], grays[1]), _dis(grays[1], grays[0])
    return (
        _trusted(there, back, pictures[0], pictures[1]),
        _trusted(back, there, pictures[1], pictures[0]),
    )


def warped(maps: Tensor, correspondence: Correspondence) -> Tensor:
    """Maps of the other frame as the frame sees them, bilinear, edges repeated.

    Args:
        maps: (C, H, W) float32 of the other frame.
        correspondence: from the frame to the other, of the same size.
    """
    x, y = _places(correspondence.flow.numpy())
    planes = [torch.from_numpy(_sampled(plane.numpy(), x, y)) for plane in maps]
    return torch.stack(planes) if planes else maps.clone()


def pixels_at(figure_pixels: float, size: Size) -> float:
    """A figure that is meant for a short side of 480, at a picture of another size."""
    return figure_pixels * min(size) / FLOW_SHORT_SIDE_PIXELS


def odd_pixels_at(figure_pixels: float, size: Size, least: int = 1) -> int:
    """The same for the side of a window, as an odd whole number from `least` up."""
    half = round((pixels_at(figure_pixels, size) - 1) / 2)
    return max(2 * half + 1, least)


def _dis(gray: _Pixels, other: _Pixels) -> _Pixels:
    """(H, W, 2) float32 flow; too small pictures are enlarged at the edge."""
    height, width = gray.shape
    below, right = max(_LEAST_SIDE_PIXELS - height, 0), max(_LEAST_SIDE_PIXELS - width, 0)
    padded = [
        cv2.copyMakeBorder(one, 0, below, 0, right, cv2.BORDER_REPLICATE) for one in (gray, other)
    ]
    method = cv2.DISOpticalFlow.create(cv2.DISOPTICAL_FLOW_PRESET_MEDIUM)
    # None, which its type leaves out, and not zeros: those would be taken for a first guess.
    flow = method.calc(padded[0], padded[1], None)  # type: ignore[call-overload]
    return np.ascontiguousarray(flow[:height, :width])


def _trusted(there: _Pixels, back: _Pixels, picture: _Pixels, other: _Pixels) -> Correspondence:
    size = Size(*there.shape[:2])
    x, y = _places(there)
    missed = there + _sampled(back, x, y)
    square_error = (missed[..., 0] ** 2 + missed[..., 1] ** 2) / pixels_at(_ERROR_PIXELS, size) ** 2
    difference = cv2.absdiff(_sampled(other, x, y), picture)
    color = cv2.transform(difference.astype(np.float32), np.full((1, 3), 1 / 3, np.float32))
    window = odd_pixels_at(_COLOR_WINDOW_PIXELS, size)
    mean_color = cv2.blur(color, (window, window)) / _COLOR_LEVELS
    trust = np.exp(-square_error - mean_color**2).astype(np.float32)
    return Correspondence(torch.from_numpy(there), torch.from_numpy(trust))


def _places(flow: _Pixels) -> tuple[_Pixels, _Pixels]:
    """x and y (H, W) of where the flow leads."""
    height, width = flow.shape[:2]
    columns = np.arange(width, dtype=np.float32)
    rows = np.arange(height, dtype=np.float32)[:, None]
    return flow[..., 0] + columns, flow[..., 1] + rows


def _sampled(maps: _Pixels, x: _Pixels, y: _Pixels) -> _Pixels:
    """Maps (H, W) or (H, W, C) at other places, bilinear."""
    return np.asarray(cv2.remap(maps, x, y, cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE))


def _enlarged(maps: _Pixels, size: Size) -> _Pixels:
    return np.asarray(cv2.resize(maps, size[::-1], interpolation=cv2.INTER_LINEAR))
