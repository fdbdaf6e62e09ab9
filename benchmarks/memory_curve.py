"""Host memory of a long run, file to masks: flat, whatever the length of the shot.

    python benchmarks/memory_curve.py --frames 10000 --minutes 38 --output memory_curve.png

The bundled clip, enlarged to 1080p and looped as packets of one film, goes through `propagate` as
from the command line: label maps, overlay film and track. Read each second are the resident memory
of the process and the masks written. Linux only.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tempfile
import time
from fractions import Fraction
from pathlib import Path

import av
import torch
from plain_errors import run_plainly

from xmempp_core.annotations import Annotation, AnnotationSet
from xmempp_core.cli.demo import CLIP
from xmempp_core.formats.annotations.folder import fit_masks, load_annotations, save_annotations
from xmempp_core.formats.frames.open import open_frames
from xmempp_core.resize import resize_frame, to_planes
from xmempp_core.types import Size

SIZE = Size(1080, 1920)
LOOP_FRAMES = 100
"""Frames of the film that are encoded; the others are their packets again."""
SETTLED_FRAMES = 1000


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--frames", type=int, default=10000)
    parser.add_argument("--internal-size", type=int, default=96, help="short side in pixels")
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--minutes", type=float, default=1000, help="stop the run after so long")
    parser.add_argument("--output", type=Path, help="a plot, and the figures as JSON beside it")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        curve = measured(Path(folder), options)
    figures = summary(curve, options)
    print(json.dumps(figures, indent=1))
    if options.output:
        text = json.dumps({**figures, "curve": curve}) + "\n"
        options.output.with_suffix(".json").write_text(text, encoding="utf-8")
        plot(curve, options.output)


def measured(folder: Path, options: argparse.Namespace) -> list[tuple[int, float]]:
    """Masks written and megabytes held, once a second until the run ends."""
    film, output = folder / "looped.mp4", folder / "result"
    make_film(film, options.frames)
    make_annotations(folder / "annotations", film)
    command = [
        *(sys.executable, "-m", "xmempp_core", "propagate", "--frames", str(film)),
        *("--annotations", str(folder / "annotations"), "--output", str(output)),
        *("--dtype", "float32", "--device", "cpu", "--quiet"),
        *("--set", f"internal_size={options.internal_size}"),
    ]
    environment = {**os.environ, "OMP_NUM_THREADS": str(options.threads)}
    run = subprocess.Popen(command, env=environment)
    curve: list[tuple[int, float]] = []
    end = time.monotonic() + 60 * options.minutes
    while run.poll() is None:
        time.sleep(1)
        held = resident_megabytes(run.pid)
        masks = output / "masks"
        if held and masks.is_dir():
            curve.append((sum(1 for _ in os.scandir(masks)), held))
        if time.monotonic() > end:
            run.terminate()
            run.wait()
            return curve
    if run.returncode:
        raise SystemExit(f"the run ended with code {run.returncode}")
    return curve


def resident_megabytes(pid: int) -> float:
    """Resident memory of a process; 0 where it is gone."""
    try:
        status = Path(f"/proc/{pid}/status").read_text(encoding="utf-8")
    except OSError:
        return 0
    kilobytes = (x.split()[1] for x in status.splitlines() if x.startswith("VmRSS"))
    return int(next(kilobytes, 0)) / 1024


def make_film(path: Path, count: int) -> None:
    """A film of `count` frames of 1080p: a short one whose packets are repeated."""
    short = path.with_name("short.mp4")
    demo = open_frames(CLIP / "bigbuckbunny.mp4")
    with av.open(str(short), "w") as container:
        stream = container.add_stream("libx264", 24, options={"preset": "ultrafast"})
        stream.width, stream.height, stream.pix_fmt = SIZE.width, SIZE.height, "yuv420p"
        stream.codec_context.max_b_frames = 0
        for index in range(LOOP_FRAMES):
            planes = to_planes(demo.frame(index % len(demo)), torch.device("cpu"))
            pixels = (resize_frame(planes, SIZE, True) * 255).round().byte().permute(1, 2, 0)
            frame = av.VideoFrame.from_ndarray(pixels.contiguous().numpy(), format="rgb24")
            for packet in stream.encode(frame):
                container.mux(packet)
        for packet in stream.encode():
            container.mux(packet)
    repeat_packets(short, path, count)


def repeat_packets(short: Path, path: Path, count: int) -> None:
    """Writes the packets of a short film over and over until there are `count`."""
    with av.open(str(path), "w") as target:
        made, stream = 0, None
        while made < count:
            with av.open(str(short)) as source:
                video = source.streams.video[0]
                stream = stream or target.add_stream_from_template(video)
                step = round(1 / (Fraction(24) * video.time_base))
                for packet in source.demux(video):
                    if packet.dts is None or made == count:
                        continue
                    packet.pts = packet.dts = made * step
                    packet.stream = stream
                    target.mux(packet)
                    made += 1


def make_annotations(folder: Path, film: Path) -> None:
    """The bundled clip's three annotations at 1080p."""
    demo, source = open_frames(CLIP / "bigbuckbunny.mp4"), open_frames(film)
    given = [
        Annotation(one.frame_index % LOOP_FRAMES, one.object_ids, fit_masks(one.masks, SIZE, "map"))
        for one in load_annotations(CLIP, demo)
    ]
    one_each = {annotation.frame_index: annotation for annotation in given}
    save_annotations(AnnotationSet(tuple(one_each.values())), folder, source)


def summary(curve: list[tuple[int, float]], options: argparse.Namespace) -> dict[str, float]:
    """The figures of the curve."""
    settled = [held for done, held in curve if done >= SETTLED_FRAMES]
    figures: dict[str, float] = {
        "frames": curve[-1][0],
        "internal_size": options.internal_size,
        "peak_megabytes": max(held for _, held in curve),
    }
    if settled:
        tail = settled[len(settled) // 2 :]
        figures["megabytes_at_1000_frames"] = settled[0]
        figures["median_megabytes_second_half"] = sorted(tail)[len(tail) // 2]
    return figures


def plot(curve: list[tuple[int, float]], path: Path) -> None:
    """The curve as a picture."""
    import matplotlib

    matplotlib.use("agg")
    from matplotlib import pyplot

    figure, axes = pyplot.subplots(figsize=(7, 3), layout="constrained")
    axes.plot([done for done, _ in curve], [held for _, held in curve], linewidth=1)
    axes.set(xlabel="frames of 1080p done", ylabel="resident memory, MB", ylim=(0, None))
    axes.grid(alpha=0.3)
    figure.savefig(path, dpi=110)


if __name__ == "__main__":
    run_plainly(main)
