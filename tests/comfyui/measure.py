#!/usr/bin/env python3
"""Peak memory and added time of the nodes on a long clip: 400 frames of 1080p.

    measure.py nodes | core | free [--size N]

Each runs in a process of its own, so that peaks can be told apart; prints one line of JSON. "core"
makes the same pass and the same film without ComfyUI. "free" runs the first workflow on the demo,
presses "Free memory", and prints what the process holds before, after the pass and in the end.
Times are processor time, as the machine may be busy. The clip is the demo, looped and scaled, made
once beside the cached ComfyUI.
"""

from __future__ import annotations

import argparse
import json
import resource
import tempfile
import time
from fractions import Fraction
from pathlib import Path

import av
from bed import PACK, TEST_PACK, Bed
from get_comfyui import cache_folder
from graphs import Graph

FRAMES, WIDTH, HEIGHT = 400, 1920, 1080
DEMO = PACK / "xmempp_core" / "assets" / "demo"


def long_clip() -> Path:
    """The demo looped to 400 frames at 1080p."""
    path = cache_folder().parent / f"demo_{FRAMES}_{HEIGHT}p.mp4"
    if path.is_file():
        return path
    temporary = path.with_suffix(".part.mp4")
    with av.open(str(DEMO / "bigbuckbunny.mp4")) as source:
        frames = [f.reformat(WIDTH, HEIGHT, "yuv420p") for f in source.decode(video=0)]
    with av.open(str(temporary), "w") as target:
        stream = target.add_stream("libx264", rate=Fraction(25), options={"preset": "veryfast"})
        stream.width, stream.height, stream.pix_fmt = WIDTH, HEIGHT, "yuv420p"
        for number in range(FRAMES):
            frame = av.VideoFrame.from_ndarray(frames[number % len(frames)].to_ndarray(), "yuv420p")
            frame.pts, frame.time_base = number, Fraction(1, 25)
            target.mux(stream.encode(frame))
        target.mux(stream.encode())
    temporary.replace(path)
    return path


def run_nodes(clip: Path, size: int) -> float:
    """Processor seconds of Propagate Masks and Preview Track in a graph."""
    graph = Graph()
    video = graph.add("TestFileVideo", path=str(clip), in_memory=False)
    shot = graph.add("XMemPPDemoShot")
    model = graph.add("XMemPPLoadModel", model="lite (bundled)", precision="auto")
    track = graph.add(
        "XMemPPPropagate",
        model=(model, 0),
        frames=(video, 0),
        annotations=(shot, 1),
        memory="xmem++",
        working_memory=True,
        internal_size=size,
        direction="outward",
        memorize_every=10,
        augment="none",
    )
    graph.add("XMemPPTrackPreview", track=(track, 0), frames=(video, 0), style="overlay")
    with tempfile.TemporaryDirectory() as base:
        bed = Bed(Path(base), [PACK, TEST_PACK])
        start = time.process_time()
        result = bed.run(graph)
        seconds = time.process_time() - start
    assert result.success, result.error
    return seconds


def run_core(clip: Path, size: int) -> float:
    """Processor seconds of the same pass and film without ComfyUI."""
    import sys

    sys.path.insert(0, str(PACK))
    import xmempp_core as core

    start = time.process_time()
    demo = core.open_frames(DEMO / "bigbuckbunny.mp4")
    source = core.open_frames(clip)
    given = core.load_annotations(DEMO, demo)
    fitted = core.AnnotationSet(
        tuple(
            core.Annotation(a.frame_index, a.object_ids, core.fit_masks(a.masks, source.size, "x"))
            for a in given
        )
    )
    network = core.load_model("lite")
    settings = core.PropagationSettings(internal_size=size)
    cache = core.FeatureCache(1024 * 2**20)
    track = core.Track.collect(core.propagate(network, source, fitted, settings, cache=cache))
    with (
        tempfile.TemporaryDirectory() as folder,
        core.OverlayVideo(Path(folder) / "film.mp4", source.frame_rate) as film,
    ):
        for index in track.frame_indices:
            film.add(source.frame(index), track.label_map(index))
    return time.process_time() - start


def held_gib() -> float:
    """What the process holds of the machine's memory."""
    line = next(x for x in Path("/proc/self/status").read_text().splitlines() if "VmRSS" in x)
    return round(int(line.split()[1]) / 2**20, 2)


def run_free(size: int) -> None:
    """Prints what a pass holds and what is left of it after "Free memory"."""
    import gc

    with tempfile.TemporaryDirectory() as base:
        bed = Bed(Path(base), [PACK, TEST_PACK])
        import comfy.model_management as mm

        held = {"before": held_gib()}
        graph = json.loads((PACK / "tests" / "workflows" / "02_quick_start.json").read_text())
        for node in graph.values():
            if "internal_size" in node["inputs"]:
                node["inputs"]["internal_size"] = size
        result = bed.run(graph)
        assert result.success, result.error
        held["after_the_pass"] = held_gib()
        mm.unload_all_models()
        bed.reset_cache()
        gc.collect()
        mm.soft_empty_cache()
        held["after_free_memory"] = held_gib()
    print(json.dumps({"what": "free", "size": size, "held_gib": held}))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("what", choices=("nodes", "core", "free"))
    parser.add_argument("--size", type=int, default=480, help="internal size")
    arguments = parser.parse_args()
    if arguments.what == "free":
        run_free(arguments.size)
        return
    clip = long_clip()
    run = {"nodes": run_nodes, "core": run_core}[arguments.what]
    seconds = run(clip, arguments.size)
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20
    result = {"what": arguments.what, "size": arguments.size, "seconds": round(seconds, 1)}
    print(json.dumps({**result, "peak_gib": round(peak, 2), "frames": FRAMES}))


if __name__ == "__main__":
    main()
