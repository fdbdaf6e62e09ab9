"""Mattes to OpenEXR against plain OpenEXR calls on the same arrays, in the same run.

python benchmarks/export.py [--frames 100] [--repeats 3] [--output DIR]

A drawn track of 1080p with three objects is exported with the preset nuke; beside it the same
alphas are made from the track and written by OpenEXR alone, without names, checks, hashes or
staging. The two alternate. Reported are files a second, their ratio, and peak memory of an export
of half the frames and of all of them.
"""

from __future__ import annotations

import argparse
import json
import platform
import resource
import shutil
import statistics
import tempfile
import time
from dataclasses import replace
from fractions import Fraction
from pathlib import Path

import numpy as np
import OpenEXR
import torch

from xmempp_core.annotations import Annotation, AnnotationSet
from xmempp_core.mattes.alpha import alphas, matte_objects
from xmempp_core.mattes.export import export_mattes
from xmempp_core.mattes.plan import MatteJob
from xmempp_core.mattes.presets import load_preset
from xmempp_core.settings import PropagationSettings
from xmempp_core.track.records import FrameRecord
from xmempp_core.track.segmentation import Segmentation, label_map_of
from xmempp_core.track.track import Shot, Track
from xmempp_core.types import ModelInfo, Size

SIZE, INTERNAL = Size(1080, 1920), Size(480, 854)
IDS = (1, 2, 3)


def drawn_track(count: int) -> Track:
    """Three soft disks with ragged edges, five looks in turn."""
    names = tuple(f"plate.{1001 + i}" for i in range(count))
    shot = Shot(SIZE, Fraction(24), names, tuple(range(1001, 1001 + count)), "drawn")
    absent = Annotation(0, IDS, torch.zeros(3, *SIZE, dtype=torch.bool))
    model = ModelInfo("drawn", Path("drawn"), "none", 0, 0, 0, 0, "", "", "")
    # The annotation names the objects; it lies past the frames that are written.
    annotations = AnnotationSet((replace(absent, frame_index=count),))
    track = Track(shot, annotations, PropagationSettings(), model)
    drawn = [Segmentation(0, IDS, _disks(seed), SIZE, (1.0,) * 3) for seed in range(5)]
    looks = [FrameRecord.of(one, label_map_of(one)) for one in drawn]
    for index in range(count):
        track.add_record(replace(looks[index % 5], frame_index=index))
    return track


def _disks(seed: int) -> torch.Tensor:
    y, x = torch.meshgrid(*(torch.arange(float(side)) for side in INTERNAL), indexing="ij")
    logits = [torch.zeros(INTERNAL)]
    for n in range(3):
        dy, dx = y - 140 - 90 * n, x - 200 - 200 * n
        radius = 110 * (1 + 0.2 * torch.sin(7 * torch.atan2(dy, dx) + seed))
        logits.append(((radius - torch.hypot(dy, dx)) * 0.7).clamp(-9, 9))
    return torch.stack(logits).softmax(0)


def ours(track: Track, frames: range, output: Path) -> float:
    """Seconds of an export."""
    start = time.perf_counter()
    export_mattes(track, MatteJob(output, load_preset("nuke"), frames=tuple(frames)))
    return time.perf_counter() - start


def plain(track: Track, frames: range, output: Path) -> float:
    """Seconds of the same alphas written by OpenEXR alone."""
    output.mkdir()
    objects = matte_objects(track)
    header = {"compression": OpenEXR.ZIPS_COMPRESSION, "type": OpenEXR.scanlineimage}
    start = time.perf_counter()
    for index in frames:
        for k, alpha in enumerate(alphas(track.segmentation(index), objects)):
            pixels = alpha.numpy().astype(np.float16)
            OpenEXR.File(header, {"A": pixels}).write(str(output / f"{k}.{index}.exr"))
    return time.perf_counter() - start


def peak_bytes() -> int:
    """Peak memory of this process so far."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024


def main() -> None:
    """Measures and prints JSON."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--frames", type=int, default=100)
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--output", type=Path, help="where files are written; else a temp folder")
    options = parser.parse_args()
    root = Path(tempfile.mkdtemp(dir=options.output))
    try:
        track = drawn_track(options.frames)
        half, whole = range(options.frames // 2), range(options.frames)
        ours(track, range(2), root / "warm")
        plain(track, range(2), root / "warm_plain")
        peaks, seconds = [], {"ours": [], "plain": []}
        ours(track, half, root / "half")
        peaks.append(peak_bytes())
        for repeat in range(options.repeats):
            for name, write in (("ours", ours), ("plain", plain)):
                folder = root / f"{name}{repeat}"
                seconds[name].append(write(track, whole, folder))
                shutil.rmtree(folder)
            peaks.append(peak_bytes())
    finally:
        shutil.rmtree(root, ignore_errors=True)
    median = {name: statistics.median(values) for name, values in seconds.items()}
    files = 3 * options.frames
    result = {
        "files": files,
        "size": str(SIZE),
        "files_per_second": {name: round(files / value, 2) for name, value in median.items()},
        "ratio": round(median["plain"] / median["ours"], 3),
        "ratios": [round(p / o, 3) for o, p in zip(seconds["ours"], seconds["plain"], strict=True)],
        "peak_memory_mb": [round(peak / 2**20) for peak in peaks],
        "machine": platform.machine(),
        "torch": torch.__version__,
    }
    print(json.dumps(result, indent=1))


if __name__ == "__main__":
    main()
