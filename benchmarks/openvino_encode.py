"""Encoding a frame of the published layout by OpenVINO, beside the product.

    pip install openvino
    python benchmarks/openvino_encode.py

Seeded weights, 480x864, one thread, float32 and bfloat16 in turn; median processor seconds, and how
far the keys are from those of the product in float32, as a share of the largest.
"""

from __future__ import annotations

import copy
import json
import statistics
import time
from unittest import mock

import torch
from independent import OFFICIAL, network_of
from plain_errors import run_plainly

from xmempp_core.errors import InputError
from xmempp_core.network.winograd import Conv3x3

REPEATS = 5
HEIGHT, WIDTH = 480, 864


class Encoder(torch.nn.Module):
    """Image encoder and keys of a network."""

    def __init__(self, network: torch.nn.Module) -> None:
        super().__init__()
        self.trunk, self.keys = network.key_encoder, network.key_proj

    def forward(self, image: torch.Tensor) -> tuple[torch.Tensor, ...]:
        """Key, shrinkage and selection, then the features of three strides."""
        features = self.trunk(image)
        return (*self.keys(features[0]), *features)


@torch.no_grad()
def main() -> None:
    try:
        import openvino
    except ImportError as error:
        raise InputError("openvino is not installed; pip install openvino") from error
    torch.set_num_threads(1)
    network = network_of(OFFICIAL)
    plain, half = Encoder(network), Encoder(copy.deepcopy(network).bfloat16())
    image = torch.rand(1, 3, HEIGHT, WIDTH).to(memory_format=torch.channels_last)
    with mock.patch.object(Conv3x3, "_pays", return_value=False):  # plain ones are traced
        model = openvino.convert_model(plain, example_input=image, input=[1, 3, HEIGHT, WIDTH])
    compiled = {
        hint: openvino.Core().compile_model(
            model, "CPU", {"INFERENCE_NUM_THREADS": 1, "INFERENCE_PRECISION_HINT": hint}
        )
        for hint in ("f32", "bf16")
    }
    array = image.contiguous().numpy()
    contenders = {
        "product float32": lambda: plain(image)[0],
        "product bfloat16": lambda: half(image.bfloat16())[0],
        "openvino float32": lambda: torch.from_numpy(compiled["f32"](array)[0]),
        "openvino bfloat16": lambda: torch.from_numpy(compiled["bf16"](array)[0]),
    }
    right = plain(image)[0]
    errors = {name: share(run(), right) for name, run in contenders.items()}  # warms up too
    seconds: dict[str, list[float]] = {name: [] for name in contenders}
    for _ in range(REPEATS):
        for name, run in contenders.items():
            start = time.process_time()
            run()
            seconds[name].append(time.process_time() - start)
    medians = {name: round(statistics.median(values), 3) for name, values in seconds.items()}
    print(json.dumps({"seconds": medians, "error": errors}, indent=1))


def share(found: torch.Tensor, right: torch.Tensor) -> float:
    """Largest difference as a share of the largest value."""
    return float((found.float() - right).abs().max() / right.abs().max())


if __name__ == "__main__":
    run_plainly(main)
