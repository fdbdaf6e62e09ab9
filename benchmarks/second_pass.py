"""What threads gain in a run, and what a feature cache gains in a second pass.

    python benchmarks/second_pass.py --model lite --frames 24

The bundled clip at 480 pixels goes through `deliver` with reading and writing in threads and
without them, in turn (seconds of the clock), and through two passes with one cache and one pass
without (processor seconds), in turn. `official` is the published layout with seeded weights.
"""

from __future__ import annotations

import argparse
import json
import statistics
import tempfile
import time
from pathlib import Path
from typing import Any
from unittest import mock

import torch
from independent import network_of, timed
from plain_errors import run_plainly

from xmempp_core import pipeline
from xmempp_core.annotations import AnnotationSet
from xmempp_core.cli.demo import CLIP
from xmempp_core.delivery.deliver import Delivery, deliver
from xmempp_core.formats.annotations.folder import load_annotations
from xmempp_core.formats.frames.open import open_frames
from xmempp_core.propagation.feature_cache import FeatureCache
from xmempp_core.propagation.propagation import Propagation
from xmempp_core.settings import PropagationSettings
from xmempp_core.types import FrameSource, Network

SETTINGS = PropagationSettings(direction="forward")
FIRST = 12
"""The annotated frame, at which the pass begins."""


class AtOnce:
    """An executor without a thread."""

    def __init__(self, *_: Any) -> None:
        pass

    def submit(self, function: Any, *args: Any) -> Any:
        from concurrent.futures import Future

        future: Future[Any] = Future()
        future.set_result(function(*args))
        return future

    def shutdown(self, **_: Any) -> None:
        pass


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--model", default="lite")
    parser.add_argument("--frames", type=int, default=24)
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--threads", type=int, default=1)
    options = parser.parse_args()
    torch.set_num_threads(options.threads)
    network = network_of(options.model)
    source = open_frames(CLIP / "bigbuckbunny.mp4")
    shot = (source, load_annotations(CLIP, source).only([FIRST]), options.frames)
    threads, alone, plain, first, second = ([] for _ in range(5))
    for _ in range(options.repeats):
        threads.append(run_seconds(network, *shot))
        with mock.patch.object(pipeline, "ThreadPoolExecutor", AtOnce):
            alone.append(run_seconds(network, *shot))
        cache = FeatureCache(2**32)
        plain.append(pass_seconds(network, *shot, None))
        first.append(pass_seconds(network, *shot, cache))
        second.append(pass_seconds(network, *shot, cache))
    names = ("run with threads", "run without", "pass", "first pass with cache", "second pass")
    medians = map(statistics.median, (threads, alone, plain, first, second))
    figures = {name: value / options.frames for name, value in zip(names, medians, strict=True)}
    held = cache.statistics.held_bytes / options.frames / 2**20
    print(json.dumps({"model": options.model, **figures, "cache MB a frame": held}, indent=1))


def passed(
    network: Network, source: FrameSource, given: AnnotationSet, count: int, **more: Any
) -> Propagation:
    """A pass over the first frames after the annotated one."""
    frames = range(FIRST, FIRST + count)
    return Propagation(network, source, given, SETTINGS, frame_range=frames, **more)


def run_seconds(network: Network, source: FrameSource, given: AnnotationSet, count: int) -> float:
    """Seconds of a run with masks, mattes left out, film and track."""
    with tempfile.TemporaryDirectory() as folder:
        start = time.perf_counter()
        deliver(passed(network, source, given, count), Delivery(Path(folder) / "out"))
        return time.perf_counter() - start


def pass_seconds(
    network: Network,
    source: FrameSource,
    given: AnnotationSet,
    count: int,
    cache: FeatureCache | None,
) -> float:
    """Seconds of a pass whose results are dropped."""
    return timed(lambda: [None for _ in passed(network, source, given, count, cache=cache)])


if __name__ == "__main__":
    run_plainly(main)
