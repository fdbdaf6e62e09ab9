"""The same pass on a CUDA GPU: within 1e-4 of the CPU in float32, and whole in half precision."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
import torch
from tiny import ARCHITECTURES, tiny_network
from toy import toy_shot

from xmempp_core.delivery.deliver import Delivery, deliver
from xmempp_core.errors import Interrupted
from xmempp_core.formats.tracks import load_track
from xmempp_core.network.checkpoint import load_model
from xmempp_core.propagation import kept_answers
from xmempp_core.propagation.feature_cache import FeatureCache
from xmempp_core.propagation.independent import IndependentPass
from xmempp_core.propagation.precision import choose_runtime
from xmempp_core.propagation.propagation import Propagation, propagate
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


@pytest.mark.parametrize("direction", ["forward", "outward", "bidirectional", "independent"])
@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16])
def test_directions_in_half_precision_are_near_those_of_the_cpu(
    dtype: torch.dtype, direction: str
) -> None:
    on_cpu = result_of(load_model("lite", Runtime.choose("cpu", "float32")), direction)
    half = result_of(load_model("lite", Runtime(torch.device("cuda"), dtype)), direction)
    assert half.isfinite().all()
    assert (half.argmax(1) == on_cpu.argmax(1)).float().mean() > 0.99


@pytest.mark.parametrize("dtype", ["float16", "bfloat16"])
def test_the_cache_gives_the_same_bytes_in_half_precision(dtype: str) -> None:
    network = load_model("lite", Runtime.choose("cuda", dtype))
    source, annotations = toy_shot((3, 8))
    cache = FeatureCache(2**30)
    first, second = (
        {
            s.frame_index: s.probabilities
            for s in propagate(network, source, annotations, SETTINGS, cache=cache)
        }
        for _ in range(2)
    )
    assert cache.statistics.hits >= len(source)
    for index, probabilities in first.items():
        assert torch.equal(probabilities, second[index])


@pytest.mark.parametrize("dtype", ["float16", "bfloat16"])
@pytest.mark.parametrize("direction", ["outward", "bidirectional"])
def test_a_run_that_is_resumed_in_half_precision_ends_as_an_undisturbed_one(
    dtype: str, direction: str, tmp_path: Path
) -> None:
    network = load_model("lite", Runtime.choose("cuda", dtype))

    def run(output: Path, stop_after: int, *, resume: bool) -> None:
        source, annotations = toy_shot((3, 8))
        done: list[int] = []
        deliver(
            Propagation(network, source, annotations, replace(SETTINGS, direction=direction)),
            Delivery(output, resume=resume),
            progress=lambda one, _: done.append(one),
            should_stop=lambda: len(done) >= stop_after,
        )

    run(tmp_path / "whole", 1000, resume=False)
    with pytest.raises(Interrupted):
        run(tmp_path / "stopped", 6, resume=False)
    run(tmp_path / "stopped", 1000, resume=True)
    tracks = [load_track(tmp_path / one / "track.xmtrack") for one in ("whole", "stopped")]
    for index in tracks[0].frame_indices:
        labels = [track.label_map(index) for track in tracks]
        assert (labels[0] == labels[1]).float().mean() > 0.999


def test_frames_alone_in_batches_are_near_those_one_by_one() -> None:
    network = load_model("lite", Runtime.choose("cuda", "float32"))
    one = IndependentPass(network, *toy_shot((3, 8)), SETTINGS)
    pairs = zip(one.segment(range(12)), one.segment(range(12), batch_frames=8), strict=True)
    for singly, together in pairs:
        assert (singly.probabilities - together.probabilities).abs().max() < 1e-3


def test_dtype_auto_is_measured_on_cuda(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.delenv("CI")
    monkeypatch.setattr(kept_answers.platformdirs, "user_cache_path", lambda _: tmp_path)
    first = choose_runtime("lite", "cuda")
    assert first.device.type == "cuda"
    assert choose_runtime("lite", "cuda") == first
