"""A small folder of training data: two sequences and a set of cut-outs."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from PIL import Image

SEQUENCES = ("ball", "kite")
FRAMES = 6


def write_training_data(root: Path) -> Path:
    """video/ball, video/kite (6 frames of 96x64, objects 1 and 2) and still/shapes (3 pictures)."""
    rng = np.random.default_rng(0)
    for sequence in SEQUENCES:
        background = rng.integers(40, 160, (8, 12, 3), dtype=np.uint8).repeat(8, 0).repeat(8, 1)
        for frame in range(FRAMES):
            picture, labels = background.copy(), np.zeros((64, 96), np.uint8)
            for object_id, row in ((1, 8), (2, 36)):
                place = (slice(row, row + 20), slice(10 + 8 * frame, 34 + 8 * frame))
                picture[place] = rng.integers(0, 255, 3)
                labels[place] = object_id
            write_pair(root / "video" / sequence, "frames", f"{frame:03d}", picture, labels)
    for number in range(3):
        picture, labels = np.full((48, 48, 3), 128, np.uint8), np.zeros((48, 48), np.uint8)
        colors = rng.integers(0, 255, (3, 3, 3), dtype=np.uint8)
        picture[12:36, 12:36] = colors.repeat(8, 0).repeat(8, 1)
        labels[12:36, 12:36] = 255
        write_pair(root / "still" / "shapes", "images", str(number), picture, labels)
    (root / "video" / "LICENSE.txt").write_text("CC BY-NC 4.0\nnot for sale\n")
    (root / "still" / "shapes" / "LICENSE.txt").write_text("MIT\n")
    return root


def write_pair(
    folder: Path, images: str, name: str, picture: np.ndarray, labels: np.ndarray
) -> None:
    """One picture and its mask."""
    for kind, array in ((images, picture), ("masks", labels)):
        (folder / kind).mkdir(parents=True, exist_ok=True)
        Image.fromarray(array).save(folder / kind / f"{name}.png")
