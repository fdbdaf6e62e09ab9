"""Controls of a matte's edge; the same on every frame, tensors in and out.

They act in the order of the fields of `EdgeSettings`. All of them leave a matte alone at their
usual value.
"""

from __future__ import annotations

from dataclasses import dataclass, fields

import cv2
import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from ..errors import InputError, SettingsError

_LARGEST_PIXELS = 1000.0
_LEAST_FEATHER_PIXELS = 1e-3
"""Less changes no level of a matte, and is no width that OpenCV can blur over."""
_LEAST_RANGE = 1e-6
"""Points closer to each other than this are one threshold; float32 cannot tell them apart."""
_REFINE_EPSILON = 1e-4
"""Of squared color 0..1: how much a color has to vary for the matte to follow it."""

_Plane = NDArray[np.float32]


@dataclass(frozen=True)
class EdgeSettings:
    """What is done to the edge of a matte, after it was made at source resolution."""

    refine_pixels: float = 0.0
    """Radius of the window in which the matte follows the colors of the plate; 0 = off."""
    fill_holes_pixels: float = 0.0
    """Holes of at most so many pixels are filled."""
    remove_specks_pixels: float = 0.0
    """Islands of at most so many pixels are removed."""
    black_point: float = 0.0
    """Values up to it become 0."""
    white_point: float = 1.0
    """Values from it on become 1; equal to the black point it is a threshold."""
    grow_pixels: float = 0.0
    """How far the edge moves outward, in parts of a pixel; below 0 it shrinks."""
    feather_pixels: float = 0.0
    """Width over which the edge is blurred."""

    def __post_init__(self) -> None:
        for one in fields(self):
            value = getattr(self, one.name)
            if isinstance(value, bool) or not isinstance(value, (int, float)):
                raise SettingsError(one.name, value, "a number")
            low = -_LARGEST_PIXELS if one.name == "grow_pixels" else 0.0
            high = 1.0 if one.name.endswith("point") else _LARGEST_PIXELS**2
            if not low <= value <= high:
                raise SettingsError(one.name, value, f"{low:g} to {high:g}")
        if self.black_point > self.white_point:
            raise SettingsError(
                "black_point", self.black_point, f"0 to white_point {self.white_point:g}"
            )

    @property
    def is_off(self) -> bool:
        """Whether mattes stay as they are."""
        return self == EdgeSettings()


def with_edges(matte: Tensor, settings: EdgeSettings, plate: Tensor | None = None) -> Tensor:
    """(H, W) float32 0..1: a matte with its edge controlled.

    Args:
        matte: (H, W) float 0..1.
        settings: what is done.
        plate: (H, W, 3) uint8 or float32 display values 0..1, to refine.

    Raises:
        InputError: refinement without plate.
    """
    if settings.is_off:
        return matte
    plane = matte.detach().cpu().float().numpy()
    if settings.refine_pixels:
        if plate is None:
            raise InputError("mattes are refined by the frames: give them with --frames")
        plane = _refined(plane, plate, settings.refine_pixels)
    if settings.fill_holes_pixels:
        plane = 1 - _without_islands(1 - plane, settings.fill_holes_pixels, at_border=True)
    if settings.remove_specks_pixels:
        plane = _without_islands(plane, settings.remove_specks_pixels, at_border=False)
    plane = _between_points(plane, settings.black_point, settings.white_point)
    if settings.grow_pixels:
        plane = _grown(plane, settings.grow_pixels)
    if settings.feather_pixels >= _LEAST_FEATHER_PIXELS:
        sigma = settings.feather_pixels / 2
        plane = cv2.GaussianBlur(plane, (0, 0), sigma, borderType=cv2.BORDER_REPLICATE)
    return torch.from_numpy(np.clip(plane, 0, 1).astype(np.float32))


def _between_points(plane: _Plane, black: float, white: float) -> _Plane:
    if (black, white) == (0.0, 1.0):
        return plane
    if white - black < _LEAST_RANGE:
        return (plane >= white).astype(np.float32)
    return np.clip((plane - black) / (white - black), 0, 1).astype(np.float32)


def _without_islands(plane: _Plane, largest_pixels: float, *, at_border: bool) -> _Plane:
    """The plane with connected parts above one half that are small set to 0.

    Args:
        plane: (H, W) 0..1.
        largest_pixels: area up to which a part goes.
        at_border: whether parts that touch the border stay, as no hole is open to the outside.
    """
    hard = (plane > 0.5).astype(np.uint8)
    _, labels, facts, _ = cv2.connectedComponentsWithStats(hard, connectivity=4 if at_border else 8)
    small = facts[:, cv2.CC_STAT_AREA] <= largest_pixels
    small[0] = False
    if at_border:
        edges = (labels[0], labels[-1], labels[:, 0], labels[:, -1])
        small[np.unique(np.concatenate(edges))] = False
    gone = small[labels]
    # their soft rims go with them, as far as they are nobody else's
    kept = cv2.dilate((hard.astype(bool) & ~gone).astype(np.uint8), np.ones((5, 5), np.uint8)) > 0
    rim = cv2.dilate(gone.astype(np.uint8), np.ones((5, 5), np.uint8)) > 0
    return np.where(gone | (rim & ~kept), np.float32(0), plane)


def _grown(plane: _Plane, pixels: float) -> _Plane:
    """The plane with its edge moved: by whole pixels as a maximum over disks, a part between two.

    Shrinking is growing the rest.
    """
    if pixels < 0:
        return 1 - _grown(1 - plane, -pixels)
    whole = int(pixels)
    inner = _maximum_over_disk(plane, whole)
    part = pixels - whole
    if not part:
        return inner
    outer = _maximum_over_disk(plane, whole + 1)
    return ((1 - part) * inner + part * outer).astype(np.float32)


def _maximum_over_disk(plane: _Plane, radius: int) -> _Plane:
    if radius == 0:
        return plane
    y, x = np.ogrid[-radius : radius + 1, -radius : radius + 1]
    disk = (x * x + y * y <= radius * radius).astype(np.uint8)
    return np.asarray(cv2.dilate(plane, disk, borderType=cv2.BORDER_REPLICATE))


def _refined(plane: _Plane, plate: Tensor, radius_pixels: float) -> _Plane:
    """The matte as a linear function of the plate's color in every window.

    He, Sun, Tang, "Guided Image Filtering", TPAMI 2013, equations 14 to 16 (color guide).
    """
    guide = plate.detach().cpu().float().numpy() / (255.0 if plate.dtype == torch.uint8 else 1.0)
    side = 2 * max(round(radius_pixels), 1) + 1

    def mean(values: NDArray) -> NDArray:
        blurred = cv2.blur(values, (side, side), borderType=cv2.BORDER_REFLECT)
        return np.asarray(blurred)

    mean_i, mean_p = mean(guide), mean(plane)
    products = guide[..., :, None] * guide[..., None, :]
    height, width = plane.shape
    covariance = mean(products.reshape(height, width, 9)).reshape(height, width, 3, 3)
    covariance -= mean_i[..., :, None] * mean_i[..., None, :]
    covariance += _REFINE_EPSILON * np.eye(3, dtype=np.float32)
    cross = mean(guide * plane[..., None]) - mean_i * mean_p[..., None]
    a = np.linalg.solve(covariance, cross[..., None])[..., 0]
    b = mean_p - (a * mean_i).sum(-1)
    refined = (mean(a.astype(np.float32)) * guide).sum(-1) + mean(b.astype(np.float32))
    return np.clip(refined, 0, 1).astype(np.float32)
