"""Where the time of a run goes, stage by stage: from a film to masks, overlay and track.

    PYTHONPATH=. python benchmarks/stages.py --model lite --objects 1,3,10
    PYTHONPATH=. python benchmarks/stages.py --model official --height 1080

Processor seconds a frame, one thread. The film is the bundled clip, enlarged where a height is
asked for; the annotation is a box for each object. "official" has seeded weights.
"""

from __future__ import annotations

import argparse
import json
import tempfile
import time
from collections import Counter
from collections.abc import Callable
from contextlib import ExitStack
from pathlib import Path
from typing import Any
from unittest.mock import patch

import av
import torch
from plain_errors import run_plainly
from speed import Case, boxes, film_frames, save_seeded

from xmempp_core.annotations import Annotation, AnnotationSet
from xmempp_core.delivery.deliver import Delivery, deliver
from xmempp_core.delivery.frame_writer import FrameWriter
from xmempp_core.formats.frames.open import open_frames
from xmempp_core.memory.bank import MemoryBank
from xmempp_core.network.checkpoint import load_model
from xmempp_core.propagation.propagation import Propagation
from xmempp_core.runtime import Runtime
from xmempp_core.settings import PropagationSettings


def main() -> None:
    """Prints one JSON object for each number of objects."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--model", default="lite", help="bundled model, official or a file")
    parser.add_argument("--objects", default="1", help="numbers, comma separated")
    parser.add_argument("--height", type=int, default=480, help="of the film")
    parser.add_argument("--frames", type=int, default=16)
    parser.add_argument("--dtype", default="float32")
    options = parser.parse_args()
    torch.set_num_threads(1)
    for objects in map(int, options.objects.split(",")):
        with tempfile.TemporaryDirectory() as folder:
            print(json.dumps(stages(Path(folder), objects, options)), flush=True)


def stages(folder: Path, objects: int, options: argparse.Namespace) -> dict[str, Any]:
    """Processor seconds a frame by stage."""
    model = options.model
    if model == "official":
        model = folder / "seeded.pth"
        save_seeded(model)
    network = load_model(model, Runtime.choose("cpu", options.dtype))
    case = Case(options.model, objects, 1, options.height)
    source = open_frames(written(film_frames(case, options.frames - 2), folder / "film.mp4"))
    box = Annotation(0, tuple(range(1, objects + 1)), boxes(case, 0) > 0)
    settings = PropagationSettings(direction="forward")
    pass_ = Propagation(network, source, AnnotationSet((box,)), settings)
    spent: Counter[str] = Counter()
    with ExitStack() as stack:
        for owner, name, stage in (
            (network, "encode", "encode"),
            (network, "memorize", "memorize"),
            (network, "decode", "decode"),
            (MemoryBank, "recall", "recall"),
            (MemoryBank, "enforce_limits", "consolidate"),
            (Propagation, "read", "read and shrink"),
            (FrameWriter, "write", "write"),
        ):
            call = timed(spent, stage, getattr(owner, name))
            stack.enter_context(patch.object(owner, name, call))
        wall, used = time.perf_counter(), time.process_time()
        deliver(pass_, Delivery(folder / "out"))
        wall, used = time.perf_counter() - wall, time.process_time() - used
    figures = {stage: round(seconds / len(source), 4) for stage, seconds in spent.most_common()}
    return {
        "objects": objects,
        "height": options.height,
        **figures,
        "everything else": round((used - sum(spent.values())) / len(source), 4),
        "all": round(used / len(source), 4),
        "seconds of the clock": round(wall / len(source), 4),
    }


def timed(spent: Counter[str], stage: str, call: Callable[..., Any]) -> Callable[..., Any]:
    """The call, its processor time added to its stage; in whatever thread it runs."""
    within = False

    def measured(*given: Any, **named: Any) -> Any:
        nonlocal within
        if within:  # a call for one picture makes one for a batch
            return call(*given, **named)
        within, start = True, time.thread_time()
        try:
            return call(*given, **named)
        finally:
            within = False
            spent[stage] += time.thread_time() - start

    return measured


def written(frames: torch.Tensor, path: Path) -> Path:
    """A film of frames (T, H, W, 3) uint8."""
    with av.open(str(path), "w") as container:
        stream = container.add_stream("libx264", rate=24, options={"preset": "fast"})
        stream.height, stream.width = frames.shape[1:3]
        stream.pix_fmt = "yuv420p"
        for frame in frames:
            picture = av.VideoFrame.from_ndarray(frame.numpy(), format="rgb24")
            container.mux(stream.encode(picture))
        container.mux(stream.encode(None))
    return path


if __name__ == "__main__":
    run_plainly(main)
