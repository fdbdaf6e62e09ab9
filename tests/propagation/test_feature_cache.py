"""A feature cache gives the features of the very picture, or none."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
from tiny import ARCHITECTURES, tiny_network
from toy import toy_frames, toy_shot

from xmempp_core.annotations import AnnotationSet
from xmempp_core.errors import InputError
from xmempp_core.formats.frames.open import open_frames
from xmempp_core.propagation.encoding import ShotEncoder
from xmempp_core.propagation.feature_cache import FeatureCache, picture_hash
from xmempp_core.propagation.propagation import propagate
from xmempp_core.settings import PropagationSettings
from xmempp_core.types import FrameSource, Network

SMALL = PropagationSettings(memorize_every=2, internal_size=None, top_k=10)


@pytest.fixture(params=ARCHITECTURES)
def network(request: pytest.FixtureRequest) -> Network:
    return tiny_network(request.param)


def result(
    network: Network,
    source: FrameSource,
    annotations: AnnotationSet,
    cache: FeatureCache | None = None,
    **changes: Any,
) -> torch.Tensor:
    """(T, N + 1, H, W) ascending by frame."""
    passed = propagate(network, source, annotations, replace(SMALL, **changes), cache=cache)
    by_frame = {one.frame_index: one.probabilities for one in passed}
    return torch.stack([by_frame[t] for t in sorted(by_frame)])


@pytest.mark.parametrize(
    "make_cache",
    [
        lambda: FeatureCache(2**30),
        lambda: FeatureCache(200_000),
        lambda: FeatureCache(100_000, spill_bytes=2**30),
    ],
    ids=["memory", "partly", "disk"],
)
def test_results_are_the_same_with_and_without_a_cache(
    network: Network, make_cache: Callable[[], FeatureCache]
) -> None:
    source, annotations = toy_shot()
    cache = make_cache()
    plain = result(network, source, annotations)
    for _ in range(2):
        assert torch.equal(result(network, source, annotations, cache), plain)
    assert cache.statistics.hits > 0


def test_a_second_pass_with_one_more_annotation_encodes_nothing(network: Network) -> None:
    source, annotations = toy_shot((0,))
    cache = FeatureCache(2**30)
    result(network, source, annotations, cache)
    misses = cache.statistics.misses
    result(network, source, toy_shot((0, 6))[1], cache)
    assert cache.statistics.misses == misses == 12


def test_the_frames_of_another_clip_are_encoded(network: Network) -> None:
    frames, _ = toy_frames()
    source, annotations = toy_shot()
    other = open_frames(frames.flip(1))
    cache = FeatureCache(2**30)
    result(network, source, annotations, cache)
    expected = result(network, other, annotations)
    assert torch.equal(result(network, other, annotations, cache), expected)


def test_a_retouch_of_part_of_a_row_is_seen(network: Network) -> None:
    frames, _ = toy_frames()
    _, annotations = toy_shot()
    retouched = frames.clone()
    retouched[5, 40, 10:20] = 255
    cache = FeatureCache(2**30)
    result(network, open_frames(frames), annotations, cache)
    expected = result(network, open_frames(retouched), annotations)
    assert torch.equal(result(network, open_frames(retouched), annotations, cache), expected)
    assert cache.statistics.misses == 13


def test_equal_frames_share_their_features(network: Network) -> None:
    frames, _ = toy_frames()
    _, annotations = toy_shot((0,))
    cache = FeatureCache(2**30)
    result(network, open_frames(frames[:1].repeat(5, 1, 1, 1)), annotations, cache)
    assert cache.statistics.misses == 1


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"internal_size": 32}, "internal_size 96x64, not 48x32"),
        ({"antialias": False}, "antialias True, not False"),
    ],
)
def test_a_cache_of_another_size_or_filter_is_refused(
    network: Network, changes: dict[str, Any], said: str
) -> None:
    source, annotations = toy_shot()
    cache = FeatureCache(2**30)
    result(network, source, annotations, cache)
    with pytest.raises(InputError, match=f"belongs to .*{said}; give a new FeatureCache"):
        propagate(network, source, annotations, replace(SMALL, **changes), cache=cache)
    cache.clear()
    result(network, source, annotations, cache, **changes)


def test_a_cache_of_another_network_or_dtype_is_refused() -> None:
    source, annotations = toy_shot()
    cache = FeatureCache(2**30)
    result(tiny_network("xmem"), source, annotations, cache)
    with pytest.raises(InputError, match=r"belongs to network [0-9a-f]{8}, not [0-9a-f]{8};"):
        propagate(tiny_network("xmem", seed=1), source, annotations, SMALL, cache=cache)
    half = tiny_network("xmem").to(torch.bfloat16)
    with pytest.raises(InputError, match="belongs to dtype float32, not bfloat16"):
        ShotEncoder(half, source, SMALL, cache)


def test_a_damaged_file_of_the_cache_is_encoded_again(
    network: Network,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    source, annotations = toy_shot()
    cache = FeatureCache(0, spill_bytes=2**30)
    plain = result(network, source, annotations, cache)
    first, *_ = sorted(tmp_path.rglob("*.bin"))
    first.write_bytes(first.read_bytes()[:100])
    assert torch.equal(result(network, source, annotations, cache), plain)
    assert cache.statistics.misses == 13
    assert "is damaged" in caplog.text


def test_the_hash_of_a_picture_tells_type_and_shape() -> None:
    zeros = torch.zeros(4, 6, 3, dtype=torch.uint8)
    pictures = (zeros, zeros.float(), zeros.reshape(6, 4, 3), zeros[:, ::2], zeros + 1)
    assert len({picture_hash(p) for p in pictures}) == len(pictures)
    noise = torch.rand(8, 8, 3)
    assert picture_hash(noise[:, ::2]) == picture_hash(noise[:, ::2].clone())
