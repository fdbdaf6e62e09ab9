"""Color of the frames: what a file holds becomes display values for the network.

The networks were trained on pictures made for a screen. "srgb" values are shown as they are,
"linear" (scene light) and "log" (Cineon film density) are brought to the sRGB curve; whatever lies
outside 0..1 is clipped, as a screen would.
"""

from __future__ import annotations

from typing import Literal, get_args

import torch
from torch import Tensor

from ...errors import InputError

Colorspace = Literal["srgb", "linear", "log"]
InputColorspace = Literal["auto", "srgb", "linear", "log"]

_FULL_SCALE = {torch.uint8: 255.0, torch.uint16: 65535.0}


def check_colorspace(name: str) -> None:
    """Raises InputError unless the name is one of the four input color spaces."""
    if name not in get_args(InputColorspace):
        allowed = ", ".join(get_args(InputColorspace))
        raise InputError(f"input color space {name!r} is not known; allowed are {allowed}")


def to_display(pixels: Tensor, colorspace: Colorspace) -> Tensor:
    """Display values: uint8 where the pixels are 8-bit sRGB, else float32 within 0..1.

    Args:
        pixels: (..., 3) uint8, uint16 (both full scale) or floating point (nominal 0..1).
        colorspace: what the pixels mean.
    """
    if pixels.dtype == torch.uint8 and colorspace == "srgb":
        return pixels
    values = pixels.to(torch.float32) / _FULL_SCALE.get(pixels.dtype, 1.0)
    if colorspace == "log":
        values = _cineon_to_linear(values)
    values = values.nan_to_num(nan=0.0, posinf=1.0, neginf=0.0).clamp(0, 1)
    return values if colorspace == "srgb" else _srgb_curve(values)


def _srgb_curve(linear: Tensor) -> Tensor:
    """sRGB values of linear light 0..1 (IEC 61966-2-1)."""
    bright = 1.055 * linear.clamp(min=0.0031308) ** (1 / 2.4) - 0.055
    return torch.where(linear <= 0.0031308, 12.92 * linear, bright)


def _cineon_to_linear(log: Tensor) -> Tensor:
    """Linear light of Cineon values 0..1: black at code 95, white at 685 of 1023, 0.002 density
    a code, film gamma 0.6 (Kodak, "Conversion of 10-bit log film data", 1995)."""
    density_per_code, film_gamma, black, white = 0.002, 0.6, 95.0, 685.0
    light = 10 ** ((log * 1023 - white) * density_per_code / film_gamma)
    floor = 10 ** ((black - white) * density_per_code / film_gamma)
    return (light - floor) / (1 - floor)
