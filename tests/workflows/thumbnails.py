#!/usr/bin/env python3
"""Draws the thumbnails of the workflows and the icon from the bundled clip and model.

thumbnails.py        writes workflows/NAME.jpg and web/icon.png
"""

from __future__ import annotations

import sys
from pathlib import Path

import cv2
import numpy as np
import torch
from PIL import Image
from torch import Tensor

ROOT = Path(__file__).parents[2]
sys.path.insert(0, str(ROOT))

import xmempp_core as core  # noqa: E402, the repository need not be installed

DEMO = ROOT / "xmempp_core" / "assets" / "demo"
WIDTH, HEIGHT = 480, 270


def main() -> None:
    source = core.open_frames(DEMO / "bigbuckbunny.mp4")
    annotations = core.load_annotations(DEMO, source)
    network = core.load_model("lite")
    settings = core.PropagationSettings(internal_size=240)
    track = core.Track.collect(core.propagate(network, source, annotations, settings))
    for name, picture in thumbnails(track, source).items():
        pixels = cv2.resize(picture.numpy(), (WIDTH, HEIGHT), interpolation=cv2.INTER_AREA)
        Image.fromarray(pixels).save(ROOT / "workflows" / f"{name}.jpg", quality=88)
    icon = core.draw_overlay(source.frame(60), track.label_map(60))[:660, 130:790]
    small = cv2.resize(icon.numpy(), (256, 256), interpolation=cv2.INTER_AREA)
    Image.fromarray(small).save(ROOT / "web" / "icon.png", optimize=True)


def thumbnails(track: core.Track, source: core.FrameSource) -> dict[str, Tensor]:
    """A picture for each workflow, any size of 16:9."""

    def shown(index: int) -> Tensor:
        return core.draw_overlay(source.frame(index), track.label_map(index))

    def of(object_id: int) -> Tensor:
        return track.label_map(60) == object_id

    def matte(object_id: int) -> Tensor:
        return _white(of(object_id))

    four = [core.burn_in(shown(i), str(i), marked=i == 12) for i in (12, 39, 64, 110)]
    labels = np.array(core.PALETTE, np.uint8)[track.label_map(60).numpy()]
    return {
        "01_annotate_a_shot": core.burn_in(shown(36), "36", marked=True),
        "02_quick_start": shown(60),
        "03_xmem_loop": torch.cat([torch.cat(four[:2], 1), torch.cat(four[2:], 1)], 0),
        "04_several_objects": _halves(matte(1), matte(2)),
        "05_label_maps": _halves(torch.from_numpy(labels), shown(60)),
        "08_mattes_for_nuke": _halves(matte(1), _on_color(source.frame(60), of(1))),
        "09_correct_a_matte": _halves(
            core.burn_in(_white(_rough(of(1))), "in"), core.burn_in(matte(1), "out")
        ),
        "10_into_generation": _on_color(source.frame(12), track.label_map(12) == 1),
        "06_negative_annotation": _halves(
            core.burn_in(source.frame(3), "3: not here"), core.burn_in(shown(60), "60")
        ),
        "07_adapt_to_the_shot": core.burn_in(shown(122), "adapted", marked=True),
        "11_sam3_start": core.burn_in(shown(90), '"bunny"'),
    }


def _white(inside: Tensor) -> Tensor:
    """White on black."""
    return (inside.to(torch.uint8) * 255)[..., None].expand(-1, -1, 3).contiguous()


def _rough(inside: Tensor) -> Tensor:
    """A matte with a wrong edge: eroded, and with a bite out of it."""
    kernel = cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (41, 41))
    worn = torch.from_numpy(cv2.erode(inside.to(torch.uint8).numpy(), kernel)).bool()
    worn[380:520, 330:470] = False
    return worn


def _halves(left: Tensor, right: Tensor) -> Tensor:
    """The left part of two pictures side by side."""
    half = left.shape[1] // 2
    return torch.cat([left[:, :half], right[:, :half]], 1)


def _on_color(frame: Tensor, inside: Tensor) -> Tensor:
    color = torch.tensor([0x30, 0x60, 0xA0], dtype=torch.uint8)
    return torch.where(inside[..., None], frame, color)


if __name__ == "__main__":
    main()
