"""The same pass on a CUDA GPU: within 1e-4 of the CPU in float32, and whole in half precision."""

from __future__ import annotations

from dataclasses import replace

import pytest
import torch
from tiny import ARCHITECTURES, tiny_network
from toy import toy_shot

from xmempp_core.network.checkpoint import load_model
from xmempp_core.propagation.propagation import propagate
from xmempp_core.runtime import Runtime
from xmempp_core.settings import PropagationSettings
from xmempp_core.types import Network

SETTINGS = PropagationSettings(internal_size=None, memorize_every=2, absence="memory")

pytestmark = pytest.mark.gpu


def result_of(network: Network, direction: str) -> torch.Tensor:
    """(T, N + 1, H, W) on the CPU."""
    source, annotations = toy_shot((3, 8))
    settings = replace(SETTINGS, direction=direction)
    by_frame = {
        s.frame_index: s.probabilities.float().cpu()
        for s in propagate(network, source, annotations, settings)
    }
    return torch.stack([by_frame[t] for t in sorted(by_frame)])


@pytest.mark.parametrize("direction", ["forward", "outward", "bidirectional"])
@pytest.mark.parametrize("architecture", ARCHITECTURES)
def test_float32_on_cuda_is_within_1e_4_of_the_cpu(architecture: str, direction: str) -> None:
    network = tiny_network(architecture)
    on_cpu = result_of(network, direction)
    on_cuda = result_of(network.to("cuda"), direction)
    assert (on_cuda - on_cpu).abs().max() < 1e-4


@pytest.mark.parametrize("dtype", ["float16", "bfloat16"])
def test_half_precision_agrees_on_nearly_all_pixels(dtype: str) -> None:
    on_cpu = result_of(load_model("lite", Runtime.choose("cpu")), "outward")
    half = result_of(load_model("lite", Runtime.choose("cuda", dtype)), "outward")
    assert half.isfinite().all()
    assert (half.argmax(1) == on_cpu.argmax(1)).float().mean() > 0.99
