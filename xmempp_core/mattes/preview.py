"""One frame's mattes as a picture to look at before the shot is written."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

_BEHIND = (0.18, 0.55, 0.30)


def preview_picture(mattes: Sequence[Tensor], plate: Tensor | None = None) -> Tensor:
    """(H', W', 3) uint8: each matte, and with a plate beside it the plate over plain green.

    Args:
        mattes: (H, W) float 0..1.
        plate: (H, W, 3) uint8 or float32 display values 0..1.
    """
    rows = []
    for matte in mattes:
        alpha = matte.detach().cpu().float()[..., None]
        panels = [alpha.expand(-1, -1, 3)]
        if plate is not None:
            color = plate.cpu().float() / (255 if plate.dtype == torch.uint8 else 1)
            panels.append(alpha * color + (1 - alpha) * torch.tensor(_BEHIND))
        rows.append(torch.cat(panels, 1))
    return (torch.cat(rows).clamp(0, 1) * 255).round().to(torch.uint8)
