"""Encoding a frame by compilers, beside the product: torch.compile, and OpenVINO where installed.

    python benchmarks/compiled_encode.py [--model official]

480x864, one thread, float32 and bfloat16 in turn; median processor seconds, and how far the keys
are from those of the product in float32, as a share of the largest. torch.compile needs a C++
compiler, OpenVINO `pip install openvino`.
"""

from __future__ import annotations

import argparse
import copy
import importlib.util
import json
import statistics
import time
from collections.abc import Callable
from typing import Any
from unittest import mock

import torch
from independent import OFFICIAL, network_of
from plain_errors import run_plainly

from xmempp_core.network.winograd import Conv3x3
from xmempp_core.network.xmem import XMem

REPEATS = 5
HEIGHT, WIDTH = 480, 864


class Encoder(torch.nn.Module):
    """Image encoder and keys of a network."""

    def __init__(self, network: Any) -> None:
        super().__init__()
        self.trunk = network.key_encoder if isinstance(network, XMem) else network.backbone
        self.keys = network.key_proj

    def forward(self, image: torch.Tensor) -> tuple[torch.Tensor, ...]:
        """Key, shrinkage and selection, then the features of three strides."""
        features = self.trunk(image)
        return (*self.keys(features[0]), *features)


Run = Callable[[], torch.Tensor]


@torch.no_grad()
def main() -> None:
    """Measures and prints."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--model", default="lite", help=f"model file, or {OFFICIAL}: seeded")
    options = parser.parse_args()
    torch.set_num_threads(1)
    network = network_of(options.model)
    plain, half = Encoder(network), Encoder(copy.deepcopy(network).bfloat16())
    image = torch.rand(1, 3, HEIGHT, WIDTH).to(memory_format=torch.channels_last)
    contenders: dict[str, Run] = {
        "product float32": lambda: plain(image)[0],
        "product bfloat16": lambda: half(image.bfloat16())[0],
    }
    contenders |= compiled_by_torch(plain, half, image) | compiled_by_openvino(plain, image)
    right = plain(image)[0]
    errors = {name: share(run(), right) for name, run in contenders.items()}  # warms up too
    seconds: dict[str, list[float]] = {name: [] for name in contenders}
    for _ in range(REPEATS):
        for name, run in contenders.items():
            start = time.process_time()
            run()
            seconds[name].append(time.process_time() - start)
    medians = {name: round(statistics.median(values), 4) for name, values in seconds.items()}
    print(json.dumps({"seconds": medians, "error": errors}, indent=1))


def compiled_by_torch(plain: Encoder, half: Encoder, image: torch.Tensor) -> dict[str, Run]:
    """By torch.compile with frozen weights; its convolutions are plain ones."""
    torch._inductor.config.freezing = True
    made: dict[str, Run] = {}
    for name, encoder, taken in (
        ("float32", plain, image),
        ("bfloat16", half, image.bfloat16()),
    ):
        with mock.patch.object(Conv3x3, "_pays", return_value=False):
            compiled = torch.compile(copy.deepcopy(encoder), dynamic=False)
            compiled(taken)
        made[f"torch.compile {name}"] = lambda c=compiled, t=taken: c(t)[0]
    return made


def compiled_by_openvino(plain: Encoder, image: torch.Tensor) -> dict[str, Run]:
    """By OpenVINO in two precisions; nothing where it is not installed."""
    if importlib.util.find_spec("openvino") is None:
        return {}
    import openvino

    with mock.patch.object(Conv3x3, "_pays", return_value=False):  # plain ones are traced
        model = openvino.convert_model(plain, example_input=image, input=[1, 3, HEIGHT, WIDTH])
    array = image.contiguous().numpy()
    made: dict[str, Run] = {}
    for name, hint in (("float32", "f32"), ("bfloat16", "bf16")):
        wanted = {"INFERENCE_NUM_THREADS": 1, "INFERENCE_PRECISION_HINT": hint}
        compiled = openvino.Core().compile_model(model, "CPU", wanted)
        made[f"openvino {name}"] = lambda c=compiled: torch.from_numpy(c(array)[0])
    return made


def share(found: torch.Tensor, right: torch.Tensor) -> float:
    """Largest difference as a share of the largest value."""
    return float((found.float() - right).abs().max() / right.abs().max())


if __name__ == "__main__":
    run_plainly(main)
