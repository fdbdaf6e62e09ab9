"""What a shot costs a farm: processor time, memory, bytes read and written; a show from them.

    python benchmarks/farm_cost.py [--frames 28] [--dtype float32]

The bundled clip is enlarged to 1080p, gets grain and lies as PNG frames. `batch` makes it with one
thread at the default settings (the bundled model, masks, overlay, track), without exports and with
`nuke`; a run of few frames and one of all tell what a frame and what a shot takes. Processor
seconds count, which other work on the machine changes little. What `batch --dry-run` estimates
for the shot, in seconds of the clock, stands beside those of its run. Linux only.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from plain_errors import run_plainly

from xmempp_core.annotations import Annotation, AnnotationSet
from xmempp_core.cli.demo import CLIP
from xmempp_core.formats.annotations.folder import fit_masks, load_annotations, save_annotations
from xmempp_core.formats.frames.open import open_frames
from xmempp_core.pictures.pictures import write_picture
from xmempp_core.resize import resize_frame, to_planes
from xmempp_core.types import Size

SIZE = Size(1080, 1920)
GRAIN = 2.0
"""Standard deviation of the grain, of 255."""
FEW_FRAMES = 4
SHOW_SHOTS, SHOT_FRAMES = 400, 120
DAY_SECONDS = 24 * 3600


@dataclass(frozen=True)
class Run:
    """One call of the command line."""

    printed: Any
    """Its summary."""
    processor_seconds: float
    peak_bytes: int
    """Most memory that the process held."""


@dataclass(frozen=True)
class Cost:
    """What a shot takes."""

    exports: str
    frame_seconds: float
    """Processor seconds of each frame, everything that is written of it included."""
    shot_seconds: float
    """Those of the process's start, the checks, and the pictures that enter memory."""
    peak_bytes: int
    read_bytes: float
    """A frame as it lies on storage."""
    written_bytes: float
    """All results, for each frame."""
    clock_seconds: float
    """Of the shot as the batch says it."""
    estimated_seconds: float
    """The same as `--dry-run` estimated it."""


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--frames", type=int, default=28)
    parser.add_argument("--dtype", default="float32")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        make_shot(Path(folder), options.frames)
        for exports in ("none", "nuke"):
            cost = measured(Path(folder), exports, options)
            print("\n".join(lines_of(cost)), flush=True)


def make_shot(folder: Path, count: int) -> None:
    """Frames of 1080p with grain, and the bundled clip's annotations that fall on them."""
    demo = open_frames(CLIP / "bigbuckbunny.mp4")
    given = load_annotations(CLIP, demo)
    start = given.frame_indices[0]
    generator = torch.Generator().manual_seed(0)
    for number in range(count):
        planes = to_planes(demo.frame((start + number) % len(demo)), torch.device("cpu"))
        enlarged = resize_frame(planes, SIZE, True)
        grainy = enlarged * 255 + GRAIN * torch.randn(enlarged.shape, generator=generator)
        pixels = grainy.round().clamp(0, 255).byte().permute(1, 2, 0).contiguous()
        write_picture(folder / "plates" / f"plate.{1001 + number}.png", pixels)
    kept = [
        Annotation(one.frame_index - start, one.object_ids, fit_masks(one.masks, SIZE, "map"))
        for one in given
        if one.frame_index < start + count
    ]
    source = open_frames(folder / "plates")
    save_annotations(AnnotationSet(tuple(kept)), folder / "annotations", source)


def measured(folder: Path, exports: str, options: argparse.Namespace) -> Cost:
    """The cost of the shot with an export or none."""
    few = batch(folder, exports, FEW_FRAMES, options.dtype)
    estimate = batch(folder, exports, options.frames, options.dtype, "--dry-run")
    whole = batch(folder, exports, options.frames, options.dtype)
    between = options.frames - FEW_FRAMES
    frame_seconds = (whole.processor_seconds - few.processor_seconds) / between
    written = [
        bytes_below(folder / f"{exports}-{count}" / "sh010")
        for count in (FEW_FRAMES, options.frames)
    ]
    return Cost(
        exports,
        frame_seconds,
        few.processor_seconds - FEW_FRAMES * frame_seconds,
        whole.peak_bytes,
        bytes_below(folder / "plates") / options.frames,
        (written[1] - written[0]) / between,
        whole.printed["shots"][0]["seconds"],
        estimate.printed["seconds"],
    )


def batch(folder: Path, exports: str, count: int, dtype: str, *more: str) -> Run:
    """Makes the first frames of the shot, or with `--dry-run` says what it would take."""
    name = f"{exports}-{count}"
    manifest = folder / f"{name}.toml"
    presets = "[]" if exports == "none" else f'["{exports}"]'
    manifest.write_text(
        f'output = "{name}"\n[[shot]]\nname = "sh010"\nframes = "plates"\n'
        f'annotations = "annotations"\nexports = {presets}\nrange = "1001-{1000 + count}"\n',
        encoding="utf-8",
    )
    words = ["batch", str(manifest), "--device", "cpu", "--dtype", dtype, "--threads", "1"]
    words += ["--json", "--quiet", *more]
    environment = {**os.environ, "OMP_NUM_THREADS": "1", "OMP_WAIT_POLICY": "PASSIVE"}
    process = subprocess.Popen(
        [sys.executable, "-m", "xmempp_core", *words], env=environment, stdout=subprocess.PIPE
    )
    with process.stdout:
        printed = process.stdout.read()
    _, status, used = os.wait4(process.pid, 0)
    process.returncode = os.waitstatus_to_exitcode(status)
    if process.returncode:
        raise SystemExit(f"{' '.join(words)} ended with code {process.returncode}")
    return Run(json.loads(printed), used.ru_utime + used.ru_stime, used.ru_maxrss << 10)


def bytes_below(folder: Path) -> int:
    """Of all files."""
    return sum(path.stat().st_size for path in folder.rglob("*") if path.is_file())


def lines_of(cost: Cost) -> list[str]:
    """The table of one cost."""
    frames = SHOW_SHOTS * SHOT_FRAMES
    seconds = SHOW_SHOTS * cost.shot_seconds + frames * cost.frame_seconds
    read, written = cost.read_bytes * frames, cost.written_bytes * frames
    rows = (
        ("frames a second and core", f"{1 / cost.frame_seconds:.2f}"),
        ("processor seconds a frame", f"{cost.frame_seconds:.2f}"),
        ("and a shot, beside its frames", f"{cost.shot_seconds:.1f}"),
        ("memory of a process", f"{cost.peak_bytes / 1e9:.2f} GB"),
        ("read a frame", f"{cost.read_bytes / 1e6:.2f} MB"),
        ("written a frame", f"{cost.written_bytes / 1e6:.2f} MB"),
        ("this shot, seconds of the clock", f"{cost.clock_seconds:.1f}"),
        ("and as estimated", f"{cost.estimated_seconds:.1f}"),
        (f"{SHOW_SHOTS} shots of {SHOT_FRAMES} frames, core hours", f"{seconds / 3600:.1f}"),
        ("cores for them in a day", f"{seconds / DAY_SECONDS:.2f}"),
        ("read", f"{read / 1e9:.0f} GB"),
        ("written", f"{written / 1e9:.0f} GB"),
        ("both, over a day", f"{(read + written) / DAY_SECONDS / 1e6:.1f} MB/s"),
    )
    return [f"exports: {cost.exports}", *(f"  {name}: {value}" for name, value in rows)]


if __name__ == "__main__":
    run_plainly(main)
