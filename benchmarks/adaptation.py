"""Adaptation to a shot, measured: J&F of the given network, of each round, chosen and steadied.

    python benchmarks/adaptation.py --data DAVIS --output results --counts 3 --sequences dog,libby

Every sequence of a data set in the layout of DAVIS is annotated on evenly spaced frames, which do
not count. One JSON file for each sequence and count is written into the output folder; what is
there already is not measured again; the label maps lie beside it as NAME.npz (one array a result,
frames in order). benchmarks/adaptation_report.py makes the tables and pictures of the docs.
"""

from __future__ import annotations

import argparse
import json
import platform
import time
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from plain_errors import run_plainly

from xmempp_core.adaptation.adaptation import FIRST, GIVEN, SECOND, Adaptation
from xmempp_core.adaptation.results import SoftMasks
from xmempp_core.adaptation.settings import AdaptationSettings
from xmempp_core.evaluation.datasets import Clip, open_dataset
from xmempp_core.evaluation.metrics import mean_score, score_frames
from xmempp_core.mattes.steady import SoftFrame, steadied
from xmempp_core.network.checkpoint import load_model
from xmempp_core.settings import PropagationSettings

STEADY_ROUNDS = 2


def main() -> None:
    """Measures what is asked for."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--data", type=Path, required=True, help="a data set as DAVIS lays it out")
    parser.add_argument("--output", type=Path, required=True, help="folder of the JSON files")
    parser.add_argument("--sequences", default="", help="names, comma separated (default: all)")
    parser.add_argument("--counts", default="3", help="annotated frames, comma separated")
    parser.add_argument("--model", default="lite", help="bundled model or file")
    parser.add_argument("--mode", default="auto", choices=("quick", "auto"))
    parser.add_argument("--internal-size", type=int, default=480)
    parser.add_argument("--steps", type=int, help="steps of the first round")
    options = parser.parse_args()
    options.output.mkdir(parents=True, exist_ok=True)
    names = tuple(name for name in options.sequences.split(",") if name)
    for clip in open_dataset(options.data, sequences=names):
        for count in map(int, options.counts.split(",")):
            path = options.output / f"{clip.name}_{count}_{options.mode}.json"
            if not path.exists():
                figures, maps = measured(clip, count, options)
                np.savez_compressed(path.with_suffix(".npz"), **maps)
                path.write_text(json.dumps(figures, indent=2) + "\n", encoding="utf-8")
                print(json.dumps(figures["jf"]), clip.name, count, flush=True)


def measured(
    clip: Clip, count: int, options: argparse.Namespace
) -> tuple[dict[str, Any], dict[str, np.ndarray]]:
    """All figures of one sequence with so many annotated frames; (T, H, W) ids by result."""
    annotated = spread(sorted(clip.mask_files), count)
    settings = AdaptationSettings(mode=options.mode, steps=options.steps)
    passes = PropagationSettings(internal_size=options.internal_size)
    adaptation = Adaptation(
        load_model(options.model), clip.source, clip.annotations(annotated), settings, passes
    )
    seconds: dict[str, list[float]] = {}
    wall, used = time.perf_counter(), time.process_time()
    for step in adaptation.steps():
        now = time.perf_counter(), time.process_time()
        total = seconds.setdefault(step.stage, [0.0, 0.0])
        total[0] += now[0] - wall
        total[1] += now[1] - used
        wall, used = now
    rounds = [name for name in (GIVEN, FIRST, SECOND) if adaptation.masks_of(name) is not None]
    maps = {name: label_maps(clip, adaptation, name) for name in rounds}
    scores = {name: score(clip, labels, annotated) for name, labels in maps.items()}
    soft = adaptation.masks_of(adaptation.chosen)
    assert soft is not None
    maps["steadied"] = steady_maps(clip, adaptation, soft)
    scores["steadied"] = score(clip, maps["steadied"], annotated)
    figures = {
        "sequence": clip.name,
        "frames": len(clip.source),
        "annotated": annotated,
        "jf": {
            **{name: scores[name] for name in rounds},
            "chosen": scores[adaptation.chosen],
            "steadied": scores["steadied"],
        },
        "facts": adaptation.facts(adaptation.chosen),
        "seconds": {stage: [round(x, 2) for x in both] for stage, both in seconds.items()},
        "model": load_model(options.model).info.sha256,
        "torch": torch.__version__,
        "threads": torch.get_num_threads(),
        "processor": platform.processor() or platform.machine(),
    }
    return figures, {name: np.stack([by[t] for t in sorted(by)]) for name, by in maps.items()}


def spread(frames: Sequence[int], count: int) -> list[int]:
    """Evenly spaced frames from the first to the last; the first alone for one."""
    places = np.floor(np.linspace(0, len(frames) - 1, count)) if count > 1 else [0]
    return sorted({frames[int(place)] for place in places})


def label_maps(clip: Clip, adaptation: Adaptation, name: str) -> dict[int, np.ndarray]:
    """(H, W) object ids by frame, from a round's soft masks."""
    masks = adaptation.masks_of(name)
    assert masks is not None
    soft = ((t, masks.get(t)) for t in masks.frame_indices)
    ids = adaptation.annotations.object_ids
    return {t: labels(clip, with_background(one), ids) for t, one in soft}


def steady_maps(clip: Clip, adaptation: Adaptation, masks: SoftMasks) -> dict[int, np.ndarray]:
    """The same of masks steadied along the motion."""
    annotations = adaptation.annotations
    frames: Iterable[SoftFrame] = (
        SoftFrame(
            t,
            clip.source.frame(t),
            with_background(masks.get(t)),
            (annotations.at(t) is not None,) * len(annotations.object_ids),
        )
        for t in masks.frame_indices
    )
    return {
        t: labels(clip, one, annotations.object_ids)
        for t, one in zip(masks.frame_indices, steadied(frames, STEADY_ROUNDS), strict=True)
    }


def with_background(masks: torch.Tensor) -> torch.Tensor:
    """(N + 1, h, w) from masks (N, h, w)."""
    return torch.cat([(1 - masks.sum(0, keepdim=True)).clamp(min=0), masks])


def labels(clip: Clip, probabilities: torch.Tensor, object_ids: Sequence[int]) -> np.ndarray:
    """(H, W) uint8 object ids at the size of the frames."""
    size = tuple(clip.source.size)
    if tuple(probabilities.shape[1:]) != size:
        probabilities = F.interpolate(
            probabilities[None], size, mode="bilinear", align_corners=False
        )[0]
    ids = torch.tensor([0, *object_ids], dtype=torch.uint8)
    return ids[probabilities.argmax(0)].numpy()


def score(clip: Clip, maps: dict[int, np.ndarray], annotated: Sequence[int]) -> float:
    """Mean J&F of the frames that have a truth and no annotation."""
    truth = {t: clip.truth(t) for t in clip.mask_files}
    found = {t: maps[t] for t in maps if t in truth}
    return round(mean_score(score_frames(found, truth, annotated)).jf, 4)


if __name__ == "__main__":
    run_plainly(main)
