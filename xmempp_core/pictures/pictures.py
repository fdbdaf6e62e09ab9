"""Pictures and films to look at, and single-frame results to compute with."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray
from torch import Tensor

from ..atomic import replacing, write_bytes
from ..errors import ShapeError
from .overlays import to_uint8


def write_picture(path: str | Path, picture: Tensor) -> None:
    """Write a picture (H, W, 3) RGB as an 8-bit PNG."""
    bgr = cv2.cvtColor(to_uint8(picture).numpy(), cv2.COLOR_RGB2BGR)
    write_bytes(path, _png(bgr))


def write_probabilities(path: str | Path, probabilities: Tensor, object_ids: Sequence[int]) -> None:
    """Write the probabilities of a frame as a compressed .npz file.

    Arrays: `probabilities` (N + 1, H, W) float16, background first; `object_ids` (N) int64.
    """
    if probabilities.ndim != 3 or len(probabilities) != len(object_ids) + 1:
        expected = f"({len(object_ids) + 1}, H, W)"
        raise ShapeError("probabilities", expected, tuple(probabilities.shape))
    values = probabilities.detach().cpu().half().numpy()
    with replacing(path) as temporary, temporary.open("wb") as file:
        np.savez_compressed(file, probabilities=values, object_ids=np.array(object_ids, np.int64))


def _png(pixels: NDArray) -> bytes:
    _, data = cv2.imencode(".png", pixels, [cv2.IMWRITE_PNG_COMPRESSION, 4])
    return data.tobytes()
