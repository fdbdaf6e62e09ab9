"""What a shot costs a farm: seconds, memory, bytes read and written a frame; a show from them.

    python benchmarks/farm_cost.py [--frames 24] [--threads 1] [--dtype float32]

The bundled clip is enlarged to 1080p, gets grain and lies as PNG frames. `batch` makes it at the
default settings (the bundled model, overlay, track), without exports and with `nuke`, in processes
of their own; what `batch --dry-run` had estimated stands beside it. Linux only.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path

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
SHOW_SHOTS, SHOT_FRAMES = 400, 120
DAY_SECONDS = 24 * 3600


@dataclass(frozen=True)
class Cost:
    """What was measured on one shot."""

    exports: str
    estimated_seconds: float
    """For the whole shot, by `--dry-run`."""
    seconds: float
    """Of the shot, with the pictures that enter memory and everything that is written."""
    wall_seconds: float
    """Of the process, with its start and the checks."""
    peak_bytes: int
    """Most memory that the process held."""
    read_bytes: int
    """Of the frames."""
    written_bytes: int
    """Of all results."""
    frames: int


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--frames", type=int, default=24)
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--dtype", default="float32")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        make_shot(Path(folder), options.frames)
        for exports in ("", "nuke"):
            print("\n".join(lines_of(measured(Path(folder), exports, options))), flush=True)


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
    name = exports or "none"
    manifest = folder / f"{name}.toml"
    manifest.write_text(
        f'output = "results-{name}"\n[[shot]]\nname = "sh010"\nframes = "plates"\n'
        f'annotations = "annotations"\nexports = {json.dumps([exports] if exports else [])}\n',
        encoding="utf-8",
    )
    words = ["batch", str(manifest), "--device", "cpu", "--dtype", options.dtype]
    words += ["--threads", str(options.threads), "--json", "--quiet"]
    estimate, _, _ = run([*words, "--dry-run"], options.threads)
    status, wall_seconds, peak_bytes = run(words, options.threads)
    return Cost(
        name,
        estimate["seconds"],
        status["shots"][0]["seconds"],
        wall_seconds,
        peak_bytes,
        bytes_below(folder / "plates"),
        bytes_below(folder / f"results-{name}" / "sh010"),
        options.frames,
    )


def run(words: list[str], threads: int) -> tuple[dict, float, int]:
    """What a command printed as JSON, its seconds, and the most memory it held."""
    environment = {**os.environ, "OMP_NUM_THREADS": str(threads), "OMP_WAIT_POLICY": "PASSIVE"}
    start = time.monotonic()
    process = subprocess.Popen(
        [sys.executable, "-m", "xmempp_core", *words], env=environment, stdout=subprocess.PIPE
    )
    with process.stdout:
        printed = process.stdout.read()
    _, status, used = os.wait4(process.pid, 0)
    process.returncode = os.waitstatus_to_exitcode(status)
    if process.returncode:
        raise SystemExit(f"{' '.join(words)} ended with code {process.returncode}")
    return json.loads(printed), time.monotonic() - start, used.ru_maxrss << 10


def bytes_below(folder: Path) -> int:
    """Of all files."""
    return sum(path.stat().st_size for path in folder.rglob("*") if path.is_file())


def lines_of(cost: Cost) -> list[str]:
    """The table of one cost."""
    frames, show_frames = cost.frames, SHOW_SHOTS * SHOT_FRAMES
    rate, estimated = frames / cost.seconds, frames / cost.estimated_seconds
    a_day = rate * DAY_SECONDS
    read, written = cost.read_bytes / frames, cost.written_bytes / frames
    show = f"{SHOW_SHOTS} shots of {SHOT_FRAMES} frames"
    rows = (
        ("frames a second and process", f"{rate:.2f} (estimated {estimated:.2f})"),
        ("seconds of the process beside the shot", f"{cost.wall_seconds - cost.seconds:.1f}"),
        ("memory of a process", f"{cost.peak_bytes / 1e9:.2f} GB"),
        ("read a frame", f"{read / 1e6:.2f} MB"),
        ("written a frame", f"{written / 1e6:.3f} MB"),
        ("frames a day and process", f"{a_day:,.0f}"),
        (f"processes for {show} in a day", f"{show_frames / a_day:.2f}"),
        ("read for it", f"{read * show_frames / 1e9:.0f} GB"),
        ("written for it", f"{written * show_frames / 1e9:.0f} GB"),
        ("both in a day", f"{(read + written) * show_frames / DAY_SECONDS / 1e6:.1f} MB/s"),
    )
    return [f"exports: {cost.exports}", *(f"  {name}: {value}" for name, value in rows)]


if __name__ == "__main__":
    run_plainly(main)
