"""The pictures of docs/mattes.md and of the help page, from the bundled clip.

python benchmarks/mattes_pictures.py [FOLDER]
"""

from __future__ import annotations

import sys
from pathlib import Path

import cv2
import torch
import torch.nn.functional as F
from torch import Tensor

from xmempp_core import load_annotations, open_frames, preview_picture
from xmempp_core.mattes.edges import EdgeSettings, with_edges

ROOT = Path(__file__).parents[1]
CLIP = ROOT / "xmempp_core" / "assets" / "demo"
FRAME = 60
SHOWN = {
    "refine": EdgeSettings(refine_pixels=10, black_point=0.3, white_point=0.7),
    "holes": EdgeSettings(fill_holes_pixels=200),
    "specks": EdgeSettings(remove_specks_pixels=200),
    "points": EdgeSettings(black_point=0.3, white_point=0.7),
    "grow": EdgeSettings(grow_pixels=4.5),
    "feather": EdgeSettings(feather_pixels=12),
}


def coarse(mask: Tensor) -> Tensor:
    """A mask (H, W) as a network at a quarter of the size would give it."""
    small = F.adaptive_avg_pool2d(mask[None, None], [side // 6 for side in mask.shape])
    return F.interpolate(small, mask.shape, mode="bilinear", align_corners=False)[0, 0]


def with_dirt(matte: Tensor, rows: slice, columns: slice) -> Tensor:
    """The matte with holes and specks inside a window."""
    dirty = matte.clone()
    window = dirty[rows, columns]
    for place, (y, x) in enumerate(((20, 30), (60, 90), (100, 50), (40, 140), (90, 150))):
        side = 6 + 2 * place
        patch = window[y : y + side, x : x + side]
        patch.copy_((patch.mean() < 0.5).float().expand_as(patch))
    return dirty


def main(folder: Path) -> None:
    """Writes the pictures."""
    frames = open_frames(CLIP / "bigbuckbunny.mp4")
    annotation = load_annotations(CLIP, frames).at(FRAME)
    assert annotation is not None
    plate, mask = frames.frame(FRAME), annotation.masks[0].float()
    ys, xs = torch.nonzero(mask, as_tuple=True)
    top, left = max(int(ys.min()) - 12, 0), max(int(xs.float().mean()) - 100, 0)
    rows, columns = slice(top, top + 130), slice(left, left + 200)
    soft = coarse(mask)
    for name, settings in SHOWN.items():
        before = with_dirt(soft, rows, columns) if name in ("holes", "specks") else soft
        after = with_edges(before, settings, plate)
        pair = [preview_picture([m[rows, columns]]) for m in (before, after)]
        gap = torch.full((130, 6, 3), 255, dtype=torch.uint8)
        write(folder / f"edges_{name}.jpg", torch.cat([pair[0], gap, pair[1]], 1))
    page = preview_picture([soft], plate)
    write(ROOT / "web" / "docs" / "images" / "XMemPPExportMattes.jpg", page)


def write(path: Path, picture: Tensor) -> None:
    """A JPEG, at most 800 pixels wide."""
    scale = min(1.0, 800 / picture.shape[1])
    pixels = cv2.resize(picture.numpy(), None, fx=scale, fy=scale, interpolation=cv2.INTER_AREA)
    cv2.imwrite(str(path), pixels[..., ::-1], [cv2.IMWRITE_JPEG_QUALITY, 88])


if __name__ == "__main__":
    main(Path(sys.argv[1]) if len(sys.argv) > 1 else ROOT / "docs" / "images")
