"""Masks of 16-bit types against those of float32: IoU of the masks, and what it costs in J&F.

    python benchmarks/precision_gate.py --data DATASET --sequences dog,libby --dtypes bfloat16

DATASET holds JPEGImages and Annotations. For each sequence, with frames evenly spread over it
annotated, printed are the mean over the other frames of the IoU of both masks, and J&F in each
type. The gate: IoU at least 0.99, J&F within 0.002; the exit code is 1 where it is missed.
"""

from __future__ import annotations

import argparse
import json
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from plain_errors import run_plainly

from xmempp_core.evaluation.datasets import Clip, open_dataset
from xmempp_core.evaluation.metrics import mean_score, score_frames
from xmempp_core.network.checkpoint import load_model
from xmempp_core.propagation.precision import LEAST_IOU, mean_iou
from xmempp_core.propagation.propagation import propagate
from xmempp_core.runtime import Runtime
from xmempp_core.settings import PropagationSettings
from xmempp_core.track.segmentation import label_map_of

LARGEST_LOSS = 0.002


@dataclass(frozen=True)
class Passed:
    """A pass over a sequence in one type."""

    labels: dict[int, torch.Tensor]
    """label maps of the frames that are not annotated"""
    jf: float


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--sequences", default="", help="joined by commas; all where empty")
    parser.add_argument("--annotated", type=int, default=3, help="frames")
    parser.add_argument("--model", default="lite")
    parser.add_argument("--device", default="cpu")
    parser.add_argument("--dtypes", default="bfloat16", help="joined by commas")
    parser.add_argument("--size", type=int, default=480, help="internal size")
    parser.add_argument("--output", type=Path, help="also write the figures as JSON")
    options = parser.parse_args()
    names = [name for name in options.sequences.split(",") if name]
    rows = []
    for clip in open_dataset(options.data, sequences=names):
        rows += compared(clip, options)
    if options.output:
        options.output.write_text(json.dumps(rows, indent=1) + "\n", encoding="utf-8")
    if not all(row["passes"] for row in rows):
        sys.exit(1)


def compared(clip: Clip, options: argparse.Namespace) -> list[dict[str, Any]]:
    """A row for each type; prints them."""
    plain, rows = passed(clip, "float32", options), []
    for dtype in options.dtypes.split(","):
        other = passed(clip, dtype, options)
        ious = [mean_iou(plain.labels[t], other.labels[t]) for t in plain.labels]
        iou, gain = sum(ious) / len(ious), other.jf - plain.jf
        row = {"sequence": clip.name, "dtype": dtype, "iou": iou, "worst iou": min(ious)}
        row |= {"jf float32": plain.jf, "jf": other.jf}
        row["passes"] = iou >= LEAST_IOU and abs(gain) <= LARGEST_LOSS
        rows.append(row)
        print(
            f"{clip.name} {dtype}: IoU {iou:.4f} (worst frame {min(ious):.4f}), "
            f"J&F {plain.jf:.4f} -> {other.jf:.4f} ({gain:+.4f})",
            flush=True,
        )
    return rows


def passed(clip: Clip, dtype: str, options: argparse.Namespace) -> Passed:
    """A pass in a type."""
    network = load_model(options.model, Runtime.choose(options.device, dtype))
    indices = sorted(clip.mask_files)
    places = torch.linspace(0, len(indices) - 1, options.annotated).round().int().tolist()
    annotated = {indices[place] for place in places}
    settings = PropagationSettings(internal_size=options.size)
    annotations = clip.annotations(sorted(annotated))
    labels = {
        one.frame_index: label_map_of(one)
        for one in propagate(network, clip.source, annotations, settings)
        if one.frame_index not in annotated
    }
    truth = {t: clip.truth(t) for t in labels if t in clip.mask_files}
    predicted = {t: labels[t].numpy() for t in truth}
    score = mean_score(score_frames(predicted, truth))
    return Passed(labels, score.jf)


if __name__ == "__main__":
    run_plainly(main)
