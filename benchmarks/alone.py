"""Each frame alone beside a pass: J&F over the frames that are not annotated.

    python benchmarks/alone.py --data DATASET --sequences car-shadow,libby --counts 1,3,5

DATASET holds JPEGImages and Annotations. Annotated frames are evenly spread. Bundled model, default
settings, 480 pixels, float32 on the CPU.
"""

from __future__ import annotations

import argparse
import tempfile
from pathlib import Path

import torch
from plain_errors import run_plainly

from xmempp_core.evaluation.datasets import Clip, open_dataset
from xmempp_core.evaluation.passes import ClipPasses, Method
from xmempp_core.network.checkpoint import load_model
from xmempp_core.runtime import Runtime
from xmempp_core.settings import PropagationSettings

PASS = Method("pass", {})
ALONE = Method("alone", {"direction": "independent"})


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--sequences", default="", help="joined by commas; all where empty")
    parser.add_argument("--counts", default="1,3,5", help="annotated frames, joined by commas")
    options = parser.parse_args()
    names = [name for name in options.sequences.split(",") if name]
    network = load_model("lite", Runtime.choose("cpu", "float32"))
    for clip in open_dataset(options.data, sequences=names):
        with tempfile.TemporaryDirectory() as folder:
            kept = Path(folder) / "scores.json"
            passes = ClipPasses(network, clip, PropagationSettings(), kept, {})
            for count in map(int, options.counts.split(",")):
                annotated = spread(clip, count)
                one, other = (passes.score(method, annotated).jf for method in (PASS, ALONE))
                print(f"{clip.name}, {count} annotated: {one:.3f} / {other:.3f}", flush=True)


def spread(clip: Clip, count: int) -> list[int]:
    """Annotated frames, evenly spread over those that have masks; a single one is the first."""
    indices = sorted(clip.mask_files)
    places = torch.linspace(0, len(indices) - 1, count).round().int().tolist()
    return [indices[place] for place in places]


if __name__ == "__main__":
    run_plainly(main)
