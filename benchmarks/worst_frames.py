"""The worst frames of each sequence as overlays: what a model gets wrong, to be looked at.

    python benchmarks/worst_frames.py --data DATASET --output FOLDER [--model lite|FILE]
        [--sequences A,B] [--annotated 1] [--count 10]

One sheet a sequence: hit green, missed blue, false red, J burnt in.
"""

from __future__ import annotations

import argparse
from pathlib import Path

import numpy as np
import torch
from plain_errors import run_plainly

from xmempp_core.evaluation.datasets import Clip, open_dataset
from xmempp_core.evaluation.metrics import region_similarity
from xmempp_core.network.checkpoint import load_model
from xmempp_core.pictures.overlays import to_uint8
from xmempp_core.pictures.pictures import write_picture
from xmempp_core.pictures.sheets import contact_sheet
from xmempp_core.propagation.propagation import propagate
from xmempp_core.runtime import Runtime
from xmempp_core.track.segmentation import label_map_of
from xmempp_core.types import Network

HIT, MISSED, FALSE = (60, 220, 60), (60, 90, 255), (255, 50, 40)


def main() -> None:
    """Writes one sheet a sequence."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--output", type=Path, required=True)
    parser.add_argument("--model", default="lite")
    parser.add_argument("--sequences", default="")
    parser.add_argument("--annotated", type=int, default=1)
    parser.add_argument("--count", type=int, default=10)
    options = parser.parse_args()
    network = load_model(options.model, Runtime.choose("cpu"))
    names = [name for name in options.sequences.split(",") if name]
    for clip in open_dataset(options.data, sequences=names):
        sheet = worst_sheet(network, clip, options.annotated, options.count)
        write_picture(options.output / f"{clip.name}.png", sheet)


def worst_sheet(network: Network, clip: Clip, annotated: int, count: int) -> torch.Tensor:
    """(H, W, 3) uint8 sheet of the frames with the lowest J."""
    given = [int(t) for t in torch.linspace(0, len(clip) - 1, annotated).floor()]
    masks = {}
    for one in propagate(network, clip.source, clip.annotations(given)):
        if one.frame_index in clip.mask_files and one.frame_index not in given:
            masks[one.frame_index] = label_map_of(one).numpy() > 0
    overlap = {t: region_similarity(mask, clip.truth(t) > 0) for t, mask in masks.items()}
    worst = sorted(sorted(overlap, key=lambda t: overlap[t])[:count])
    pictures = [compared(clip, t, masks[t]) for t in worst]
    labels = [f"{clip.source.name(t)}  J {overlap[t]:.2f}" for t in worst]
    return contact_sheet(pictures, labels)


def compared(clip: Clip, frame_index: int, mask: np.ndarray) -> torch.Tensor:
    """(H, W, 3) uint8 frame with hit, missed and false pixels tinted."""
    truth = clip.truth(frame_index) > 0
    picture = to_uint8(clip.source.frame(frame_index)).numpy().astype(np.float32)
    for where, color in ((mask & truth, HIT), (truth & ~mask, MISSED), (mask & ~truth, FALSE)):
        picture[where] = 0.5 * picture[where] + 0.5 * np.array(color)
    return torch.from_numpy(picture.round().astype(np.uint8))


if __name__ == "__main__":
    run_plainly(main)
