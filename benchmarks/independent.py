"""Time of frames segmented alone: an answer after an edit, and a frame beside one of a pass.

    python benchmarks/independent.py --output independent.json

Frames are those of the bundled demo clip at --size, three of them annotated. Times are processor
time of this process (on CUDA that of the clock), medians. "answer" is one frame after the
annotation of another frame changed, features of both held by the cache; "alone" and "pass" are a
frame with its encoding, without a cache, the pass in its usual order, measured in turn. With
--batches also a frame alone where so many go through the network at once.
"""

from __future__ import annotations

import argparse
import json
import platform
import statistics
import time
from collections.abc import Callable
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

import torch
from plain_errors import run_plainly

from xmempp_core.annotations import Annotation, AnnotationSet
from xmempp_core.cli.demo import CLIP
from xmempp_core.formats.annotations.folder import fit_masks, load_annotations
from xmempp_core.formats.frames.open import open_frames
from xmempp_core.network.checkpoint import load_model
from xmempp_core.network.xmem import XMem
from xmempp_core.propagation.feature_cache import FeatureCache
from xmempp_core.propagation.independent import IndependentPass
from xmempp_core.propagation.propagation import propagate
from xmempp_core.resize import resize_frame, to_planes
from xmempp_core.runtime import Runtime
from xmempp_core.settings import PropagationSettings
from xmempp_core.types import FrameSource, Network, Size

OFFICIAL = "official"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument(
        "--model", default="lite", help=f"model file, or {OFFICIAL}: seeded weights"
    )
    parser.add_argument("--size", type=int, default=480, help="short side in pixels")
    parser.add_argument("--frames", type=int, default=12, help="frames of a pass")
    parser.add_argument("--repeats", type=int, default=5)
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--batches", default="", help="sizes of batches, joined by commas")
    parser.add_argument("--device", default="cpu")
    parser.add_argument("--dtype", default="float32")
    parser.add_argument("--output", type=Path)
    options = parser.parse_args()
    torch.set_num_threads(options.threads)
    text = json.dumps(run(options), indent=2)
    print(text)
    if options.output:
        options.output.write_text(text + "\n", encoding="utf-8")


def run(options: argparse.Namespace) -> dict[str, Any]:
    runtime = Runtime.choose(options.device, options.dtype)
    network = network_of(options.model).to(runtime.device, runtime.dtype)
    source, annotations = shot(options.size, options.frames)
    alone = [alone_seconds(network, source, annotations)]
    passed = [pass_seconds(network, source, annotations)]
    for _ in range(options.repeats - 1):
        alone.append(alone_seconds(network, source, annotations))
        passed.append(pass_seconds(network, source, annotations))
    return {
        "model": options.model,
        "size": str(source.size),
        "annotated frames": len(annotations),
        "objects": len(annotations.object_ids),
        "answer seconds": answer_seconds(network, source, annotations, options.repeats),
        "alone seconds a frame": statistics.median(alone),
        "pass seconds a frame": statistics.median(passed),
        "batch seconds a frame": batch_seconds(network, source, annotations, options),
        "threads": options.threads,
        "device": f"{options.device} {options.dtype}",
        "torch": torch.__version__,
        "processor": platform.processor() or platform.machine(),
    }


def network_of(model: str) -> Network:
    """The network of a file, or one of the official layout with seeded weights."""
    if model != OFFICIAL:
        return load_model(model, Runtime.choose("cpu", "float32"))
    torch.manual_seed(0)
    network = XMem().eval().requires_grad_(False)
    network.info = replace(load_model("lite").info, name=OFFICIAL, sha256="0" * 64)
    return network.to(memory_format=torch.channels_last)  # type: ignore[call-overload]


def shot(side: int, count: int) -> tuple[FrameSource, AnnotationSet]:
    """The first frames of the demo clip at a short side, and three annotated ones of them."""
    demo = open_frames(CLIP / "bigbuckbunny.mp4")
    height, width = demo.size
    size = Size(side, round(width * side / height))
    frames = [
        resize_frame(to_planes(demo.frame(t), torch.device("cpu")), size, True)
        for t in range(count)
    ]
    source = open_frames((torch.stack(frames).permute(0, 2, 3, 1) * 255).round().byte())
    first = next(iter(load_annotations(CLIP, demo)))
    masks = fit_masks(first.masks, size, "the demo's map")
    spread = (0, count // 2, count - 1)
    return source, AnnotationSet(tuple(Annotation(t, first.object_ids, masks) for t in spread))


def answer_seconds(
    network: Network, source: FrameSource, annotations: AnnotationSet, repeats: int
) -> float:
    """One frame after an annotation changed, features held."""
    one = IndependentPass(network, source, annotations, cache=FeatureCache(2**31))
    list(one.segment(range(len(source))))
    edited, seconds = annotations.annotations[1], []
    for number in range(repeats):
        moved = replace(edited, masks=edited.masks.roll(1 + number, -1))
        seconds.append(timed(lambda moved=moved: answer(one, annotations, moved)))
    return statistics.median(seconds)


def answer(one: IndependentPass, annotations: AnnotationSet, changed: Annotation) -> None:
    one.annotate(annotations.with_annotation(changed))
    list(one.segment([len(one.source) // 4]))


def alone_seconds(network: Network, source: FrameSource, annotations: AnnotationSet) -> float:
    """A frame alone, memory filled before."""
    one = IndependentPass(network, source, annotations)
    list(one.prepare())
    return timed(lambda: list(one.segment(range(len(source))))) / len(source)


def batch_seconds(
    network: Network, source: FrameSource, annotations: AnnotationSet, options: argparse.Namespace
) -> dict[str, float]:
    """Seconds of a frame by frames in a batch, in turn; median of the repeats."""
    sizes = [int(size) for size in options.batches.split(",") if size]
    one = IndependentPass(network, source, annotations)
    list(one.prepare())
    frames = [index % len(source) for index in range(max(sizes, default=0))]
    seconds: dict[int, list[float]] = {size: [] for size in sizes}
    for _ in range(options.repeats):
        for size in sizes:
            call = partial(list, one.segment(frames, batch_frames=size))
            seconds[size].append(timed(call) / len(frames))
    return {str(size): statistics.median(values) for size, values in seconds.items()}


def pass_seconds(network: Network, source: FrameSource, annotations: AnnotationSet) -> float:
    """A frame of a pass, memory filled before."""
    one = propagate(network, source, annotations, PropagationSettings())
    list(one.prepare())
    return timed(lambda: list(one)) / len(source)


def timed(call: Callable[[], Any]) -> float:
    """Processor seconds of a call; on CUDA seconds of the clock."""
    is_cuda = torch.cuda.is_available()
    clock = time.perf_counter if is_cuda else time.process_time
    start = clock()
    call()
    if is_cuda:
        torch.cuda.synchronize()
    return clock() - start


if __name__ == "__main__":
    run_plainly(main)
