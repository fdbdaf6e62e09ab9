"""What a training step of an adaptation costs with the published layout, beside the bundled model.

    python benchmarks/adaptation_step.py [--device cuda]

The published layout has random weights: a step costs the same.
"""

from __future__ import annotations

import argparse
import json
import statistics
import time

import torch
from plain_errors import run_plainly

from xmempp_core.adaptation.fitting import Fitting
from xmempp_core.adaptation.settings import AdaptationSettings
from xmempp_core.adaptation.shot_pictures import PictureSize, shot_pictures
from xmempp_core.annotations import Annotation, AnnotationSet
from xmempp_core.formats.frames.open import open_frames
from xmempp_core.network.adapted import AnyNetwork
from xmempp_core.network.checkpoint import load_model
from xmempp_core.network.xmem import XMem
from xmempp_core.runtime import Runtime

WARM_UP, COUNTED = 1, 4


def main() -> None:
    """Prints the medians."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--device", default="cpu")
    runtime = Runtime.choose(parser.parse_args().device)
    lite = load_model("lite", runtime)
    published = XMem().to(runtime.device, runtime.dtype).eval().requires_grad_(False)
    published.info = lite.info
    seconds = {name: step_seconds(n) for name, n in (("lite", lite), ("published", published))}
    print(json.dumps(seconds | {"ratio": round(seconds["published"] / seconds["lite"], 1)}))


def step_seconds(network: AnyNetwork) -> float:
    """Median processor seconds of a step; on CUDA seconds of the clock."""
    frames = torch.randint(0, 255, (3, 480, 854, 3), dtype=torch.uint8)
    mask = torch.zeros(1, 480, 854, dtype=torch.bool)
    mask[:, 150:330, 300:520] = True
    annotations = AnnotationSet(tuple(Annotation(t, (1,), mask) for t in range(3)))
    how = PictureSize(480, True, network.device)
    shot = shot_pictures(open_frames(frames), annotations, how)
    clock = time.perf_counter if network.device.type == "cuda" else time.process_time
    times, before = [], clock()
    for _ in Fitting(network, shot, AdaptationSettings(), WARM_UP + COUNTED).run():
        if network.device.type == "cuda":
            torch.cuda.synchronize()
        now = clock()
        times.append(now - before)
        before = now
    return round(statistics.median(times[WARM_UP : WARM_UP + COUNTED]), 3)


if __name__ == "__main__":
    run_plainly(main)
