"""Both networks keep the promises of the Network protocol."""

from __future__ import annotations

from dataclasses import fields

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from tiny import ARCHITECTURES, tiny_network
from torch import Tensor

from xmempp_core.network import lite, xmem
from xmempp_core.network.lite import XMemLite
from xmempp_core.network.xmem import XMem
from xmempp_core.types import Features, Network, Padding

HEIGHT, WIDTH = 45, 70
PADDING = Padding(left=5, right=5, top=1, bottom=2)
TinyNetwork = XMem | XMemLite
SHARED = {architecture: tiny_network(architecture) for architecture in ARCHITECTURES}
"""For tests that draw many examples; never changed."""


def random_frame(seed: int = 0) -> Tensor:
    return torch.rand(3, HEIGHT, WIDTH, generator=torch.Generator().manual_seed(seed))


def random_masks(n: int = 2) -> Tensor:
    """(n, 48, 80) soft masks."""
    return torch.rand(n, 48, 80, generator=torch.Generator().manual_seed(1)) / n


def random_sensory(network: TinyNetwork, n: int = 2) -> Tensor:
    shape = (n, network.sensory_channels, 3, 5)
    return torch.randn(shape, generator=torch.Generator().manual_seed(2))


def tensors_of(features: Features) -> dict[str, Tensor]:
    values = {f.name: getattr(features, f.name) for f in fields(features)}
    return {name: value for name, value in values.items() if isinstance(value, Tensor)}


@pytest.fixture(params=ARCHITECTURES)
def network(request: pytest.FixtureRequest) -> TinyNetwork:
    return tiny_network(request.param)


def test_a_network_offers_the_calls_of_the_protocol(network: TinyNetwork) -> None:
    assert isinstance(network, Network)
    assert network.device == torch.device("cpu")


def test_features_have_the_promised_shapes_types_and_ranges(network: TinyNetwork) -> None:
    features = network.encode(random_frame())
    assert features.padding == PADDING
    assert features.key.shape == features.selection.shape == (8, 3, 5)
    assert features.shrinkage.shape == (1, 3, 5)
    assert features.f16.shape[1:] == (3, 5)
    assert features.f8.shape[1:] == (6, 10)
    assert features.f4.shape[1:] == (12, 20)
    assert all(t.dtype == torch.float32 for t in tensors_of(features).values())
    assert features.shrinkage.min() >= 1
    assert 0 <= features.selection.min() <= features.selection.max() <= 1


def test_values_logits_and_sensory_state_have_the_promised_shapes(network: TinyNetwork) -> None:
    features = network.encode(random_frame())
    sensory = network.initial_sensory(2, features)
    assert sensory.shape == (2, 4, 3, 5)
    assert not sensory.any()
    values, reinforced = network.memorize(features, random_frame(), random_masks(), sensory)
    assert values.shape == (2, network.value_channels, 3, 5)
    assert reinforced.shape == sensory.shape
    logits, updated = network.decode(features, values, reinforced)
    assert logits.shape == (2, 48, 80)
    assert updated.shape == sensory.shape
    assert logits.dtype == updated.dtype == reinforced.dtype == torch.float32


@given(height=st.integers(1, 70), width=st.integers(1, 70))
@settings(max_examples=25, deadline=None)
def test_padding_is_the_smallest_that_fits_with_the_odd_pixel_right_and_below(
    height: int, width: int
) -> None:
    for architecture in ARCHITECTURES:
        features = SHARED[architecture].encode(torch.zeros(3, height, width))
        left, right, top, bottom = features.padding
        assert (height + top + bottom) % 16 == (width + left + right) % 16 == 0
        assert right - left in (0, 1)
        assert bottom - top in (0, 1)
        assert max(left + right, top + bottom) < 16


def test_padding_is_mid_gray_to_the_network(network: TinyNetwork) -> None:
    gray = torch.tensor(xmem.MEAN if isinstance(network, XMem) else [lite.MEAN] * 3)
    framed = gray[:, None, None].repeat(1, 48, 80)
    framed[:, 1:46, 5:75] = random_frame()
    for name, padded in tensors_of(network.encode(framed)).items():
        torch.testing.assert_close(padded, tensors_of(network.encode(random_frame()))[name])


def test_calls_do_not_write_into_their_arguments(network: TinyNetwork) -> None:
    frame, masks, sensory = random_frame(), random_masks(), random_sensory(network)
    features = network.encode(frame)
    values, _ = network.memorize(features, frame, masks, sensory)
    given_tensors = [frame, masks, sensory, values, *tensors_of(features).values()]
    before = [t.clone() for t in given_tensors]
    network.encode(frame)
    network.memorize(features, frame, masks, sensory)
    network.decode(features, values, sensory)
    assert all(torch.equal(*pair) for pair in zip(given_tensors, before, strict=True))


def test_permuted_objects_give_permuted_results(network: TinyNetwork) -> None:
    features, order = network.encode(random_frame()), torch.tensor([2, 0, 1])
    masks, sensory = random_masks(3), random_sensory(network, 3)
    values, reinforced = network.memorize(features, random_frame(), masks, sensory)
    logits, updated = network.decode(features, values, sensory)
    permuted = network.memorize(features, random_frame(), masks[order], sensory[order])
    torch.testing.assert_close(permuted, (values[order], reinforced[order]), atol=1e-4, rtol=1e-4)
    permuted = network.decode(features, values[order], sensory[order])
    torch.testing.assert_close(permuted, (logits[order], updated[order]), atol=1e-4, rtol=1e-4)


def test_masks_readout_and_sensory_state_matter(network: TinyNetwork) -> None:
    features, sensory = network.encode(random_frame()), random_sensory(network)
    values, reinforced = network.memorize(features, random_frame(), random_masks(), sensory)
    empty, _ = network.memorize(features, random_frame(), torch.zeros(2, 48, 80), sensory)
    assert (values - empty).abs().max() > 0.01
    assert (reinforced - sensory).abs().max() > 0.01
    logits, updated = network.decode(features, values, sensory)
    assert (updated - sensory).abs().max() > 0.01
    assert (logits - network.decode(features, empty, sensory)[0]).abs().max() > 0.01
    assert (logits - network.decode(features, values, reinforced)[0]).abs().max() > 0.01


@pytest.mark.parametrize("architecture", ARCHITECTURES)
def test_without_sensory_memory_the_given_state_comes_back(architecture: str) -> None:
    network = tiny_network(architecture, sensory_channels=0)
    features = network.encode(random_frame())
    sensory = network.initial_sensory(2, features)
    assert sensory.shape == (2, 0, 3, 5)
    values, reinforced = network.memorize(features, random_frame(), random_masks(), sensory)
    logits, updated = network.decode(features, values, sensory)
    assert reinforced.shape == updated.shape == sensory.shape
    assert logits.shape == (2, 48, 80)


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16])
def test_half_precision_agrees_and_keeps_keys_logits_and_state_in_float32(
    network: TinyNetwork, dtype: torch.dtype
) -> None:
    expected = run_once(network)
    features, values, *results = run_once(network.to(dtype))
    assert features.f16.dtype == features.f4.dtype == values.dtype == dtype
    assert features.key.dtype == features.shrinkage.dtype == torch.float32
    for result, exact in zip(results, expected[2:], strict=True):
        assert result.dtype == torch.float32
        assert (result - exact).abs().mean() < 0.1 * exact.abs().mean()


def run_once(network: TinyNetwork) -> tuple[Features, Tensor, Tensor, Tensor, Tensor]:
    """Features, values, reinforced state, logits and updated state."""
    features, sensory = network.encode(random_frame()), random_sensory(network)
    memorized = network.memorize(features, random_frame(), random_masks(), sensory)
    return features, *memorized, *network.decode(features, memorized[0].float(), sensory)


def test_equal_seeds_make_equal_networks(network: TinyNetwork) -> None:
    again = tiny_network(network.architecture)
    assert all(
        torch.equal(a, b) for a, b in zip(network.parameters(), again.parameters(), strict=True)
    )


def test_a_batch_of_frames_gives_what_single_frames_give(network: TinyNetwork) -> None:
    network.requires_grad_(True)
    frames = torch.stack([random_frame(0), random_frame(1)])
    masks, sensory = torch.rand(2, 3, 48, 80), torch.randn(2, 3, 4, 3, 5)
    batch = network.encode(frames)
    assert batch.is_batch
    assert network.initial_sensory(3, batch).shape == sensory.shape
    values, reinforced = network.memorize(batch, frames, masks, sensory)
    logits, updated = network.decode(batch, values, sensory)
    for i in range(2):
        features = network.encode(frames[i])
        assert not features.is_batch
        for name, tensor in tensors_of(features).items():
            torch.testing.assert_close(tensors_of(batch)[name][i], tensor, atol=1e-4, rtol=1e-4)
        alone = network.memorize(features, frames[i], masks[i], sensory[i])
        torch.testing.assert_close((values[i], reinforced[i]), alone, atol=1e-4, rtol=1e-4)
        alone = network.decode(features, values[i], sensory[i])
        torch.testing.assert_close((logits[i], updated[i]), alone, atol=1e-4, rtol=1e-4)
    results = (logits, updated, reinforced, batch.key, batch.shrinkage, batch.selection)
    torch.stack([result.sum() for result in results]).sum().backward()
    assert all(p.grad is not None for p in network.parameters())


def test_the_layers_of_the_trunk_are_all_that_a_frame_passes_before_its_keys(
    network: TinyNetwork,
) -> None:
    network.requires_grad_(True)
    features = network.encode(random_frame())
    (features.f16.sum() + features.f8.sum() + features.f4.sum()).backward()
    trunk = {id(p) for layer in network.trunk_layers for p in layer.parameters()}
    assert trunk == {id(p) for p in network.parameters() if p.grad is not None}


def test_large_pictures_are_expanded_in_pieces_with_the_same_result(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    network = tiny_network("xmemlite-1")
    assert isinstance(network, XMemLite)
    with torch.no_grad():
        expected = network.encode(random_frame())
        monkeypatch.setattr(lite, "PIECE_VALUES", 2000)
        got = network.encode(random_frame())
    for name, tensor in tensors_of(expected).items():
        torch.testing.assert_close(tensors_of(got)[name], tensor, rtol=1e-5, atol=1e-5)
    assert not torch.equal(got.f16, expected.f16)
