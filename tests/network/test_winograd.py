"""The fast 3x3 convolution equals the plain one, and is taken only where it may be."""

from __future__ import annotations

import pytest
import torch
import torch.nn.functional as F
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

from xmempp_core.network.winograd import MIN_CHANNELS, Conv3x3, convolve, transform_kernel

WIDE = MIN_CHANNELS


def random_input(count: int, channels: int, height: int, width: int) -> Tensor:
    generator = torch.Generator().manual_seed(height * 100 + width)
    return torch.randn(count, channels, height, width, generator=generator)


def wide_layer() -> Conv3x3:
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        return Conv3x3(WIDE, WIDE + 8).requires_grad_(False)


def assert_near(got: Tensor, expected: Tensor) -> None:
    """Within 5e-6 of the largest value; the plain float32 convolution is within 2e-6."""
    assert (got.double() - expected).abs().max() <= 5e-6 * expected.abs().max()


@given(st.integers(1, 3), st.integers(1, 14), st.integers(1, 14), st.booleans())
@settings(max_examples=30, deadline=None)
def test_it_equals_the_plain_convolution_for_any_size(
    count: int, height: int, width: int, is_channels_last: bool
) -> None:
    layer = wide_layer()
    x = random_input(count, WIDE, height, width)
    if is_channels_last:
        x = x.contiguous(memory_format=torch.channels_last)
    before = x.clone()
    expected = F.conv2d(x.double(), layer.weight.double(), layer.bias.double(), padding=1)
    assert_near(layer(x), expected)
    assert torch.equal(x, before)


def test_a_picture_of_several_blocks_equals_the_plain_convolution() -> None:
    weight = torch.randn(3, 5, 3, 3, generator=torch.Generator().manual_seed(1))
    x = random_input(1, 5, 260, 470)
    expected = F.conv2d(x.double(), weight.double(), padding=1)
    assert_near(convolve(x, transform_kernel(weight), None), expected)


def test_a_picture_gives_the_same_bytes_alone_and_in_a_batch() -> None:
    layer = wide_layer()
    batch = random_input(3, WIDE, 9, 13)
    together = layer(batch)
    for one, expected in zip(batch, together, strict=True):
        assert torch.equal(layer(one[None])[0], expected)


@pytest.mark.parametrize("shared_channels", [1, 64, WIDE - 1])
@pytest.mark.parametrize("is_wide", [True, False])
def test_joined_inputs_give_the_convolution_of_the_whole(
    shared_channels: int, is_wide: bool
) -> None:
    layer = wide_layer() if is_wide else Conv3x3(WIDE, 8).requires_grad_(False)
    shared = random_input(1, shared_channels, 6, 7)
    own = random_input(2, WIDE - shared_channels, 6, 7)
    whole = torch.cat([shared.expand(2, -1, -1, -1), own], 1)
    expected = F.conv2d(whole.double(), layer.weight.double(), layer.bias.double(), padding=1)
    assert_near(layer.of_joined(shared, own), expected)


def test_changed_weights_are_seen() -> None:
    layer = wide_layer()
    x = random_input(1, WIDE, 5, 5)
    first = layer(x)
    layer.weight *= 2
    layer.bias *= 2
    assert_near(layer(x), first.double() * 2)
    layer.load_state_dict(wide_layer().state_dict(), assign=True)
    assert torch.equal(layer(x), first)


def test_weights_made_in_inference_mode_are_used() -> None:
    x = random_input(1, WIDE, 5, 5)
    with torch.inference_mode():
        layer = wide_layer()
        assert torch.equal(layer(x), wide_layer()(x))


@pytest.mark.parametrize("why", ["narrow", "learning", "bfloat16"])
def test_elsewhere_the_plain_convolution_runs(why: str) -> None:
    layer = Conv3x3(WIDE, WIDE - 1) if why == "narrow" else wide_layer()
    layer.requires_grad_(why == "learning")
    dtype = torch.bfloat16 if why == "bfloat16" else torch.float32
    layer.to(dtype)
    x = random_input(1, WIDE, 6, 6).to(dtype)
    assert torch.equal(layer(x), F.conv2d(x, layer.weight, layer.bias, padding=1))
    assert layer._transformed is None


def test_gradients_reach_weights_and_inputs() -> None:
    layer = wide_layer().requires_grad_(True)
    x = random_input(1, WIDE, 4, 4).requires_grad_(True)
    layer(x).square().sum().backward()
    assert layer.weight.grad is not None
    assert x.grad is not None
