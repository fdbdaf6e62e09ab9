"""Time of the candidate selection against a plain triple loop, and how it grows with N and k.

    python benchmarks/candidates.py --frames CLIP --output candidates.json

CLIP is any video or sequence of at least 240 frames; where more are asked for, its frames mirrored
left to right follow. The triple loop (rounds, frames, chosen frames) computes the two similarities
of every pair with the same `similarity` that reads memory. Times are processor time of this
process, medians; the features are computed before and are not part of them, as they come from the
propagation's cache.
"""

from __future__ import annotations

import argparse
import json
import platform
import statistics
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import torch
from plain_errors import run_plainly
from torch import Tensor

from xmempp_core.candidates.dissimilarity import composite_key, presence_of_cells
from xmempp_core.candidates.request import CandidateRequest
from xmempp_core.candidates.select import Candidates, select_from_features
from xmempp_core.formats.frames.open import open_frames
from xmempp_core.network.checkpoint import load_model
from xmempp_core.network.ops import similarity, tokens_of
from xmempp_core.resize import internal_size, resize_frame, to_planes
from xmempp_core.runtime import Runtime
from xmempp_core.types import Features

ALPHA = 0.5


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--frames", required=True, help="video or sequence of at least 240 frames")
    parser.add_argument("--model", default="lite")
    parser.add_argument("--internal-size", type=int, default=480)
    parser.add_argument("--lengths", default="60,120,240,480")
    parser.add_argument("--counts", default="1,2,5,10")
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--output", type=Path)
    options = parser.parse_args()
    torch.set_num_threads(options.threads)
    torch.set_grad_enabled(False)
    report = run(options)
    text = json.dumps(report, indent=2)
    print(text)
    if options.output:
        options.output.write_text(text + "\n", encoding="utf-8")


def run(options: argparse.Namespace) -> dict[str, Any]:
    lengths = [int(n) for n in options.lengths.split(",")]
    features, encode_seconds = encode_clip(options, max(lengths))
    clip = {n: stacked(features[:n]) for n in lengths}
    select(clip[lengths[0]], 2)  # warm-up
    by_length = {n: median_seconds(partial(select, clip[n], 5), options.repeats) for n in lengths}
    counts = [int(k) for k in options.counts.split(",")]
    by_count = {k: median_seconds(partial(select, clip[240], k), options.repeats) for k in counts}
    start = time.process_time()
    plain = triple_loop(clip[240], 5)
    plain_seconds = time.process_time() - start
    lazy = select(clip[240], 5)
    assert list(lazy.indices) == plain, "both must choose the same frames"
    cells = clip[240][0].shape[-2:]
    return {
        "subject": "candidates",
        "clip": Path(options.frames).name,
        "cells": list(cells),
        "key_channels": clip[240][0].shape[1],
        "encode_seconds_per_frame": encode_seconds,
        "seconds_by_length_k5": by_length,
        "seconds_by_count_n240": by_count,
        "triple_loop_seconds_n240_k5": plain_seconds,
        "speedup_n240_k5": plain_seconds / by_length[240],
        "chosen": plain,
        "machine": {
            "cpu": platform.processor() or platform.machine(),
            "threads": torch.get_num_threads(),
            "torch": torch.__version__,
            "python": platform.python_version(),
        },
        "model": options.model,
        "repeats": options.repeats,
    }


def encode_clip(options: argparse.Namespace, count: int) -> tuple[list[Features], float]:
    """Features of `count` frames and the seconds one took."""
    source = open_frames(options.frames)
    network = load_model(options.model, Runtime.choose("cpu"))
    size = internal_size(source.size, options.internal_size)
    features = []
    start = time.process_time()
    for index in range(count):
        frame = source.frame(index % len(source))
        frame = frame.flip(1) if index >= len(source) else frame
        features.append(network.encode(resize_frame(to_planes(frame, network.device), size, True)))
    return features, (time.process_time() - start) / count


def stacked(features: list[Features]) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    """Key, shrinkage, selection, and the presence of one object: the middle of the picture."""
    key = torch.stack([f.key for f in features])
    height, width = key.shape[-2] * 16, key.shape[-1] * 16
    presence = torch.zeros(len(features), 1, height, width)
    presence[:, :, height // 4 : 3 * height // 4, width // 3 : 2 * width // 3] = 1
    shrinkage = torch.stack([f.shrinkage for f in features])
    return key, shrinkage, torch.stack([f.selection for f in features]), presence


def select(clip: tuple[Tensor, Tensor, Tensor, Tensor], k: int) -> Candidates:
    return select_from_features(*clip, CandidateRequest([0], k, alpha=ALPHA))


def triple_loop(clip: tuple[Tensor, Tensor, Tensor, Tensor], k: int) -> list[int]:
    """Algorithm 1 as it is listed: every round compares every frame with every chosen one."""
    keys, shrinkages, selections, presences = clip
    height, width = keys.shape[-2:]
    cells = [presence_of_cells(p.amax(0), height, width) for p in presences]
    key = [
        tokens_of(composite_key(one, cell, ALPHA)) for one, cell in zip(keys, cells, strict=True)
    ]
    shrinkage = [tokens_of(one)[:, 0] for one in shrinkages]
    selection = [tokens_of(one) for one in selections]
    chosen = [0]
    for _ in range(k):
        scores = []
        for j in range(len(key)):
            values = []
            for i in chosen:
                forth = similarity(key[i], shrinkage[i], key[j], selection[j]).t()
                back = similarity(key[j], shrinkage[j], key[i], selection[i]).t()
                values.append(float((forth - back).clamp(min=0).mean()))
            scores.append(min(values) if j not in chosen else 0.0)
        chosen.append(scores.index(max(scores)))
    return chosen[1:]


def median_seconds(work: Callable[[], object], repeats: int) -> float:
    times = []
    for _ in range(repeats):
        start = time.process_time()
        work()
        times.append(time.process_time() - start)
    return statistics.median(times)


if __name__ == "__main__":
    run_plainly(main)
