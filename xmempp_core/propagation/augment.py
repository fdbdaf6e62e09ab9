"""In-memory augmentation: each annotated frame enters permanent memory in several looks (Table 5).

Picture and masks are changed together at source resolution. What a moved picture leaves open at its
border is not background: its coverage says which pixels come from the picture.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from functools import partial

import torch
from torch import Tensor
from torchvision import tv_tensors
from torchvision.transforms import InterpolationMode
from torchvision.transforms.v2 import functional as V

from ..errors import InputError, ShapeError

_CROP_MARGIN = 0.25
"""Margin of a crop around the objects on each side, in parts of their rectangle's side."""


@dataclass(frozen=True)
class _Move:
    """An affine movement around the picture's center."""

    angle_degrees: float = 0
    """clockwise"""
    scale: float = 1
    shear_degrees: float = 0
    """along x"""
    shift: float = 0
    """to the right, in parts of the width"""


_LOOKS: dict[str, Callable[[Tensor], Tensor]] = {
    "bright": partial(V.adjust_brightness, brightness_factor=1.5),
    "dark": partial(V.adjust_brightness, brightness_factor=0.5),
    "reduce_bits": partial(V.posterize, bits=3),
    "sharp": partial(V.adjust_sharpness, sharpness_factor=16),
    "blur": partial(V.gaussian_blur, kernel_size=[7, 7]),
    "gray": partial(V.rgb_to_grayscale, num_output_channels=3),
}
_MOVES: dict[str, _Move] = {
    "rotate_right": _Move(angle_degrees=45),
    "rotate_left": _Move(angle_degrees=-45),
    "rotate_right_30": _Move(angle_degrees=30),
    "rotate_left_30": _Move(angle_degrees=-30),
    "zoom_out": _Move(scale=0.5),
    "zoom_in": _Move(scale=1.5),
    "shear_right": _Move(shear_degrees=20),
    "shear_left": _Move(shear_degrees=-20),
    "translate": _Move(shift=0.2),
}

ELEVEN = (
    *("bright", "dark", "reduce_bits", "sharp", "blur", "rotate_right", "rotate_left"),
    *("zoom_out", "zoom_in", "shear_right", "shear_left"),
)
"""The paper's eleven kinds, in the order in which they enter memory."""
AUGMENTATIONS = (*ELEVEN, "gray", "translate", "crop", "rotate_right_30", "rotate_left_30")
"""Every kind. The rotations turn by 45 degrees as in the paper; its program turns by 30."""
SETS: dict[str, tuple[str, ...]] = {
    "none": (),
    "best3": ("blur", "zoom_in", "shear_right"),
    "all": ELEVEN,
}
"""Named sets of kinds."""


@dataclass(frozen=True, eq=False)
class Augmented:
    """One annotated frame in another look."""

    name: str
    frame: Tensor
    """(H, W, 3) uint8"""
    masks: Tensor
    """(N, H, W) bool"""
    coverage: Tensor | None
    """(H, W) float32, 1 where a pixel comes from the picture and is not void, else 0; None = all"""


def parse_augmentations(text: str) -> tuple[str, ...]:
    """Kinds from "none", "best3", "all" or names joined by commas, in memory order, each once.

    Raises:
        InputError: a name is unknown.
    """
    names: set[str] = set()
    for word in filter(None, (part.strip() for part in text.split(","))):
        names.update(SETS.get(word, (word,)))
    return check_augmentations(names)


def check_augmentations(names: Iterable[str]) -> tuple[str, ...]:
    """The kinds in memory order, each once; raises InputError for an unknown name."""
    asked = set(names)
    unknown = sorted(asked - set(AUGMENTATIONS))
    if unknown:
        allowed = ", ".join((*SETS, *AUGMENTATIONS))
        raise InputError(f"augmentation {unknown[0]!r} is unknown; use {allowed}")
    return tuple(name for name in AUGMENTATIONS if name in asked)


def augment_annotation(
    names: Iterable[str], frame: Tensor, masks: Tensor, void: Tensor | None = None
) -> Iterator[Augmented]:
    """The annotated frame in each of the looks asked for, in memory order, one at a time.

    Args:
        names: kinds from AUGMENTATIONS.
        frame: (H, W, 3) RGB, uint8, or float display values 0..1, which are rounded to 8 bits.
        masks: (N, H, W) bool.
        void: (H, W) bool, pixels of which nothing is said: `coverage` leaves them out.

    Raises:
        InputError: a name is unknown.
        ShapeError: frame and masks are not of one size.
    """
    kinds = check_augmentations(names)
    if frame.ndim != 3 or frame.shape[2] != 3:
        raise ShapeError("frame to augment", "(H, W, 3)", tuple(frame.shape))
    if masks.ndim != 3 or masks.shape[1:] != frame.shape[:2]:
        height, width = frame.shape[:2]
        raise ShapeError("masks to augment", f"(N, {height}, {width})", tuple(masks.shape))
    picture = tv_tensors.Image(_bytes_of(frame).permute(2, 0, 1))
    said = torch.ones(1, *frame.shape[:2], dtype=torch.uint8, device=masks.device)
    if void is not None:
        said[0] -= void.to(said)
    planes = tv_tensors.Mask(masks), tv_tensors.Mask(said)
    return (_augmented(name, picture, *planes) for name in kinds)


def _augmented(
    name: str, picture: tv_tensors.Image, masks: tv_tensors.Mask, said: tv_tensors.Mask
) -> Augmented:
    if name in _MOVES:
        move = _MOVES[name]
        picture, masks, said = (_moved(part, move) for part in (picture, masks, said))
    elif name == "crop":
        box = _crop_box(masks)
        picture, masks, said = (_cropped(part, box) for part in (picture, masks, said))
    else:
        picture = tv_tensors.wrap(_LOOKS[name](picture), like=picture)
    covered = None if bool(said.all()) else said[0].as_subclass(Tensor).float()
    frame = picture.as_subclass(Tensor).permute(1, 2, 0).contiguous()
    return Augmented(name, frame, masks.as_subclass(Tensor).bool(), covered)


def _moved(part: Tensor, move: _Move) -> Tensor:
    """A picture or its masks moved, nearest neighbor, 0 where nothing comes to lie.

    Pictures go through torchvision's Pillow backend: a zoom by half hits every pixel edge, and
    there the two backends choose different neighbors; the paper's program ran this one.
    """
    options = {
        "angle": move.angle_degrees,
        "translate": [int(move.shift * part.shape[-1]), 0],
        "scale": move.scale,
        "shear": [move.shear_degrees, 0.0],
        "interpolation": InterpolationMode.NEAREST,
    }
    if isinstance(part, tv_tensors.Image):
        moved = V.pil_to_tensor(V.affine(V.to_pil_image(part.cpu()), **options))
        return tv_tensors.wrap(moved.to(part.device), like=part)
    if part.shape[0] == 0:
        return part
    return tv_tensors.wrap(V.affine(part.to(torch.uint8), **options), like=part)


def _crop_box(masks: Tensor) -> tuple[int, int, int, int]:
    """Top, left, height, width of the crop around all objects, in the picture's proportions.

    Without an object it is the middle half.
    """
    height, width = masks.shape[-2:]
    where = masks.any(0).nonzero()
    if len(where) == 0:
        where = torch.tensor([[height // 4, width // 4], [3 * height // 4, 3 * width // 4]])
    (top, left), (bottom, right) = where.amin(0).tolist(), where.amax(0).tolist()
    part = max((bottom + 1 - top) / height, (right + 1 - left) / width) * (1 + 2 * _CROP_MARGIN)
    part = min(part, 1.0)
    box_height, box_width = max(1, round(part * height)), max(1, round(part * width))
    top = (top + bottom + 1 - box_height) // 2
    left = (left + right + 1 - box_width) // 2
    top, left = min(max(top, 0), height - box_height), min(max(left, 0), width - box_width)
    return top, left, box_height, box_width


def _cropped(part: Tensor, box: tuple[int, int, int, int]) -> Tensor:
    """A picture (bilinear) or its masks (nearest) cut to the box and enlarged to their size."""
    if part.shape[0] == 0:
        return part
    size = list(part.shape[-2:])
    top, left, height, width = box
    return V.resized_crop(part, top, left, height, width, size, antialias=True)


def _bytes_of(frame: Tensor) -> Tensor:
    if frame.dtype == torch.uint8:
        return frame
    return (frame.float().clamp(0, 1) * 255).round().to(torch.uint8)
